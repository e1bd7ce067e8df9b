//! From a document's summary to the overview's counts, by difference.
//!
//! What a document counted for is taken out, what it counts for now is put in: never a rescan.
//! Does not know documents or links; freshness is added by whoever shows the counts.

use raccordo_crdt_model::Digest;

use super::rows::{Counts, Indexed};

/// Whether a project counts in the one that took its place, in another territory.
pub(crate) fn is_given(state: &str) -> bool {
    state == "transferred"
}

/// Takes a document's former part out of its territory's counts.
pub(crate) fn remove(counts: &mut Counts, indexed: &Indexed, local: bool) {
    if local {
        counts.local_projects -= 1;
        return;
    }
    if !is_given(&indexed.state) {
        counts.projects -= 1;
        counts.conflicts -= u64::from(indexed.conflicts > 0);
        lower(&mut counts.by_state, &indexed.state);
        lower(&mut counts.by_need_area, &indexed.need_area);
    }
    let mut digest = digest_of(counts);
    digest.remove(&indexed.item);
    keep_digest(counts, &digest);
}

/// Puts a document's present part into its territory's counts.
pub(crate) fn insert(counts: &mut Counts, indexed: &Indexed, local: bool) {
    if local {
        counts.local_projects += 1;
        return;
    }
    if !is_given(&indexed.state) {
        counts.projects += 1;
        counts.conflicts += u64::from(indexed.conflicts > 0);
        *counts.by_state.entry(indexed.state.clone()).or_default() += 1;
        *counts
            .by_need_area
            .entry(indexed.need_area.clone())
            .or_default() += 1;
    }
    let mut digest = digest_of(counts);
    digest.add(&indexed.item);
    keep_digest(counts, &digest);
}

/// The content digest of one territory's counts.
pub(crate) fn digest_of(counts: &Counts) -> Digest {
    Digest {
        count: counts.digest_count,
        sum: counts.digest_sum,
    }
}

/// The content digest over several territories.
pub(crate) fn digest_over<'a>(all: impl Iterator<Item = &'a Counts>) -> Digest {
    sum_of(all.map(digest_of).collect::<Vec<_>>().iter())
}

/// The sum of several digests: that of all their items together.
pub(crate) fn sum_of<'a>(all: impl Iterator<Item = &'a Digest>) -> Digest {
    let mut whole = Digest::default();
    for digest in all {
        whole.merge(digest);
    }
    whole
}

fn keep_digest(counts: &mut Counts, digest: &Digest) {
    counts.digest_count = digest.count;
    counts.digest_sum = digest.sum;
}

fn lower(map: &mut std::collections::BTreeMap<String, u64>, code: &str) {
    if let Some(count) = map.get_mut(code) {
        *count -= 1;
        if *count == 0 {
            map.remove(code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexed(state: &str, item: u8) -> Indexed {
        Indexed {
            state: state.to_owned(),
            need_area: "POV".to_owned(),
            subject_kind: "person".to_owned(),
            token: None,
            reference: None,
            updated_ms: 0,
            conflicts: 0,
            item: [item; 32],
        }
    }

    #[test]
    fn what_went_in_and_came_out_leaves_no_trace() {
        let mut counts = Counts::default();
        insert(&mut counts, &indexed("active", 0xff), false);
        let before = counts.clone();
        insert(&mut counts, &indexed("review", 0x01), false);
        remove(&mut counts, &indexed("review", 0x01), false);
        assert_eq!(counts, before);
        remove(&mut counts, &indexed("active", 0xff), false);
        assert_eq!(counts, Counts::default());
    }

    #[test]
    fn the_digest_of_the_whole_is_that_of_all_items_together() {
        let (mut left, mut right, mut both) =
            (Counts::default(), Counts::default(), Counts::default());
        for item in 250..=255 {
            let part = if item % 2 == 0 { &mut left } else { &mut right };
            insert(part, &indexed("active", item), false);
            insert(&mut both, &indexed("active", item), false);
        }
        assert_eq!(
            digest_over([&left, &right].into_iter()).finish(),
            digest_of(&both).finish()
        );
    }

    #[test]
    fn a_project_that_was_handed_over_is_compared_and_no_longer_counted() {
        let mut counts = Counts::default();
        insert(&mut counts, &indexed("transferring", 1), false);
        assert_eq!((counts.projects, counts.digest_count), (1, 1));
        remove(&mut counts, &indexed("transferring", 1), false);
        insert(&mut counts, &indexed("transferred", 2), false);
        assert_eq!((counts.projects, counts.digest_count), (0, 1));
        assert!(counts.by_state.is_empty() && counts.by_need_area.is_empty());
        remove(&mut counts, &indexed("transferred", 2), false);
        assert_eq!(counts, Counts::default());
    }

    #[test]
    fn a_local_project_is_counted_apart_and_is_not_in_the_digest() {
        let mut counts = Counts::default();
        insert(&mut counts, &indexed("active", 1), true);
        assert_eq!(
            counts,
            Counts {
                local_projects: 1,
                ..Counts::default()
            }
        );
    }
}
