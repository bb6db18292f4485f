//! Processes that work together.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dvae::ExperimentError;
use dvae::train::{Communicator, Single, TrainError};

use crate::{Error, exit_code, output};

/// The processes that this one was started with: itself alone, unless `mpirun` or a scheduler started several.
#[cfg(feature = "mpi")]
#[allow(clippy::unnecessary_wraps)] // As without the feature.
fn group() -> Result<Arc<dyn Communicator>, Error> {
    Ok(match dvae::train::Mpi::join() {
        Some(group) => Arc::new(group),
        None => Arc::new(Single),
    })
}

/// An error if there are several: each would do the same by itself.
#[cfg(not(feature = "mpi"))]
fn group() -> Result<Arc<dyn Communicator>, Error> {
    match started() {
        0 | 1 => Ok(Arc::new(Single)),
        size => Err(format!(
            "{size} processes were started together, and this program was built without MPI: build it with the cargo feature `mpi`"
        )
        .into()),
    }
}

/// How many processes were started together, as `mpirun` and schedulers tell them; 0 if they do not.
fn started() -> usize {
    let size = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let is_of_slurm = std::env::var_os("PMIX_RANK").is_some();
    let of_slurm = if is_of_slurm { size("SLURM_STEP_NUM_TASKS") } else { None };
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"].into_iter().find_map(size).or(of_slurm).unwrap_or(0)
}

/// An error if a command that is not shared was started several times, which would write the same files.
pub(crate) fn alone() -> Result<(), Error> {
    match started() {
        0 | 1 => Ok(()),
        size => Err(format!(
            "{size} processes were started together, and only `train`, `evaluate` and `denoise` are shared by several: start this once, or, as one of several that work \
             apart, without the variables OMPI_COMM_WORLD_SIZE and PMI_SIZE"
        )
        .into()),
    }
}

/// Runs a command that several processes share, of which the first one alone writes and reports.
pub(crate) fn shared(
    command: impl FnOnce(&Arc<dyn Communicator>) -> Result<ExitCode, Error>,
) -> Result<ExitCode, Error> {
    let group = group()?;
    if group.rank() > 0 {
        output::silence_shared_warnings();
    }
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let result = agreed(&*group, &format!("{words:?}"), "their arguments differ");
    ended(result.and_then(|()| command(&group)), &*group)
}

/// An error if something is not the same on all processes.
pub(crate) fn agreed(group: &dyn Communicator, own: &str, otherwise: &str) -> Result<(), Error> {
    let all = group.gather(own.to_owned().into_bytes());
    match all.iter().all(|of_rank| *of_rank == all[0]) {
        true => Ok(()),
        false => Err(format!(
            "{} processes were started together, and {otherwise}: start those that are to work apart without `mpirun` or \
             `srun`",
            group.size()
        )
        .into()),
    }
}

/// Ends all processes if one of several cannot go on. The error is reported by the process that has it, or by the first one if all do.
fn ended(result: Result<ExitCode, Error>, group: &dyn Communicator) -> Result<ExitCode, Error> {
    if group.size() == 1 {
        return result;
    }
    let Err(error) = result else {
        // None leaves before the others have written what they write.
        group.gather(vec![]);
        return result;
    };
    let is_of_others = match error.downcast_ref() {
        Some(ExperimentError::Train(TrainError::OtherProcess)) => true,
        Some(ExperimentError::Train(
            TrainError::NonFinite { .. } | TrainError::Processes { .. },
        )) => group.rank() > 0,
        _ => false,
    };
    if is_of_others {
        // Until that process ends all.
        loop {
            std::thread::park();
        }
    }
    if group.rank() > 0 {
        // The first one may have the same error, and ends all before this one reports it again.
        std::thread::sleep(Duration::from_secs(2));
    }
    output::report(&error);
    group.abort(exit_code(&error).into())
}
