//! What the examples share: their allocator, and how they end.

use std::process::ExitCode;

use dvae::train::TrainError;

/// Fewer page faults than the system's: Burn makes a new buffer for every operation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An error of any kind.
pub type Error = Box<dyn std::error::Error>;

/// Prints an error on one line. The exit code is 1 for training that went wrong on its own, and 2
/// for what the user can put right.
pub fn exit(result: Result<(), Error>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error}");
    match error.downcast_ref() {
        Some(TrainError::NonFinite { .. }) => ExitCode::from(1),
        _ => ExitCode::from(2),
    }
}
