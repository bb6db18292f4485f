//! Processes of a job of MPI.

use std::fmt;

use mpi::Threading;
use mpi::collective::CommunicatorCollectives;
use mpi::datatype::{Equivalence, Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::topology::{Communicator as _, SimpleCommunicator};

use crate::Communicator;

/// The processes that `mpirun` or a scheduler started together. The last one to hold it must be the main thread, which ends MPI.
pub struct Mpi {
    _universe: Universe,
    rank: usize,
    size: usize,
}

impl Mpi {
    /// Joins the processes that were started together with this one; `None` if it is not part of a job of MPI, or has joined before.
    ///
    /// # Panics
    ///
    /// If the library of MPI cannot be called from more than one thread in turn.
    pub fn join() -> Option<Self> {
        // What Open MPI, MPICH and PMIx tell the processes that they start.
        const RANKS: [&str; 3] = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"];
        if RANKS.iter().all(|name| std::env::var_os(name).is_none()) {
            return None;
        }
        let (universe, provided) = mpi::initialize_with_threading(Threading::Serialized)?;
        assert!(provided >= Threading::Serialized, "MPI without threads: {provided:?}");
        let world = SimpleCommunicator::world();
        let [rank, size] = [world.rank(), world.size()].map(|n| n as usize);
        Some(Self { _universe: universe, rank, size })
    }
}

impl Drop for Mpi {
    /// A process that panics would wait in MPI's end for the others, which wait for it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.abort(101);
        }
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.size)
    }
}

/// Numbers of entries as MPI counts them, and where each part starts.
fn counted(counts: &[usize]) -> [Vec<i32>; 2] {
    let counts: Vec<i32> =
        counts.iter().map(|&count| i32::try_from(count).expect("fewer than 2³¹ entries")).collect();
    let next = |start: &mut i32, count: &i32| {
        Some(std::mem::replace(start, start.checked_add(*count).expect("fewer than 2³¹ entries")))
    };
    let starts = counts.iter().scan(0, next).collect();
    [counts, starts]
}

/// The numbers of all processes, one after the other, so many of each.
fn gathered<T: Equivalence + Default + Clone>(own: &[T], counts: &[usize]) -> Vec<T> {
    let mut received = vec![T::default(); counts.iter().sum()];
    // Open MPI refuses to gather nothing.
    if !received.is_empty() {
        let [counts, starts] = counted(counts);
        let mut room = PartitionMut::new(&mut received[..], counts, starts);
        SimpleCommunicator::world().all_gather_varcount_into(own, &mut room);
    }
    received
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn exchange(&self, numbers: &[f32], sent: &[usize], received: &[usize]) -> Vec<f32> {
        let mut all = vec![0.0; received.iter().sum()];
        let ([sent, places], [received, starts]) = (counted(sent), counted(received));
        SimpleCommunicator::world().all_to_all_varcount_into(
            &Partition::new(numbers, sent, places),
            &mut PartitionMut::new(&mut all[..], received, starts),
        );
        all
    }

    fn collect(&self, numbers: &[f32], counts: &[usize]) -> Vec<f32> {
        gathered(numbers, counts)
    }

    fn gather(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let mut lengths = vec![0u64; self.size];
        SimpleCommunicator::world().all_gather_into(&(bytes.len() as u64), &mut lengths[..]);
        let lengths: Vec<usize> = lengths.into_iter().map(|length| length as usize).collect();
        let mut all = &gathered(&bytes, &lengths)[..];
        let part = |length: &usize| {
            let (part, rest) = all.split_at(*length);
            all = rest;
            part.to_vec()
        };
        lengths.iter().map(part).collect()
    }

    fn abort(&self, code: i32) -> ! {
        SimpleCommunicator::world().abort(code)
    }
}
