//! What the stories about whole nodes stand on: processes, a network that can be cut, an HTTP
//! client, work to do, and the promises that must hold afterwards.
//!
//! Everything here drives the program from outside, as people and offices do; nothing reaches into
//! a node's memory. `eventually` is the one place that waits. A failure panics with what was seen.

pub mod below;
pub mod canaries;
pub mod chance;
pub mod copies;
pub mod eventually;
pub mod federation;
pub mod forger;
pub mod http;
pub mod invariants;
pub mod lab;
pub mod listener;
pub mod person;
pub mod process;
pub mod relay;
pub mod simulation;
pub mod stranger;
pub mod usage;
pub mod workload;
