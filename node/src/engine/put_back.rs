//! A district's folder that was put back or copied: what its offices know of people is held back
//! until a peer has told what was erased since.
//!
//! Found at the start, because the store's folder is another one than it was, or from a peer that
//! holds more of an own log than there is. Ends when a link has compared all that both hold, with
//! the erasures carried out again in the same commit, or by an administrator's word.

use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use raccordo_config::Role;
use raccordo_crdt_model::{Audience, Kind, UnixMillis};

use crate::store::{Condition, Table};

use super::commit;
use super::core::{Core, ReadFailed};
use super::draft::Draft;
use super::forget;
use super::ledger::Ledger;
use super::report;
use super::task::{Command, Done};
use super::view::CommandFailed;
use super::{Engine, Principal};

/// Meta key of what tells the store's folder from a copy of it.
const PLACE: &[u8] = b"place";
/// Meta key of since when people's records are held back, unix ms.
pub(crate) const SINCE: &[u8] = b"held-back";

/// What is told of a record that is held back, as a stable code.
pub(crate) const CODE: &str = "held_back";

/// Since when records are held back, from its row.
pub(crate) fn read(row: Option<Vec<u8>>) -> Option<i64> {
    row.and_then(|row| row.try_into().ok())
        .map(i64::from_be_bytes)
}

/// Whether records of this kind are held back in such a folder: identities, and what is said of them.
pub(crate) fn concerns(kind: Kind) -> bool {
    kind.audience() == Audience::Territory
}

/// Refuses to tell or change what is held back.
pub(crate) fn may_be_told(ledger: &Ledger, kind: Kind) -> Result<(), CommandFailed> {
    match ledger.held_back {
        Some(since) if concerns(kind) => Err(held_back(since)),
        _ => Ok(()),
    }
}

/// The same of whatever touches people.
pub(crate) fn people_may_be_told(ledger: &Ledger) -> Result<(), CommandFailed> {
    may_be_told(ledger, Kind::Person)
}

/// What is held back and what ends it, if anything is.
pub(crate) fn problem(ledger: &Ledger) -> Option<String> {
    ledger.held_back.map(sentence)
}

fn held_back(since: i64) -> CommandFailed {
    CommandFailed::WritesClosed {
        code: CODE,
        detail: sentence(since),
    }
}

fn sentence(since: i64) -> String {
    format!(
        "this folder was put back or copied (found {}): records of people are neither shown nor changed until a \
         node of the federation was reached and has told what was erased since; where none is left, an \
         administrator ends it with `raccordo recover --without-peers`",
        UnixMillis(since)
    )
}

/// Looks at the start whether the store's folder is the one that it was.
pub(crate) fn looked_at(core: Core, folder: &Path) -> Result<Core, ReadFailed> {
    match place(folder) {
        Ok(place) => looked_at_in(core, place),
        Err(failed) => {
            tracing::warn!(error = %failed, "the store's folder cannot be told from a copy of it");
            Ok(core)
        }
    }
}

/// As [`looked_at`], of a store that is in this place now.
pub(crate) fn looked_at_in(core: Core, place: Vec<u8>) -> Result<Core, ReadFailed> {
    let known = core.store.get(Table::Meta, PLACE)?;
    let moved = known.as_ref().is_some_and(|known| *known != place);
    let older = matches!(core.store.condition(), Condition::Degraded { .. });
    if known.is_none() || moved {
        let mut draft = Draft::new(&core);
        draft.batch.put(Table::Meta, PLACE.to_vec(), place);
        if moved {
            begin(&mut draft, "the store's folder is another one than it was");
        }
        if let Err(failed) = commit::commit(draft) {
            tracing::error!(reason = failed.reason, "where the store lies was not noted");
        }
    }
    // A store that takes no writes cannot keep it, and says the same at every start.
    if (moved || older) && applies(&core) && core.ledger().held_back.is_none() {
        let mut ledger = Ledger::clone(&core.ledger());
        ledger.held_back = Some(core.clock.unix_millis());
        core.publish(ledger);
    }
    Ok(core)
}

/// Begins to hold records back, with why; from now on durably, where memory alone knew of it.
pub(crate) fn begin(draft: &mut Draft<'_>, why: &str) {
    if !applies(draft.core) {
        return;
    }
    let known = draft.ledger.held_back;
    let since = known.unwrap_or(draft.now_ms);
    draft
        .batch
        .put(Table::Meta, SINCE.to_vec(), since.to_be_bytes());
    if known.is_none() {
        draft.ledger.held_back = Some(since);
        draft.audit("node", "held-back", "", why);
        tracing::error!(
            why,
            "records of people are held back until a peer has told what was erased since"
        );
    }
}

