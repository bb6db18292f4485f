//! `dvae train`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use dvae::data::{Pairs, broken_pictures, pictures_in};
use dvae::prelude::*;
use dvae::train::{Communicator, End, Interrupt, TrainError};
use dvae::{DataSource, Experiment, ExperimentError, Run};
use serde::Serialize;

use crate::Error;
use crate::output::{Output, path, warn};
use crate::processes;
use crate::stop::Stop;

/// Train the model of an experiment, or resume an interrupted run
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae train                                       the default experiment, on embedded images
  dvae train experiment.toml --out runs/first
  dvae train experiment.toml --set corruption=gaussian:0.3 --set train.epochs=5
  DVAE__TRAIN__EPOCHS=5 dvae train experiment.toml
  dvae train --resume runs/first                   after Ctrl-C, a crash or a power cut
  dvae train --resume runs/first --set data.path=moved.csv
  dvae train experiment.toml --out runs/first --resume-or-start     in the job of a scheduler
  dvae train pictures.toml --skip-broken           without the pictures that cannot be read

Ctrl-C finishes the step and saves, with exit code 130; a second one ends at once. SIGTERM and SIGHUP do
the same as the first, with 143 and 129.
A resume accepts data in another place, more epochs (if no schedule depends on their number), another back
end, and other train.checkpoint and train.keep.
`dvae config` shows every key of an experiment.")]
pub(crate) struct Args {
    /// The experiment, a TOML file [default: the one that `dvae config` prints]
    experiment: Option<PathBuf>,
    /// Change a setting, such as train.epochs=5; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Resume the run in this folder
    #[arg(long, value_name = "RUN", conflicts_with_all = ["experiment", "out"])]
    resume: Option<PathBuf>,
    /// Resume the run in the folder of --out, or start it if there is none
    #[arg(long, requires = "out", conflicts_with = "resume")]
    resume_or_start: bool,
    /// The back end to run on: flex, or another one that is compiled in
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// The folder of the run, new or empty [default: a numbered one in runs/]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    /// Leave out pictures that cannot be read, and list them: `data.leave_out` of the run then names them
    #[arg(long, conflicts_with = "resume")]
    skip_broken: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// The exit code of a session that ended because of its time limit, as that of `timeout`.
const OUT_OF_TIME: u8 = 124;

#[derive(Serialize)]
struct Summary {
    #[serde(serialize_with = "path")]
    run: PathBuf,
    end: End,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<ExitCode, Error> {
    processes::shared(|group| run_in(args, out, group))
}

fn run_in(args: &Args, out: Output, group: &Arc<dyn Communicator>) -> Result<ExitCode, Error> {
    let is_first = group.rank() == 0;
    let mut run = match group.size() {
        1 => opened(args)?,
        _ => opened_together(args, group)?,
    };
    let interrupt = Interrupt::new();
    let stop = Stop::listen(&interrupt)?;
    warn_of(&run);
    let mut observers: Vec<Box<dyn Observer>> = vec![];
    if is_first && !args.quiet {
        let _ = writeln!(std::io::stderr(), "The run is kept in {}", run.path().display());
        observers.push(Box::new(Progress::new("training")));
    }
    let end = run.train_together(observers, &interrupt, group.clone()).map_err(advised)?;
    let written = if is_first { report(&run, end, out) } else { Ok(()) };
    match end {
        // The terminal may be gone: that a run stopped is told by its exit code in any case.
        End::Interrupted => Ok(ExitCode::from(stop.exit_code())),
        End::OutOfTime => Ok(ExitCode::from(OUT_OF_TIME)),
        End::Finished | End::StoppedEarly => written.map(|()| ExitCode::SUCCESS),
    }
}

/// Warns of what the training leaves out.
fn warn_of(run: &Run) {
    for column in run.data().iter().flat_map(|data| &data.empty_columns) {
        warn(&format!("column `{column}` has no value: it is left out, and stays as it is"));
    }
    let left_out = run.data().map_or(0, |data| data.left_out);
    if left_out > 0 {
        warn(&format!("texts that are longer than `data.longest`, which are left out: {left_out}"));
    }
    if let DataSource::Images { .. } = run.experiment().data.source {
        let folders = run.experiment().data.source.paths().into_iter().filter(|path| path.is_dir());
        for pictures in folders.flat_map(pictures_in) {
            pictures.omissions.iter().for_each(warn);
        }
    }
}

/// Says how the training ended, and what to do next.
fn report(run: &Run, end: End, out: Output) -> Result<(), Error> {
    let samples = match run.experiment().data.source {
        DataSource::Csv { .. } => "samples.csv",
        DataSource::Npy { .. } => "samples.npy",
        DataSource::Text { .. } => "samples.txt",
        _ => "samples.png",
    };
    let run = run.path().to_path_buf();
    out.write(&Summary { run: run.clone(), end }, || {
        let run = run.display();
        match end {
            End::Interrupted => format!("Stopped. Go on with: dvae train --resume {run}"),
            End::OutOfTime => format!("Stopped: {end}. Go on with: dvae train --resume {run}"),
            End::Finished | End::StoppedEarly => {
                format!("Done: {end}. Try: dvae evaluate {run}, dvae sample {run} -o {samples}")
            }
        }
    })
}

/// The run of several processes: the first one opens it and tells the others.
fn opened_together(args: &Args, group: &Arc<dyn Communicator>) -> Result<Run, Error> {
    let own = (group.rank() == 0).then(|| opened(args));
    let text = match &own {
        Some(Ok(run)) => run.invitation()?,
        _ => String::new(),
    };
    let invitation = group.gather(text.into_bytes()).swap_remove(0);
    match own {
        Some(run) => run,
        None if invitation.is_empty() => {
            Err(ExperimentError::Train(TrainError::OtherProcess).into())
        }
        None => Ok(Run::join(std::str::from_utf8(&invitation)?)?),
    }
}

/// The run to train: a new one, or one to resume.
fn opened(args: &Args) -> Result<Run, Error> {
    let backend = args.backend.as_deref().map(str::parse::<Backend>).transpose()?;
    let mut settings = args.settings.clone();
    settings.extend(backend.map(|backend| format!("backend={backend}")));
    if let Some(path) = &args.resume {
        return Ok(Run::resume_with(path, &settings)?);
    }
    let mut experiment = Experiment::load(args.experiment.as_deref(), &settings)?;
    if args.skip_broken {
        skip_broken(&mut experiment)?;
    }
    Ok(match &args.out {
        Some(path) if args.resume_or_start && Run::exists(path) => {
            Run::resume_as(path, &experiment)?
        }
        Some(path) => Run::create_at(&experiment, path)?,
        None => Run::create(&experiment, "runs")?,
    })
}

/// Leaves out the pictures of the data that cannot be read.
fn skip_broken(experiment: &mut Experiment) -> Result<(), Error> {
    let DataSource::Images { path, pairs, leave_out, .. } = &mut experiment.data.source else {
        return Err("--skip-broken is for folders of images".into());
    };
    let damaged = match pairs {
        Some(Pairs::Damaged { path }) => Some(&*path),
        _ => None,
    };
    for folder in std::iter::once(&*path).chain(damaged).filter(|folder| folder.is_dir()) {
        for (place, reason) in broken_pictures(folder)? {
            warn(&format!("{reason}: it is left out"));
            if !leave_out.contains(&place) {
                leave_out.push(place);
            }
        }
    }
    Ok(())
}

/// Adds to an error of the data what to do about it.
fn advised(error: ExperimentError) -> Error {
    let advice = match error {
        ExperimentError::Data(_) => {
            "if the data has moved, name its place by `--set data.path=PATH`"
        }
        ExperimentError::Rows { .. } => {
            "a run goes on with the rows it began with: name them by `--set data.path=PATH`, or start a new run"
        }
        _ => return error.into(),
    };
    format!("{error}; {advice}").into()
}
