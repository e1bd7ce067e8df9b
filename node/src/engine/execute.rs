//! Whether a command may be carried out now, and who carries it out.
//!
//! One place for what forbids writing: an own log that is being fetched back, a second node with
//! this one's key, people's records that are held back. Does not commit.

use super::core::Core;
use super::draft::Draft;
use super::ledger::Ledger;
use super::peers::PeerCommand;
use super::quarantine::QuarantineCommand;
use super::task::{Command, Done};
use super::view::CommandFailed;
use super::{
    accounts, forget, import, local, peers, publish, put_back, quarantine, repair, report, seen,
    tokens, transfer,
};

/// Whether a command may write now: what goes into an own log may not while its end is being
/// fetched back, or while another node writes it.
pub(super) fn may_write(
    core: &Core,
    draft: &Draft<'_>,
    command: &Command,
) -> Result<(), CommandFailed> {
    let own = match command {
        Command::Peer(PeerCommand::Choose { .. }, _)
        | Command::Token(..)
        | Command::Account(_)
        | Command::Audit(_)
        | Command::Quarantine(_)
        | Command::Seen { .. }
        | Command::Repair(_) => false,
        Command::Create { .. }
        | Command::Patch { .. }
        | Command::Import(_)
        | Command::Peer(..)
        | Command::Erase { .. }
        | Command::Publish(_)
        | Command::Recover { .. }
        | Command::Transfer(_) => true,
    };
    touches_people(&draft.ledger, command)?;
    publish::by_hand(command)?;
    match report::writes_problem(core, &draft.ledger) {
        Some((code, detail)) if own => Err(CommandFailed::WritesClosed { code, detail }),
        _ => Ok(()),
    }
}

/// Refuses what would show or change people's records while they are held back.
fn touches_people(ledger: &Ledger, command: &Command) -> Result<(), CommandFailed> {
    match command {
        Command::Create { kind, fields, .. } => {
            if fields.pointer("/subject/person").is_some() {
                put_back::people_may_be_told(ledger)?;
            }
            put_back::may_be_told(ledger, *kind)
        }
        Command::Patch { kind, .. } | Command::Erase { kind, .. } => {
            put_back::may_be_told(ledger, *kind)
        }
        Command::Transfer(_) | Command::Publish(_) => put_back::people_may_be_told(ledger),
        Command::Import(portion) => {
            let mut kinds = portion.records.iter().map(|record| record.kind);
            kinds.try_for_each(|kind| put_back::may_be_told(ledger, kind))
        }
        _ => Ok(()),
    }
}

/// Does what a command asks for; everything enters one draft.
pub(super) fn execute(draft: &mut Draft<'_>, command: Command) -> Result<Done, CommandFailed> {
    draft.knows_protected = !matches!(
        command,
        Command::Create { blind: true, .. } | Command::Patch { blind: true, .. }
    );
    match command {
        Command::Create {
            kind, fields, by, ..
        } => local::create(draft, kind, &fields, &by),
        Command::Patch {
            kind,
            id,
            patch,
            base,
            by,
            ..
        } => local::patch(draft, kind, id, &patch, base.as_ref(), &by),
        Command::Publish(command) => publish::execute(draft, command),
        Command::Import(portion) => import::run(draft, portion),
        Command::Peer(command, by) => peers::execute(draft, command, &by),
        Command::Token(command, by) => tokens::execute(draft, command, &by),
        Command::Account(command) => accounts::execute(draft, command),
        Command::Audit(observed) => {
            observed.note(draft);
            Ok(Done::Nothing)
        }
        Command::Quarantine(QuarantineCommand::Discard { place, reason, by }) => {
            quarantine::discard(draft, place, &reason, &by)
        }
        // A retry is admission and no command: the writer sends it there.
        Command::Quarantine(QuarantineCommand::Retry { place, .. }) => {
            Err(quarantine::unknown(place))
        }
        Command::Repair(command) => Ok(repair::execute(draft, command)),
        Command::Seen { peer, seen } => {
            seen::heard(draft, &peer, &seen)?;
            Ok(Done::Nothing)
        }
        Command::Erase {
            kind,
            id,
            reason,
            by,
        } => forget::order(draft, kind, id, &reason, &by),
        Command::Transfer(command) => transfer::execute(draft, command),
        Command::Recover { reason, by } => put_back::execute(draft, &reason, &by),
    }
}
