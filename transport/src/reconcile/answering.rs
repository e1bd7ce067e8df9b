//! Questions and answers of one side: what is asked, what is owed, what follows from an answer.
//!
//! Guarantees: answers come in the order of the questions; what this side asks becomes smaller with
//! every turn of its own, whatever the peer says; memory is bounded by its own items and fixed limits.

use std::collections::VecDeque;

use super::message::{Answer, Fingerprint, ItemTag, Message};
use super::{
    ANSWER_BYTES_MAX, Broken, FAN_OUT_MAX, FINDINGS_MAX, LIST_ITEMS_MAX, MESSAGE_BYTES_MAX,
    MESSAGE_RANGES_MAX, OWED_MAX, PART_IDS_MAX, Reconciler,
};

/// A part is not made smaller than this many items, unless that takes too many parts.
const PART_ITEMS: usize = 16;

/// Identifiers from `lower` to before `upper`; to the end without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) lower: u128,
    pub(super) upper: Option<u128>,
}

/// A question to the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Open {
    /// It was told our fingerprint of the range.
    Fingerprint(Range),
    /// It was told our items in the range.
    List {
        range: Range,
        /// Last identifier of the parts of its answer so far.
        after: Option<u128>,
    },
}

/// What will be said to questions of the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owed {
    /// That many ranges are alike.
    Same(u64),
    /// This range is not.
    Range(Range),
    /// This is what differs in a range that it listed.
    Findings {
        here: VecDeque<u128>,
        absent: Vec<u128>,
    },
}

impl Range {
    pub(super) const EVERYTHING: Self = Self {
        lower: 0,
        upper: None,
    };

    fn contains(self, id: u128) -> bool {
        id >= self.lower && self.upper.is_none_or(|upper| id < upper)
    }
}

impl Reconciler {
    /// The peer has `theirs` in that range: what will be said to it.
    pub(super) fn asked(&mut self, range: Range, theirs: &Fingerprint) -> Result<(), Broken> {
        let (start, end) = self.places(range);
        if self.items.fingerprint(start, end) != *theirs {
            return self.owe(Owed::Range(range));
        }
        if let Some(Owed::Same(count)) = self.owed.back_mut() {
            *count = count.saturating_add(1);
            return Ok(());
        }
        self.owe(Owed::Same(1))
    }

    /// Takes answers to the oldest questions.
    pub(super) fn take(&mut self, answers: &[Answer]) -> Result<(), Broken> {
        for answer in answers {
            match answer {
                Answer::Same(count) => self.same(*count)?,
                Answer::Split { first, rest } => self.split(first, rest)?,
                Answer::List(items) => self.listed(items)?,
                Answer::Differing { here, absent, more } => self.differing(here, absent, *more)?,
            }
        }
        Ok(())
    }

    /// The next message: as many answers as fit.
    pub(super) fn reply(&mut self) -> Message {
        let mut answers = Vec::new();
        let mut bytes = vec![0];
        let mut ranges: usize = 0;
        while bytes.len().saturating_add(ANSWER_BYTES_MAX) <= MESSAGE_BYTES_MAX
            && ranges.saturating_add(FAN_OUT_MAX) <= MESSAGE_RANGES_MAX
            && let Some(owed) = self.owed.pop_front()
        {
            let answer = self.answer(owed);
            answer.put(&mut bytes);
            ranges = ranges.saturating_add(answer.ranges());
            answers.push(answer);
        }
        Message::Answers(answers)
    }

    fn same(&mut self, count: u64) -> Result<(), Broken> {
        for _ in 0..count {
            let Some(Open::Fingerprint(_)) = self.open.pop_front() else {
                return Err(Broken::Unasked);
            };
        }
        Ok(())
    }

    fn split(&mut self, first: &Fingerprint, rest: &[(u128, Fingerprint)]) -> Result<(), Broken> {
        let whole = self.fingerprinted()?;
        let outside =
            |(bound, _): &(u128, Fingerprint)| *bound == whole.lower || !whole.contains(*bound);
        if rest.iter().any(outside) {
            return Err(Broken::OutOfRange);
        }
        let mut lower = whole.lower;
        let mut theirs = first;
        for (bound, fingerprint) in rest {
            let upper = Some(*bound);
            self.asked(Range { lower, upper }, theirs)?;
            lower = *bound;
            theirs = fingerprint;
        }
        let upper = whole.upper;
        self.asked(Range { lower, upper }, theirs)
    }

    fn listed(&mut self, theirs: &[(u128, ItemTag)]) -> Result<(), Broken> {
        let range = self.fingerprinted()?;
        if theirs.iter().any(|(id, _)| !range.contains(*id)) {
            return Err(Broken::OutOfRange);
        }
        let (start, end) = self.places(range);
        let absent: Vec<u128> = theirs
            .iter()
            .map(|(id, _)| *id)
            .filter(|id| !self.items.contains(*id))
            .collect();
        let known = |id: &u128| theirs.binary_search_by_key(id, |(id, _)| *id).ok();
        let mut here = VecDeque::new();
        for (id, tag) in self.items.tagged(start, end) {
            match known(&id).and_then(|place| theirs.get(place)) {
                Some((_, same)) if *same == tag => {}
                Some(_) => {
                    here.push_back(id);
                    self.found.different.push(id.to_be_bytes());
                }
                None => {
                    here.push_back(id);
                    self.found.missing_there.push(id.to_be_bytes());
                }
            }
        }
        for id in &absent {
            self.found.missing_here.push(id.to_be_bytes());
        }
        self.refuse_too_many_findings()?;
        self.owe(Owed::Findings { here, absent })
    }

