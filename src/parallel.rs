//! Work on many values, on all cores where that is worth it.

use rayon::prelude::*;

/// From this many values on; below, waking the others costs more than it brings.
const MANY: usize = 256;

/// The results of `work` in the order of `items`.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
    map_all(items, items.len() >= MANY, work)
}

/// The same where each of `items` holds some of the values.
pub(crate) fn map_groups<T: Sync, R: Send>(
    groups: &[&[T]],
    work: impl Fn(&[T]) -> R + Send + Sync,
) -> Vec<R> {
    let values: usize = groups.iter().map(|group| group.len()).sum();
    map_all(groups, values >= MANY, |group| work(group))
}

/// Sorts by keys that are made once for each of many values.
pub(crate) fn sort_by_cached_key<T: Ord + Send + Sync, K: Ord + Send + Sync>(
    values: &mut [T],
    key: impl Fn(&T) -> K + Send + Sync,
) {
    if values.len() >= MANY {
        values.par_sort_by_cached_key(key);
    } else {
        values.sort_unstable();
    }
}

fn map_all<T: Sync, R: Send>(
    items: &[T],
    is_worth_it: bool,
    work: impl Fn(&T) -> R + Send + Sync,
) -> Vec<R> {
    if is_worth_it {
        items.par_iter().map(work).collect()
    } else {
        items.iter().map(work).collect()
    }
}
