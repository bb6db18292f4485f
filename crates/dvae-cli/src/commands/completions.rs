//! `dvae completions`.

use clap_complete::Shell;

use crate::Error;

/// Print completions for a shell
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae completions bash > ~/.local/share/bash-completion/completions/dvae
  dvae completions zsh > ~/.zfunc/_dvae
  dvae completions fish > ~/.config/fish/completions/dvae.fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args, command: &mut clap::Command) -> Result<(), Error> {
    let mut script = vec![];
    clap_complete::generate(args.shell, command, "dvae", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script)?;
    Ok(())
}
