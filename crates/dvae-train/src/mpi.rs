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

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.size)
    }
}

/// A number of entries as MPI counts them.
fn count(entries: usize) -> i32 {
    i32::try_from(entries).expect("fewer than 2³¹ entries")
}

/// Where parts of these lengths start.
fn starts(counts: &[i32]) -> Vec<i32> {
    counts.iter().scan(0, |start, count| Some(std::mem::replace(start, *start + count))).collect()
}

/// Numbers in parts of these lengths.
fn parts<T: Copy>(numbers: &[T], counts: &[i32]) -> Vec<Vec<T>> {
    let ranges = starts(counts).into_iter().zip(counts);
    ranges.map(|(start, &count)| numbers[start as usize..][..count as usize].to_vec()).collect()
}

fn room<T: Equivalence + Default + Clone>(counts: &[i32]) -> Vec<T> {
    vec![T::default(); counts.iter().sum::<i32>() as usize]
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn exchange(&self, given: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        let world = SimpleCommunicator::world();
        let sent: Vec<i32> = given.iter().map(|part| count(part.len())).collect();
        let mut counts = vec![0i32; self.size];
        world.all_to_all_into(&sent[..], &mut counts[..]);
        let flat = given.concat();
        let mut received = room::<f32>(&counts);
        let from = Partition::new(&flat[..], &sent[..], starts(&sent));
        world.all_to_all_varcount_into(
            &from,
            &mut PartitionMut::new(&mut received[..], &counts[..], starts(&counts)),
        );
        parts(&received, &counts)
    }

    fn gather(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let world = SimpleCommunicator::world();
        let mut counts = vec![0i32; self.size];
        world.all_gather_into(&count(bytes.len()), &mut counts[..]);
        if counts.iter().all(|&count| count == 0) {
            return vec![vec![]; self.size]; // Open MPI refuses it.
        }
        let mut received = room::<u8>(&counts);
        world.all_gather_varcount_into(
            &bytes[..],
            &mut PartitionMut::new(&mut received[..], &counts[..], starts(&counts)),
        );
        parts(&received, &counts)
    }

    fn abort(&self, code: i32) -> ! {
        SimpleCommunicator::world().abort(code)
    }
}
