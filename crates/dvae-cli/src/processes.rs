//! Processes that train together.

use std::process::ExitCode;
use std::sync::Arc;

use dvae::ExperimentError;
use dvae::train::{Communicator, Single, TrainError};

use crate::{Error, exit_code, output};

/// The processes that this one was started with: itself alone, unless `mpirun` or a scheduler started several.
#[cfg(feature = "mpi")]
#[allow(clippy::unnecessary_wraps)] // As without the feature.
pub(crate) fn group() -> Result<Arc<dyn Communicator>, Error> {
    Ok(match dvae::train::Mpi::join() {
        Some(group) => Arc::new(group),
        None => Arc::new(Single),
    })
}

/// An error if there are several: each would train the same by itself.
#[cfg(not(feature = "mpi"))]
pub(crate) fn group() -> Result<Arc<dyn Communicator>, Error> {
    for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] {
        let size = std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
        if let Some(size) = size.filter(|&size| size > 1) {
            return Err(format!(
                "{size} processes were started together, and this program was built without MPI: build it with the cargo feature `mpi`"
            )
            .into());
        }
    }
    Ok(Arc::new(Single))
}

/// Ends all processes if one of several cannot go on. The error is reported by the process that has it, or by the first one if all do.
pub(crate) fn ended(
    result: Result<ExitCode, Error>,
    group: &dyn Communicator,
) -> Result<ExitCode, Error> {
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
    output::report(&error);
    group.abort(exit_code(&error).into())
}
