//! The program `dvae`: train, denoise and measure denoising VAEs without writing Rust.

mod commands;
mod files;
mod inputs;
mod jobs;
mod output;
mod processes;
mod results;
mod stop;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use dvae::ExperimentError;
use dvae::data::DataError;

use commands::{
    benchmark, calibrate, compare, completions, config, corrupt, denoise, embed, evaluate, export,
    import, impute, info, interpolate, list, noise, sample, table, train, traverse,
};

/// Fewer page faults than the system's allocator: Burn makes a new buffer for every operation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Denoising variational autoencoders: train on clean data under corruption, then clean, embed and sample.
#[derive(Parser)]
#[command(name = "dvae", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Examples:
  dvae train                                     a first model, on embedded images
  dvae train experiment.toml --set train.epochs=5
  dvae denoise runs/run-001 noisy.png -o clean.png
  dvae evaluate runs/run-001 --corruption gaussian:0.3

Exit codes: 0 done, 1 the run failed on its own or some of several files could not be used, 2 something that was
given cannot be used; stopped: 130 by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP, 124 by train.time_limit. A training that
was stopped can be resumed.")]
struct Args {
    #[command(subcommand)]
    command: Command,
    /// Write machine-readable results: JSON on standard output
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    Train(train::Args),
    Denoise(denoise::Args),
    Impute(impute::Args),
    Corrupt(corrupt::Args),
    Sample(sample::Args),
    Embed(embed::Args),
    Interpolate(interpolate::Args),
    Traverse(traverse::Args),
    Evaluate(evaluate::Args),
    Benchmark(benchmark::Args),
    Calibrate(calibrate::Args),
    Noise(noise::Args),
    Table(table::Args),
    Info(info::Args),
    List(list::Args),
    Compare(compare::Args),
    Config(config::Args),
    /// List the back ends, and which are compiled in
    Backends,
    Export(export::Args),
    Import(import::Args),
    Completions(completions::Args),
}

impl Command {
    /// Whether it writes files, such as a copy of standard input. A training handles signals itself.
    fn writes_files(&self) -> bool {
        matches!(
            self,
            Self::Denoise(_)
                | Self::Impute(_)
                | Self::Corrupt(_)
                | Self::Sample(_)
                | Self::Embed(_)
                | Self::Interpolate(_)
                | Self::Traverse(_)
                | Self::Evaluate(_)
                | Self::Benchmark(_)
                | Self::Calibrate(_)
                | Self::Export(_)
                | Self::Noise(_)
                | Self::Table(_)
                | Self::Import(_)
        )
    }

    /// Whether several processes share its work.
    fn is_shared(&self) -> bool {
        matches!(self, Self::Train(_) | Self::Evaluate(_) | Self::Denoise(_))
    }
}

/// An error of any kind.
type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    dvae::checks::silence_contained_panics();
    let Args { command, json } = Args::parse();
    let out = output::Output { json };
    if command.writes_files()
        && let Err(error) = stop::clean_up()
    {
        return exit(Err(error));
    }
    if command.writes_files()
        && !command.is_shared()
        && let Err(error) = processes::alone()
    {
        return exit(Err(error));
    }
    let result = match &command {
        Command::Train(args) => return exit(train::run(args, out)),
        Command::Denoise(args) => return exit(denoise::run(args, out)),
        Command::Evaluate(args) => return exit(evaluate::run(args, out)),
        Command::Corrupt(args) => return exit(corrupt::run(args, out)),
        Command::Impute(args) => impute::run(args, out),
        Command::Table(args) => table::run(args, out),
        Command::Sample(args) => sample::run(args, out),
        Command::Embed(args) => embed::run(args, out),
        Command::Interpolate(args) => interpolate::run(args, out),
        Command::Traverse(args) => traverse::run(args, out),
        Command::Benchmark(args) => benchmark::run(args, out),
        Command::Calibrate(args) => calibrate::run(args, out),
        Command::Export(args) => export::run(args, out),
        Command::Noise(args) => noise::run(args, out),
        Command::Info(args) => info::run(args, out),
        Command::List(args) => list::run(args, out),
        Command::Compare(args) => compare::run(args, out),
        Command::Config(args) => config::run(args, out),
        Command::Backends => commands::backends(out),
        Command::Import(args) => import::run(args, out),
        Command::Completions(args) => completions::run(args, &mut Args::command()),
    };
    exit(result.map(|()| ExitCode::SUCCESS))
}

/// The exit code of a command; an error is printed.
fn exit(result: Result<ExitCode, Error>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    // A reader that closes the pipe is not a failure: dvae list | head -1.
    if error
        .downcast_ref()
        .is_some_and(|error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe)
    {
        return ExitCode::SUCCESS;
    }
    output::report(&error);
    ExitCode::from(exit_code(&error))
}

/// The exit code of a command that ends with an error.
fn exit_code(error: &Error) -> u8 {
    let is_failure = error.downcast_ref().is_some_and(ExperimentError::is_failure_of_run)
        || error.downcast_ref().is_some_and(DataError::is_full_disk);
    if is_failure { 1 } else { 2 }
}
