//! The `raccordo` program: parse, dispatch, exit status.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use raccordo_node::cli::{Arguments, dispatch};

/// Documents are thousands of small allocations: the system's allocator took a quarter of the
/// time of an import and gave little of its memory back.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Huge pages would make a node that holds tens of megabytes take hundreds. Only memory depends
    // on it, so a system that refuses is none the worse.
    rustix::thread::disable_transparent_huge_pages(true).ok();
    dispatch::dispatch(Arguments::parse())
}
