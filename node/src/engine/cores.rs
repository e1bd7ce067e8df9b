//! The same work on many items, on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Items that a core takes at a time.
const AT_ONCE: usize = 16;

/// What `work` gives for each item, in the items' order. Items are handed out as cores become free,
/// so that a core which others slow down does less.
pub(crate) fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = cores.min(items.len().div_ceil(AT_ONCE));
    if workers <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let first = next.fetch_add(AT_ONCE, Ordering::Relaxed);
            let Some(rest) = items.get(first..).filter(|rest| !rest.is_empty()) else {
                return done;
            };
            let share = &rest[..rest.len().min(AT_ONCE)];
            done.push((first, share.iter().map(&work).collect::<Vec<R>>()));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(fault) => std::panic::resume_unwind(fault),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(first, _)| *first);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_whoever_made_them() {
        for count in [0, 1, AT_ONCE, 1_000] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(on_all_cores(&items, |item| item * 2), doubled);
        }
    }

    #[test]
    fn a_fault_of_any_core_reaches_who_asked() {
        let items: Vec<usize> = (0..1_000).collect();
        let asked = std::panic::catch_unwind(|| {
            on_all_cores(&items, |item| assert!(*item != 777, "a fault"));
        });
        assert!(asked.is_err());
    }
}
