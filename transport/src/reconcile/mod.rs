//! Which of many items two sides do not have alike, found with bytes in proportion to how many those are.
//!
//! Both sides hold (identifier, hash) items; a range whose fingerprints differ is split until it is short
//! enough to be listed. In the end both know the same: what is missing here, missing there, different.
//! Guarantees: no I/O, no clock; a message is at most [`MESSAGE_BYTES_MAX`] long and the next one waits
//! for its answer; a peer that does not get on, or says what it was not asked, is [`Broken`].
//! Does not know what an item is, nor what is done about differences.
//! Source: Meyer, arXiv 2212.13567; docs/protocol.md, "Reconciliation".
#![warn(clippy::arithmetic_side_effects)]

mod answering;
mod items;
mod message;

use std::collections::VecDeque;

pub use message::{Answer, Fingerprint, ItemTag, Message};

use crate::wire::frame::Malformed;
use answering::{Open, Owed, Range};
use items::Items;

/// Most parts of a range in one answer.
pub const FAN_OUT_MAX: usize = 16;

/// Most items of a range that is listed instead of split.
pub const LIST_ITEMS_MAX: usize = 32;

/// Most identifiers in one part of an answer to a list.
pub const PART_IDS_MAX: usize = 256;

/// Longest message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Most ranges in one message.
pub const MESSAGE_RANGES_MAX: usize = 4_096;

/// Most messages of one run, both sides' together, not counting full ones and their answers.
pub const ROUNDS_MAX: u32 = 64;

/// Most differences that one run finds on the peer's word; a run that finds more is broken.
pub const FINDINGS_MAX: usize = 1 << 20;

/// Most questions of the peer that may wait for their answers.
const OWED_MAX: usize = 1 << 18;

/// An answer is never longer, in bytes; so a message with less room than this left counts as full.
const ANSWER_BYTES_MAX: usize = 5 << 10;

/// The peer broke the rules of a run; the run is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The bytes are no message.
    #[error("a reconciliation message cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// A beginning where answers are due, or the reverse, or anything after the end.
    #[error("a reconciliation message came when none of its kind was due")]
    OutOfTurn,
    /// More answers than there were questions, or of another kind than asked for.
    #[error("a reconciliation answer came to a question that was not asked")]
    Unasked,
    /// A bound, or an identifier, lies outside the range in question.
    #[error("a reconciliation answer reaches beyond its range")]
    OutOfRange,
    /// An answer contradicts what its reader has, or what was said before.
    #[error("a reconciliation answer contradicts what was said before")]
    Contradiction,
    /// Questions stay unanswered though the message had room.
    #[error("a reconciliation message of {bytes} bytes leaves {unanswered} questions unanswered")]
    Dawdling {
        /// How long it is.
        bytes: usize,
        /// How many it should have answered.
        unanswered: usize,
    },
    /// The run does not come to its end.
    #[error("reconciliation takes more than {ROUNDS_MAX} rounds")]
    TooManyRounds,
    /// The peer asks more than can wait.
    #[error("more than {OWED_MAX} reconciliation questions wait for an answer")]
    TooManyQuestions,
    /// The peer claims more differences than are taken.
    #[error("more than {FINDINGS_MAX} differences")]
    TooManyFindings,
}

/// An identifier, and a hash of what stands under it.
pub type Item = ([u8; 16], [u8; 32]);

/// What the two sides do not have alike; each list ascends when the run is over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Differences {
    /// Only the peer has them.
    pub missing_here: Vec<[u8; 16]>,
    /// Only this side has them.
    pub missing_there: Vec<[u8; 16]>,
    /// Both have them, with different hashes.
    pub different: Vec<[u8; 16]>,
}

impl Differences {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.missing_here
            .len()
            .saturating_add(self.missing_there.len())
            .saturating_add(self.different.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What follows from a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What to say to the peer.
    pub reply: Option<Message>,
    /// Whether the run is over, once the reply is on its way.
    pub finished: bool,
}

/// One side of one run.
#[derive(Debug)]
pub struct Reconciler {
    items: Items,
    phase: Phase,
    /// What the peer asked, the oldest first, as what will be said to it.
    owed: VecDeque<Owed>,
    /// What the peer was asked, the oldest first.
    open: VecDeque<Open>,
    found: Differences,
    rounds: u32,
    /// Whether the message before, of either side, was full.
    after_full: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Fresh,
    Running,
    Over,
}

impl Reconciler {
    /// A side that has `items` (identifier, hash), under the key that both derive from their session.
    /// Costs a hash an item, and a sort unless they ascend: not for an event loop.
    pub fn new(items: Vec<Item>, key: [u8; 32]) -> Self {
        Self {
            items: Items::new(items, key),
            phase: Phase::Fresh,
            owed: VecDeque::new(),
            open: VecDeque::new(),
            found: Differences::default(),
            rounds: 0,
            after_full: false,
        }
    }

