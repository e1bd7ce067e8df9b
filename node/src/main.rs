//! The `raccordo` program: parse, dispatch, exit status.

use std::process::ExitCode;

use clap::Parser;
use raccordo_node::cli::{Arguments, dispatch};

fn main() -> ExitCode {
    dispatch::dispatch(Arguments::parse())
}
