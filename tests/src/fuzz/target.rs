//! What a door is to the fuzzer, and the table of all doors.
//!
//! A new door is a type with these four functions and a line in [`all`].

use raccordo_tests::chance::Chance;

use crate::doors::{
    change, config, entry, frame, hello, import_line, parcel, patch, reconcile, roster, snapshot,
};

/// What a door says of an input.
pub(crate) enum Answer<'a> {
    /// Not let in, and why.
    Refused(String),
    /// Let in; whether what it became is sound is asked apart, without regard to time.
    In(Box<dyn FnOnce() -> Result<(), String> + 'a>),
}

impl<'a> Answer<'a> {
    /// Let in, with the question whether what it became is sound.
    pub(crate) fn is_in(sound: impl FnOnce() -> Result<(), String> + 'a) -> Self {
        Self::In(Box::new(sound))
    }
}

/// A door through which foreign bytes come.
pub(crate) trait Target {
    /// The word on the command line.
    fn name(&self) -> &'static str;
    /// Inputs that are let in, or nearly: where mutation begins.
    fn seeds(&self) -> Vec<Vec<u8>>;
    /// The heaviest inputs that the limits let in: tried first in every run, never mutated.
    fn heavy(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
    /// One input, by chance alone.
    fn input(&self, chance: &mut Chance) -> Vec<u8>;
    /// Does with an input what the node does with one. May panic, which is a failure.
    fn feed(&self, input: &[u8]) -> Answer<'_>;
}

/// All doors.
pub(crate) fn all() -> Vec<Box<dyn Target>> {
    vec![
        Box::new(frame::Frames),
        Box::new(hello::Hellos::new()),
        Box::new(entry::Entries::new()),
        Box::new(change::Changes::new()),
        Box::new(snapshot::Snapshots::new()),
        Box::new(parcel::Parcels::new()),
        Box::new(reconcile::Runs),
        Box::new(roster::Facts),
        Box::new(import_line::Lines::new()),
        Box::new(patch::Patches::new()),
        Box::new(config::Texts),
    ]
}
