//! Rules of a handing-over: what a project allows meanwhile, and the codes of what is refused.
//!
//! Who may answer a transfer, and when, is decided where nodes are known.

use serde_json::Value;

use crate::problem::{Filled, Problem};
use crate::schema::Kind;

/// A record that is being handed over, or was.
pub const LOCKED: &str = "locked_by_transfer";
/// Two nodes of a receiver took the same project over.
pub(super) const ACCEPTED_TWICE: &str = "accepted_twice";
/// What a transfer's state does not allow any more, or not yet.
pub const NOT_OPEN: &str = "transfer_not_open";
/// A project that stays in its territory cannot be handed to another.
pub const OF_LOCAL: &str = "transfer_of_local";
/// A protected person would go along.
pub const OF_PROTECTED: &str = "transfer_of_protected";
/// Whom a project is about cannot be told for certain.
pub const SUBJECT_UNCLEAR: &str = "transfer_subject_unclear";
/// A project whose state waits for a choice.
pub const UNDECIDED: &str = "transfer_undecided";
/// The receiver has no node that could open what is sealed.
pub const NO_RECEIVER: &str = "transfer_without_receiver";
/// What this node says is not heard by another district before it is confirmed.
pub const NOT_CONFIRMED: &str = "transfer_not_confirmed";
/// More than one transfer carries.
pub const TOO_LARGE: &str = "transfer_too_large";
/// Sealed before this node was there, or not whole yet.
pub const NOT_READABLE: &str = "transfer_not_readable";
/// A transfer or a locked project is changed by the commands of the transfer alone.
pub const BY_COMMAND: &str = "transfer_by_command";

/// Somebody here has the fiscal code of who arrives, and nobody has said whether it is the same.
pub const PERSON_HERE: &str = "transfer_person_here";
/// Who is said to arrive cannot be who arrives.
pub const OTHER_PERSON: &str = "transfer_other_person";

/// The state in which a record is being handed over.
const TRANSFERRING: &str = "transferring";
/// The state of a record that another took the place of.
const TRANSFERRED: &str = "transferred";

/// What a record that is being handed over does not allow: of an edit below these keys, which made
/// an entry or changed what was there.
pub(crate) fn locked(
    kind: Kind,
    state: Option<&str>,
    way: &[String],
    makes: bool,
) -> Result<(), Problem> {
    let given = match state {
        Some(TRANSFERRING) => false,
        Some(TRANSFERRED) => true,
        _ => return Ok(()),
    };
    let root = way.first().map(String::as_str);
    let appends = way.len() == 2 && makes && !given;
    match root {
        _ if kind != Kind::Project => Ok(()),
        Some("state" | "links") => Ok(()),
        Some("reviews") if appends => Ok(()),
        _ => {
            let detail = if given {
                "the project was transferred and is read only: go on in the one that took its place"
            } else {
                "the project is being transferred and locked: only reviews may be added, \
                 until the transfer is accepted, refused or withdrawn"
            };
            let mut path = String::new();
            for key in way {
                path.push('/');
                path.push_str(&crate::command::escape(key));
            }
            let variant = if given { "given" } else { "" };
            Err(Problem::new(path, LOCKED, detail).said(variant, &[]))
        }
    }
}

/// Of two projects made of one transfer, the one that does not count says so.
pub(super) fn accepted_twice(record: &Value, out: &mut Vec<Problem>) {
    let instead = record.pointer("/links/instead").and_then(Value::as_str);
    if let Some(instead) = instead {
        let detail = format!("two nodes took the project over: {instead} counts");
        let problem = Problem::new("/links/instead", ACCEPTED_TWICE, detail);
        out.push(problem.said("", &[("instead", Filled::text(instead))]));
    }
}