    /// How many items this side has.
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether this side has no items.
    pub const fn is_empty(&self) -> bool {
        self.items.len() == 0
    }

    /// Opens the run from this side; the message for the peer.
    pub fn start(&mut self) -> Message {
        self.phase = Phase::Running;
        self.open.push_back(Open::Fingerprint(Range::EVERYTHING));
        Message::Begin(self.items.fingerprint(0, self.items.len()))
    }

    /// Takes the peer's message. After an error the run is worth nothing.
    pub fn step(&mut self, message: &Message) -> Result<Step, Broken> {
        match (self.phase, message) {
            (Phase::Fresh, Message::Begin(theirs)) => {
                self.phase = Phase::Running;
                self.asked(Range::EVERYTHING, theirs)?;
            }
            (Phase::Running, Message::Answers(answers)) => {
                self.count_round(is_full(message))?;
                self.take(answers)?;
                if !self.open.is_empty() && !is_full(message) {
                    return Err(Broken::Dawdling {
                        bytes: message.encode().len(),
                        unanswered: self.open.len(),
                    });
                }
            }
            _ => return Err(Broken::OutOfTurn),
        }
        let reply = (!self.is_settled()).then(|| self.reply());
        if let Some(reply) = &reply {
            self.count_round(is_full(reply))?;
        }
        let finished = self.is_settled();
        if finished {
            self.finish();
        }
        Ok(Step { reply, finished })
    }

    /// What is known to differ; complete when a step said that the run is over.
    pub const fn differences(&self) -> &Differences {
        &self.found
    }

    /// What differs, after a step said that the run is over.
    pub fn into_differences(self) -> Differences {
        self.found
    }

    /// How many messages of the run so far were not full.
    pub const fn rounds(&self) -> u32 {
        self.rounds
    }

    fn is_settled(&self) -> bool {
        self.owed.is_empty() && self.open.is_empty()
    }

    fn finish(&mut self) {
        self.phase = Phase::Over;
        self.found.missing_here.sort_unstable();
        self.found.missing_there.sort_unstable();
        self.found.different.sort_unstable();
    }