/// A district's node with others that could have heard of an erasure.
fn applies(core: &Core) -> bool {
    core.config().node.role == Role::District && core.ledger().roster.iter().next().is_some()
}

/// Ends it once all that both hold was compared with a peer, and nothing of an own log is missing.
pub(crate) fn end_if_heard(core: &Core) {
    let ledger = core.ledger();
    if ledger.held_back.is_none() || report::writes_problem(core, &ledger).is_some() {
        return;
    }
    let compared = ledger.roster.iter().find(|member| {
        let link = core.links.link(&member.key);
        link.connected && link.equal.is_some()
    });
    let Some(peer) = compared else {
        return;
    };
    let mut draft = Draft::new(core);
    if let Err(failed) = end(&mut draft, "peer", &peer.key.short()) {
        tracing::error!(error = %commit::chain(&failed), "what was erased could not be erased again");
        return;
    }
    match commit::commit(draft) {
        Ok(()) => tracing::info!("records of people are shown again"),
        Err(failed) => tracing::error!(reason = failed.reason, "records stay held back"),
    }
}

fn end(draft: &mut Draft<'_>, by: &str, detail: &str) -> Result<(), ReadFailed> {
    forget::replay(draft)?;
    draft.batch.delete(Table::Meta, SINCE.to_vec());
    draft.ledger.held_back = None;
    draft.audit(by, "shown-again", "", detail);
    Ok(())
}

/// Ends it on an administrator's word.
pub(crate) fn execute(
    draft: &mut Draft<'_>,
    reason: &str,
    by: &str,
) -> Result<Done, CommandFailed> {
    if draft.ledger.held_back.is_none() {
        return Err(CommandFailed::Conflict {
            code: "nothing_held_back",
            detail: "no record is held back here".to_owned(),
        });
    }
    end(draft, by, &format!("without peers: {reason}"))?;
    Ok(Done::Nothing)
}

impl Engine {
    /// Shows people's records again although no peer could tell what was erased since this folder was
    /// copied.
    pub async fn recover_without_peers(
        &self,
        reason: &str,
        by: &Principal,
    ) -> Result<(), CommandFailed> {
        let (reason, by) = (reason.to_owned(), by.name.clone());
        let submitted = self.hand.submit(Command::Recover { reason, by }).await;
        submitted.map(|_| ())
    }
}

/// What a copy of a folder does not have in common with it: which one it is on its disk, and since
/// when.
fn place(folder: &Path) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::MetadataExt as _;
    let about = std::fs::metadata(folder)?;
    let made = about.created().ok();
    let made = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    let made = made.map_or(0, |made| made.as_nanos());
    Ok([&about.ino().to_be_bytes()[..], &made.to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_told_from_its_copy_and_from_what_is_put_in_its_place() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("store");
        std::fs::create_dir(&folder).unwrap();
        let first = place(&folder).unwrap();
        std::fs::write(folder.join("more"), "written").unwrap();
        assert_eq!(place(&folder).unwrap(), first, "use does not change it");
        let aside = around.path().join("aside");
        std::fs::rename(&folder, &aside).unwrap();
        assert_eq!(place(&aside).unwrap(), first, "nor does a name");
        std::fs::create_dir(&folder).unwrap();
        assert_ne!(place(&folder).unwrap(), first);
        std::fs::remove_dir_all(&aside).unwrap();
        assert!(place(&aside).is_err());
    }

    #[test]
    fn what_stays_in_a_territory_is_held_back_and_nothing_else() {
        let held = |kind: &Kind| concerns(*kind);
        let kinds: Vec<Kind> = Kind::all().into_iter().filter(held).collect();
        let people = [Kind::Person, Kind::Household, Kind::Casefile, Kind::Contact];
        assert_eq!(kinds, people);
        let ledger = Ledger {
            held_back: Some(0),
            ..Ledger::default()
        };
        assert!(may_be_told(&ledger, Kind::Project).is_ok());
        let refused = may_be_told(&ledger, Kind::Contact).unwrap_err().to_string();
        assert!(refused.contains("--without-peers"), "{refused}");
        assert!(may_be_told(&Ledger::default(), Kind::Contact).is_ok());
    }
}
