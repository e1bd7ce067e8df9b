//! What a change comes after: how far each actor's changes go in it.
//!
//! Most changes come after one, by the same actor or few others: what two have in common is held
//! once. Does not know hashes.

use std::rc::Rc;

/// How far an actor's changes go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reach {
    pub(super) sequence: u64,
    /// The last operation.
    pub(super) operation: u64,
}

/// How far each actor's changes go.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// By the actors' places, ascending.
    common: Rc<Vec<(usize, Reach)>>,
    /// An actor whose changes go further than that.
    further: Option<(usize, Reach)>,
}

impl Past {
    /// How far this actor's changes go.
    pub(super) fn of(&self, actor: usize) -> Reach {
        match self.further {
            Some((further, reach)) if further == actor => reach,
            _ => {
                let found = self
                    .common
                    .binary_search_by_key(&actor, |(actor, _)| *actor);
                found.map_or_else(|_| Reach::default(), |at| self.common[at].1)
            }
        }
    }

    /// What a next change comes after, once this actor's changes go so far.
    pub(super) fn with(&self, actor: usize, reach: Reach) -> Self {
        let common = match self.further {
            Some((further, _)) if further != actor => Rc::new(self.entries()),
            _ => Rc::clone(&self.common),
        };
        Self {
            common,
            further: Some((actor, reach)),
        }
    }

    /// What comes after both.
    pub(super) fn and(&self, other: &Self) -> Self {
        if Rc::ptr_eq(&self.common, &other.common)
            && let Some((actor, reach)) = other.further
        {
            return match self.further {
                Some((further, own)) if further == actor => self.with(actor, own.max(reach)),
                _ => self.with(actor, self.of(actor).max(reach)),
            };
        }
        let (left, right) = (self.entries(), other.entries());
        let mut common = Vec::with_capacity(left.len().max(right.len()));
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        loop {
            match (left.peek().copied(), right.peek().copied()) {
                (Some(one), Some(other)) if one.0 == other.0 => {
                    common.push((one.0, one.1.max(other.1)));
                    left.next();
                    right.next();
                }
                (Some(one), other) if other.is_none_or(|other| one.0 < other.0) => {
                    common.push(one);
                    left.next();
                }
                (_, Some(other)) => {
                    common.push(other);
                    right.next();
                }
                (_, None) => break,
            }
        }
        Self {
            common: Rc::new(common),
            further: None,
        }
    }

    /// How many actors it tells of.
    pub(super) fn width(&self) -> usize {
        self.common.len() + 1
    }

    fn entries(&self) -> Vec<(usize, Reach)> {
        let mut entries = self.common.to_vec();
        if let Some((actor, reach)) = self.further {
            match entries.binary_search_by_key(&actor, |(actor, _)| *actor) {
                Ok(at) => entries[at].1 = reach,
                Err(at) => entries.insert(at, (actor, reach)),
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(number: u64) -> Reach {
        Reach {
            sequence: number,
            operation: number * 10,
        }
    }

    fn told(past: &Past) -> Vec<u64> {
        (0..5).map(|actor| past.of(actor).sequence).collect()
    }

    #[test]
    fn a_past_goes_as_far_as_those_it_was_joined_of() {
        let first = Past::default().with(2, reach(1));
        let second = first.with(2, reach(2));
        let other = first.with(0, reach(1)).with(4, reach(1)).with(0, reach(3));
        assert_eq!(told(&first), [0, 0, 1, 0, 0]);
        assert_eq!(told(&second), [0, 0, 2, 0, 0]);
        assert_eq!(told(&other), [3, 0, 1, 0, 1]);
        for both in [second.and(&other), other.and(&second)] {
            assert_eq!(told(&both), [3, 0, 2, 0, 1]);
            assert_eq!(told(&both.and(&first)), [3, 0, 2, 0, 1]);
            assert_eq!(told(&both.with(1, reach(1)).and(&both)), [3, 1, 2, 0, 1]);
            assert_eq!(told(&both.and(&both.with(1, reach(1)))), [3, 1, 2, 0, 1]);
        }
        let sibling = first.with(3, reach(1));
        assert_eq!(told(&second.and(&sibling)), [0, 0, 2, 1, 0]);
    }
}
