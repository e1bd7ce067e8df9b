//! What was done in worlds and what it led to, counted: to know what runs are worth.

use std::collections::BTreeMap;
use std::fmt;

/// What a run led to, each at least once in some hundred worlds.
pub const EFFECTS: [&str; 43] = [
    ADMITTED,
    GROUPS,
    ACKNOWLEDGED,
    REFUSED_WRITE,
    "connections",
    "connections lost or closed",
    "restarts",
    "power cuts",
    "stores that could write no more",
    "clocks set while a node runs",
    "messages held up on a cut way",
    "frames left out",
    "frames sent twice",
    "frames altered",
    "frames cut short",
    "entries forged",
    "entries moved to another document",
    "entries given another place",
    "entries refused by signature or chain",
    "stops raised: an entry was refused",
    "stops told to a peer",
    "stops ended",
    "deliveries that waited for room",
    "logs withdrawn from a peer",
    "comparisons, equal",
    "erasures acknowledged",
    "erasures known to a node",
    "members put on hold",
    "members let in again",
    "members revoked",
    "stores put back to an older state",
    "losses told by a peer",
    RECOVERED,
    "copies refused",
    "copies settled by choice",
    "documents damaged and found",
    "documents repaired",
    "projects offered",
    "offers accepted",
    "offers refused",
    "offers withdrawn",
    "projects handed over",
    "projects given back",
];

pub(super) const ADMITTED: &str = "entries admitted";
pub(super) const GROUPS: &str = "groups of several entries admitted";
pub(super) const ACKNOWLEDGED: &str = "writes acknowledged";
pub(super) const REFUSED_WRITE: &str = "commands refused";
pub(super) const RECOVERED: &str = "losses fetched back or settled";

/// How often each thing was done, and each effect seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    acts: BTreeMap<&'static str, u64>,
    effects: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// An act was done.
    pub(super) fn act(&mut self, name: &'static str) {
        *self.acts.entry(name).or_default() += 1;
    }

    /// Something was seen once.
    pub(super) fn count(&mut self, effect: &'static str) {
        self.count_many(effect, 1);
    }

    /// Something was seen so often.
    pub(super) fn count_many(&mut self, effect: &'static str, times: u64) {
        *self.effects.entry(effect).or_default() += times;
    }

    /// How often an act was done.
    pub fn acts(&self, name: &str) -> u64 {
        self.acts.get(name).copied().unwrap_or(0)
    }

    /// How often an effect was seen.
    pub fn effects(&self, name: &str) -> u64 {
        self.effects.get(name).copied().unwrap_or(0)
    }

    /// Adds another run's numbers.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.acts, &other.acts),
            (&mut self.effects, &other.effects),
        ] {
            for (name, times) in theirs {
                *mine.entry(name).or_default() += times;
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "what was done:")?;
        for (name, times) in &self.acts {
            writeln!(formatter, "{times:>12}  {name}")?;
        }
        writeln!(formatter, "what it led to:")?;
        for (name, times) in &self.effects {
            writeln!(formatter, "{times:>12}  {name}")?;
        }
        Ok(())
    }
}