    fn differing(&mut self, here: &[u128], absent: &[u128], more: bool) -> Result<(), Broken> {
        let Some(Open::List { range, after }) = self.open.pop_front() else {
            return Err(Broken::Unasked);
        };
        if here.iter().chain(absent).any(|id| !range.contains(*id)) {
            return Err(Broken::OutOfRange);
        }
        let repeated = after.is_some_and(|after| {
            !absent.is_empty() || here.first().is_none_or(|first| *first <= after)
        });
        let unfounded = |id: &u128| !self.items.contains(*id) || here.binary_search(id).is_ok();
        if repeated || (more && here.is_empty()) || absent.iter().any(unfounded) {
            return Err(Broken::Contradiction);
        }
        for id in absent {
            self.found.missing_there.push(id.to_be_bytes());
        }
        for id in here {
            let list = if self.items.contains(*id) {
                &mut self.found.different
            } else {
                &mut self.found.missing_here
            };
            list.push(id.to_be_bytes());
        }
        self.refuse_too_many_findings()?;
        if more {
            let after = here.last().copied();
            self.open.push_front(Open::List { range, after });
        }
        Ok(())
    }

    /// What is said to one thing owed; what it asks is noted.
    fn answer(&mut self, owed: Owed) -> Answer {
        match owed {
            Owed::Same(count) => Answer::Same(count),
            Owed::Range(range) => self.refined(range),
            Owed::Findings { mut here, absent } => {
                let rest = here.split_off(here.len().min(PART_IDS_MAX));
                let more = !rest.is_empty();
                if more {
                    self.owed.push_front(Owed::Findings {
                        here: rest,
                        absent: Vec::new(),
                    });
                }
                Answer::Differing {
                    here: here.into(),
                    absent,
                    more,
                }
            }
        }
    }

    /// A range in parts, or its items if they are few.
    fn refined(&mut self, range: Range) -> Answer {
        let (start, end) = self.places(range);
        let count = end.saturating_sub(start);
        if count <= LIST_ITEMS_MAX {
            self.open.push_back(Open::List { range, after: None });
            return Answer::List(self.items.tagged(start, end).collect());
        }
        let parts = count.div_ceil(PART_ITEMS).clamp(2, FAN_OUT_MAX);
        let mut lower = range.lower;
        let mut place = start;
        let mut fingerprints = Vec::with_capacity(parts);
        let mut bounds = Vec::with_capacity(parts);
        for part in 1..=parts {
            let share = count.saturating_mul(part).checked_div(parts);
            let next = start.saturating_add(share.unwrap_or(count));
            let upper = match part {
                _ if part == parts => range.upper,
                _ => self.bound_at(next),
            };
            self.open
                .push_back(Open::Fingerprint(Range { lower, upper }));
            fingerprints.push(self.items.fingerprint(place, next));
            if part < parts {
                lower = upper.unwrap_or(u128::MAX);
                bounds.push(lower);
            }
            place = next;
        }
        let mut fingerprints = fingerprints.into_iter();
        Answer::Split {
            first: fingerprints.next().unwrap_or_default(),
            rest: bounds.into_iter().zip(fingerprints).collect(),
        }
    }

    /// The shortest bound between the item at `place` and the one before it.
    fn bound_at(&self, place: usize) -> Option<u128> {
        let above = self.items.id(place)?;
        let below = self.items.id(place.checked_sub(1)?)?;
        let shared_bytes = (above ^ below).leading_zeros() / 8;
        let dropped = 15_u32.saturating_sub(shared_bytes).saturating_mul(8);
        let kept = u128::MAX.checked_shl(dropped).unwrap_or(0);
        Some(above & kept)
    }

    fn places(&self, range: Range) -> (usize, usize) {
        let start = self.items.place(Some(range.lower));
        (start, self.items.place(range.upper).max(start))
    }

    fn fingerprinted(&mut self) -> Result<Range, Broken> {
        match self.open.pop_front() {
            Some(Open::Fingerprint(range)) => Ok(range),
            Some(Open::List { .. }) | None => Err(Broken::Unasked),
        }
    }

    fn owe(&mut self, owed: Owed) -> Result<(), Broken> {
        if self.owed.len() >= OWED_MAX {
            return Err(Broken::TooManyQuestions);
        }
        self.owed.push_back(owed);
        Ok(())
    }

    /// What this side has is bounded by itself; what the peer claims is not.
    fn refuse_too_many_findings(&self) -> Result<(), Broken> {
        if self.found.missing_here.len() > FINDINGS_MAX {
            return Err(Broken::TooManyFindings);
        }
        Ok(())
    }
}