    /// A long list of differences takes many messages, but then one of two is full.
    fn count_round(&mut self, full: bool) -> Result<(), Broken> {
        if !full && !self.after_full {
            self.rounds = self.rounds.saturating_add(1);
        }
        self.after_full = full;
        if self.rounds > ROUNDS_MAX {
            return Err(Broken::TooManyRounds);
        }
        Ok(())
    }
}

/// Whether another answer might not have fitted.
fn is_full(message: &Message) -> bool {
    let Message::Answers(answers) = message else {
        return false;
    };
    let ranges = answers
        .iter()
        .fold(0_usize, |sum, answer| sum.saturating_add(answer.ranges()));
    ranges.saturating_add(FAN_OUT_MAX) > MESSAGE_RANGES_MAX
        || message.encode().len().saturating_add(ANSWER_BYTES_MAX) > MESSAGE_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(numbers: std::ops::Range<u32>) -> Vec<([u8; 16], [u8; 32])> {
        numbers
            .map(|number| {
                let mut id = [0; 16];
                id[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
                (id, [7; 32])
            })
            .collect()
    }

    fn begun(count: u32) -> Reconciler {
        let mut side = Reconciler::new(items(0..count), [1; 32]);
        side.start();
        side
    }

    fn said(side: &mut Reconciler, answers: Vec<Answer>) -> Broken {
        side.step(&Message::Answers(answers)).unwrap_err()
    }

    fn differing(here: Vec<u128>, absent: Vec<u128>, more: bool) -> Answer {
        Answer::Differing { here, absent, more }
    }

    #[test]
    fn what_was_not_asked_breaks_the_run() {
        assert_eq!(said(&mut begun(5), vec![Answer::Same(2)]), Broken::Unasked);
        let unasked = differing(Vec::new(), Vec::new(), false);
        assert_eq!(said(&mut begun(5), vec![unasked]), Broken::Unasked);
        let mut fresh = Reconciler::new(items(0..5), [1; 32]);
        assert_eq!(said(&mut fresh, Vec::new()), Broken::OutOfTurn);
        let begin = Message::Begin([0; 16]);
        assert_eq!(begun(5).step(&begin).unwrap_err(), Broken::OutOfTurn);
    }

    #[test]
    fn a_message_that_leaves_questions_open_though_it_had_room_breaks_the_run() {
        assert_eq!(
            said(&mut begun(5), Vec::new()),
            Broken::Dawdling {
                bytes: 1,
                unanswered: 1
            }
        );
    }

    #[test]
    fn nothing_follows_the_end() {
        let mut side = begun(5);
        let step = side.step(&Message::Answers(vec![Answer::Same(1)])).unwrap();
        assert_eq!((step.reply, step.finished), (None, true));
        assert_eq!(said(&mut side, Vec::new()), Broken::OutOfTurn);
    }

    /// A run at the point where this side, with few items, has listed them.
    fn listed() -> (Reconciler, Vec<u128>) {
        let mut side = Reconciler::new(items(0..5), [1; 32]);
        let step = side.step(&Message::Begin([0; 16])).unwrap();
        let Some(Message::Answers(answers)) = step.reply else {
            panic!("a list was due");
        };
        let [Answer::List(items)] = answers.as_slice() else {
            panic!("a list was due: {answers:?}");
        };
        let ids = items.iter().map(|(id, _)| *id).collect();
        (side, ids)
    }

    #[test]
    fn findings_that_contradict_what_this_side_has_break_the_run() {
        let (mut side, _) = listed();
        let never_there = differing(Vec::new(), vec![1], false);
        assert_eq!(said(&mut side, vec![never_there]), Broken::Contradiction);
        let (mut side, ids) = listed();
        let both = differing(vec![ids[0]], vec![ids[0]], false);
        assert_eq!(said(&mut side, vec![both]), Broken::Contradiction);
        let (mut side, ids) = listed();
        let first = differing(vec![ids[1]], Vec::new(), true);
        let again = differing(vec![ids[1]], Vec::new(), false);
        assert_eq!(said(&mut side, vec![first, again]), Broken::Contradiction);
        let (mut side, ids) = listed();
        let first = differing(vec![ids[1]], Vec::new(), true);
        let late = differing(Vec::new(), vec![ids[0]], false);
        assert_eq!(said(&mut side, vec![first, late]), Broken::Contradiction);
        let (mut side, _) = listed();
        let empty = differing(Vec::new(), Vec::new(), true);
        assert_eq!(said(&mut side, vec![empty]), Broken::Contradiction);
    }

    #[test]
    fn a_list_may_not_be_answered_with_another_question() {
        let (mut side, _) = listed();
        assert_eq!(
            said(&mut side, vec![Answer::List(Vec::new())]),
            Broken::Unasked
        );
    }

    #[test]
    fn parts_and_items_beyond_their_range_break_the_run() {
        let mut side = begun(1_000);
        let halves = Answer::Split {
            first: [0; 16],
            rest: vec![(1 << 127, [0; 16])],
        };
        let step = side.step(&Message::Answers(vec![halves])).unwrap();
        let Some(Message::Answers(answers)) = step.reply else {
            panic!("two splits were due");
        };
        let asked: usize = answers.iter().map(Answer::ranges).sum();
        assert_eq!(asked, 32, "{answers:?}");
        let above = Answer::Split {
            first: [0; 16],
            rest: vec![(u128::MAX, [0; 16])],
        };
        assert_eq!(said(&mut side, vec![above]), Broken::OutOfRange);
    }

    fn last(range: Range) -> u128 {
        range
            .upper
            .map_or(u128::MAX, |upper| upper.saturating_sub(1))
    }

    #[test]
    fn a_peer_that_splits_without_end_is_left() {
        let mut side = begun(4_000);
        let mut rounds = 0;
        let outcome = loop {
            let question = side.open.front().cloned();
            let answer = match question {
                Some(Open::Fingerprint(range)) if range.lower < last(range) => Answer::Split {
                    first: [0; 16],
                    rest: vec![(last(range), [0; 16])],
                },
                Some(Open::Fingerprint(_)) => Answer::List(Vec::new()),
                Some(Open::List { .. }) => differing(Vec::new(), Vec::new(), false),
                None => break Ok(()),
            };
            let all = side
                .open
                .iter()
                .skip(1)
                .map(|open| match open {
                    Open::Fingerprint(_) => Answer::Same(1),
                    Open::List { .. } => differing(Vec::new(), Vec::new(), false),
                })
                .collect::<Vec<_>>();
            let message = Message::Answers([vec![answer], all].concat());
            match side.step(&message) {
                Ok(step) if step.finished => break Ok(()),
                Ok(_) => rounds += 1,
                Err(broken) => break Err(broken),
            }
        };
        assert_eq!(outcome, Ok(()), "this side's own splits come to an end");
        assert!(rounds <= 8, "{rounds}");
    }
}
