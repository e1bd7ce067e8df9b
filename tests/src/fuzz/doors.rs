//! The doors of the record model: a change, a whole document, a line of a file, a patch.

pub(crate) mod change;
pub(crate) mod import_line;
pub(crate) mod patch;
pub(crate) mod snapshot;
