//! Items prepared on another thread, a little ahead of their use.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

/// The largest number of finished items that wait; one more is being made.
const AHEAD: usize = 2;
/// The sleep between two checks for work in the pool.
const NAP: Duration = Duration::from_micros(100);

/// Makes `items` on a separate thread, at most a few before they are needed.
///
/// If making one panics, the items end there, and the scope panics when it ends.
pub(crate) fn ahead<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    items: impl Iterator<Item = T> + Send + 'scope,
) -> Ahead<'scope, T> {
    let (sender, receiver) = sync_channel(AHEAD);
    let maker = scope.spawn(move || {
        for item in items {
            if sender.send(item).is_err() {
                break; // The receiver was dropped.
            }
        }
    });
    Ahead { receiver: Some(receiver), maker }
}

/// Items that are made on another thread.
pub(crate) struct Ahead<'scope, T> {
    /// `None` once no more items are wanted.
    receiver: Option<Receiver<T>>,
    maker: ScopedJoinHandle<'scope, ()>,
}

impl<T> Drop for Ahead<'_, T> {
    /// Waits for the thread as [`next`](Self::next) does: the item being made may need the pool's only
    /// thread, which would otherwise sleep until the scope ends.
    fn drop(&mut self) {
        self.receiver = None;
        while !self.maker.is_finished() {
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                std::thread::sleep(NAP);
            }
        }
    }
}

impl<T> Iterator for Ahead<'_, T> {
    type Item = T;

    /// Waits for the next item and runs tasks of rayon's pool meanwhile: making the item may need this very
    /// thread.
    fn next(&mut self) -> Option<T> {
        let receiver = self.receiver.as_ref()?;
        loop {
            match receiver.try_recv() {
                Ok(item) => return Some(item),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            if rayon::yield_now() == Some(rayon::Yield::Executed) {
                continue;
            }
            match receiver.recv_timeout(NAP) {
                Ok(item) => return Some(item),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rayon::prelude::*;

    use super::*;

    #[test]
    fn items_come_in_order_and_only_a_few_before_they_are_needed() {
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let items = (0..100).inspect(|_| {
                made.fetch_add(1, Ordering::SeqCst);
            });
            let mut items = ahead(scope, items);
            for expected in 0..50 {
                assert_eq!(items.next(), Some(expected));
                // The items taken, those waiting, and the one being offered.
                assert!(made.load(Ordering::SeqCst) <= expected + 1 + AHEAD + 1);
            }
        });
        assert!(made.load(Ordering::SeqCst) < 60);
    }

    // The pool's only thread waits for items that the pool itself makes.
    #[test]
    fn a_pool_of_one_thread_does_not_wait_for_itself() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let sum = |n: u64| pool.install(|| (0..n).into_par_iter().sum::<u64>());
        let sums: Vec<u64> = pool.in_place_scope(|_| {
            pool.install(|| std::thread::scope(|scope| ahead(scope, (0..5).map(sum)).collect()))
        });
        assert_eq!(sums, [0, 0, 1, 3, 6]);
    }
}
