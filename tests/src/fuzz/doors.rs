//! The doors through which foreign bytes come: streams, entries, documents, facts, files, requests.

pub(crate) mod change;
pub(crate) mod config;
pub(crate) mod entry;
pub(crate) mod frame;
pub(crate) mod hello;
pub(crate) mod import_line;
pub(crate) mod parcel;
pub(crate) mod patch;
pub(crate) mod reconcile;
pub(crate) mod roster;
pub(crate) mod snapshot;
