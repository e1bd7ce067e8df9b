//! Two nodes with one key: recognised by their starts, the later one kept out until a person chooses.
//!
//! Every start of a node has an incarnation of its own. One that was seen before and is not the
//! newest, or one that comes while another still answers, is a copy's. Nobody can tell which of the
//! two is the copy: an administrator chooses. In memory, and kept by the writer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use raccordo_crdt_model::UnixMillis;
use raccordo_transport::PeerId;

use super::commit::{self, NotStored};
use super::core::Core;
use super::draft::Draft;
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::ledger::Ledger;
use super::task::Done;
use super::view::CommandFailed;
use crate::store::Table;

const VERSION: u8 = 1;
const ROWS: &[u8] = b"starts/";
/// The prefix of the rows of peers that keep this node out as a copy.
pub(crate) const KEPT_OUT: &[u8] = b"cloned/";
/// Most starts of one member that are remembered.
const STARTS_MAX: usize = 64;

/// One start of a member's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) incarnation: [u8; 8],
    /// When it was first seen, unix ms.
    pub(crate) at_ms: i64,
}

/// The starts of one member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Starts {
    /// In the order in which they were first seen; the newest is the one let in.
    seen: Vec<Start>,
    /// Those that came while another was let in; none unless a person has to choose.
    contenders: Vec<Start>,
    /// Those that a person chose against.
    retired: Vec<Start>,
    /// An older one that said hello once: a dead node's last word may come late. Not kept.
    suspect: Option<[u8; 8]>,
}

/// What is to be done about a start that says hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the one that is let in.
    Welcome,
    /// It is let in, and news.
    Newest,
    /// It is kept out.
    KeptOut,
}

/// The starts of all members.
#[derive(Debug, Default)]
pub(crate) struct CloneBoard {
    starts: Mutex<BTreeMap<PeerId, Starts>>,
    /// Whose hello was answered by sending it away, until that link has ended.
    sent_away: Mutex<BTreeSet<PeerId>>,
}

impl CloneBoard {
    /// As the rows were left.
    pub(crate) fn read(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, BadRow> {
        let mut starts = BTreeMap::new();
        for (key, value) in rows {
            let key = key.get(ROWS.len()..).and_then(|key| key.try_into().ok());
            if let Some(key) = key {
                starts.insert(PeerId::from_bytes(key), Starts::decode(&value)?);
            }
        }
        Ok(Self {
            starts: Mutex::new(starts),
            sent_away: Mutex::default(),
        })
    }

    /// A member's node says hello.
    pub(crate) fn judge(&self, peer: &PeerId, incarnation: [u8; 8], at_ms: i64) -> Verdict {
        let start = Start { incarnation, at_ms };
        let verdict = self.lock().entry(*peer).or_default().judge(start);
        if verdict == Verdict::KeptOut {
            self.away().insert(*peer);
        }
        verdict
    }

    /// Whether it was this side that ended the link which has just ended.
    pub(crate) fn was_sent_away(&self, peer: &PeerId) -> bool {
        self.away().remove(peer)
    }

    /// A second node with a member's key came while the first still answered.
    pub(crate) fn contend(&self, peer: &PeerId, incarnation: [u8; 8], at_ms: i64) {
        let start = Start { incarnation, at_ms };
        self.lock().entry(*peer).or_default().contend(start);
    }

    /// A person chose one of a member's starts, by the first digits of its incarnation.
    pub(crate) fn choose(&self, peer: &PeerId, prefix: &str) -> Result<Start, CommandFailed> {
        self.lock().entry(*peer).or_default().choose(prefix)
    }

    /// Whether that start is the one let in; true if there is none.
    pub(crate) fn is_let_in(&self, peer: &PeerId, incarnation: Option<[u8; 8]>) -> bool {
        let newest = self.of(peer).seen.last().map(|start| start.incarnation);
        let let_in = incarnation.is_none() || incarnation == newest;
        if !let_in {
            self.away().insert(*peer);
        }
        let_in
    }

    /// One member's starts.
    pub(crate) fn of(&self, peer: &PeerId) -> Starts {
        self.lock().get(peer).cloned().unwrap_or_default()
    }

    fn away(&self) -> MutexGuard<'_, BTreeSet<PeerId>> {
        self.sent_away
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Starts>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Starts {
    fn judge(&mut self, start: Start) -> Verdict {
        let is = |other: &Start| other.incarnation == start.incarnation;
        if self.retired.iter().any(is) {
            return Verdict::KeptOut;
        }
        if self.seen.last().is_some_and(is) {
            return Verdict::Welcome;
        }
        if self.seen.iter().any(is) || !self.contenders.is_empty() {
            let again = self.suspect.replace(start.incarnation) == Some(start.incarnation);
            if again || !self.contenders.is_empty() {
                self.contend(start);
            }
            return Verdict::KeptOut;
        }
        self.seen.push(start);
        shorten(&mut self.seen);
        Verdict::Newest
    }

    fn contend(&mut self, start: Start) {
        let known = |other: &Start| other.incarnation == start.incarnation;
        if !self.contenders.iter().any(known) {
            self.contenders.push(start);
            shorten(&mut self.contenders);
        }
    }

    fn choose(&mut self, prefix: &str) -> Result<Start, CommandFailed> {
        let prefix = prefix.to_lowercase();
        let fits = |start: &&Start| HEXLOWER.encode(&start.incarnation).starts_with(&prefix);
        let mut found: Vec<Start> = self.rivals().filter(fits).copied().collect();
        found.dedup_by_key(|start| start.incarnation);
        let chosen = match found.as_slice() {
            [only] => *only,
            _ => {
                let rivals: Vec<String> = self
                    .rivals()
                    .map(|start| HEXLOWER.encode(&start.incarnation))
                    .collect();
                let rivals = if rivals.is_empty() {
                    "nothing is to be chosen".to_owned()
                } else {
                    format!("choose one of {}", rivals.join(", "))
                };
                let detail = format!("{prefix} names no start of that node alone: {rivals}");
                return Err(CommandFailed::Conflict {
                    code: "no_such_incarnation",
                    detail,
                });
            }
        };
        let others = |start: &Start| start.incarnation != chosen.incarnation;
        self.retired
            .extend(self.contenders.drain(..).filter(others));
        self.retired.extend(self.seen.drain(..).filter(others));
        self.retired.retain(others);
        shorten(&mut self.retired);
        self.seen = vec![chosen];
        Ok(chosen)
    }

    /// Those between which a person has to choose: the one let in, and those kept out.
    pub(crate) fn rivals(&self) -> impl Iterator<Item = &Start> {
        let any = !self.contenders.is_empty();
        let seen = self.seen.last().filter(|_| any);
        let newest = seen.map(|start| start.incarnation);
        let others = self.contenders.iter();
        seen.into_iter()
            .chain(others.filter(move |start| Some(start.incarnation) != newest))
    }

    /// One sentence for the administrator who has to choose, if so.
    pub(crate) fn problem(&self) -> Option<String> {
        let tell = |start: &Start| {
            format!(
                "{} (since {})",
                HEXLOWER.encode(&start.incarnation),
                UnixMillis(start.at_ms)
            )
        };
        let rivals: Vec<String> = self.rivals().map(tell).collect();
        let (first, others) = rivals.split_first()?;
        Some(format!(
            "several nodes use this key, one is a copy of the other: {first} is let in, {} is kept out; choose with `raccordo peer choose ID --incarnation PREFIX`",
            others.join(", ")
        ))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        for list in [&self.seen, &self.contenders, &self.retired] {
            out.u8(u8::try_from(list.len()).expect("at most 64 are kept"));
            for start in list {
                out.fixed(&start.incarnation).i64(start.at_ms);
            }
        }
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("starts", VERSION, bytes)?;
        let mut starts = Self::default();
        for list in [
            &mut starts.seen,
            &mut starts.contenders,
            &mut starts.retired,
        ] {
            for _ in 0..row.u8()? {
                list.push(Start {
                    incarnation: row.array()?,
                    at_ms: row.i64()?,
                });
            }
        }
        Ok(starts)
    }
}

/// Meta key of a member's starts.
pub(crate) fn row_key(peer: &PeerId) -> Vec<u8> {
    [ROWS, peer.as_bytes()].concat()
}

/// Lets in the start of a member's node that a person chose, and its others never again.
pub(crate) fn choose(
    draft: &mut Draft<'_>,
    peer: PeerId,
    prefix: &str,
    by: &str,
) -> Result<Done, CommandFailed> {
    let core = draft.core;
    let member = core.ledger().roster.member(&peer).cloned();
    let member = member.ok_or_else(|| CommandFailed::NotFound {
        kind: "peer",
        id: peer.to_string(),
    })?;
    let chosen = core.clones.choose(&peer, prefix)?;
    let row = core.clones.of(&peer).encode();
    draft.batch.put(Table::Meta, row_key(&peer), row);
    let incarnation = HEXLOWER.encode(&chosen.incarnation);
    draft.audit(by, "choose", &peer.to_string(), &incarnation);
    Ok(Done::Member(member))
}

/// A peer keeps this node out as a copy of another, or lets it in again.
pub(crate) fn kept_out(core: &Core, peer: PeerId, is: bool) {
    if core.ledger().kept_out.contains(&peer) == is {
        return;
    }
    let mut draft = Draft::new(core);
    let key = [KEPT_OUT, peer.as_bytes()].concat();
    if is {
        tracing::error!(peer = %peer.short(), "another node uses this node's key: nothing is written until an administrator there has chosen");
        draft.batch.put(Table::Meta, key, Vec::new());
        draft.ledger.kept_out.insert(peer);
    } else {
        draft.batch.delete(Table::Meta, key);
        draft.ledger.kept_out.remove(&peer);
    }
    let action = if is { "kept-out" } else { "let-in" };
    draft.audit("peer", action, &peer.to_string(), "");
    if let Err(NotStored { reason }) = commit::commit(draft) {
        tracing::warn!(
            reason,
            "it was not recorded whether a peer keeps this node out"
        );
    }
}

/// Why nothing is written because another node uses this node's key, if so.
pub(crate) fn problem(ledger: &Ledger) -> Option<String> {
    let peer = ledger.kept_out.iter().next()?;
    let holder = ledger.roster.member(peer);
    let holder = holder.map_or_else(|| peer.short(), |member| member.territory.clone());
    Some(format!(
        "another node uses the same key as this one, and {holder} keeps this one out: one of the two is a copy; the administrator of {holder} chooses with `raccordo peer choose`, and the copy that is not chosen is taken out of service"
    ))
}

/// The prefix of those keys.
pub(crate) const fn prefix() -> &'static [u8] {
    ROWS
}

fn shorten(list: &mut Vec<Start>) {
    let over = list.len().saturating_sub(STARTS_MAX);
    list.drain(..over);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId::from_bytes([1; 32]);

    fn judge(board: &CloneBoard, byte: u8) -> Verdict {
        board.judge(&PEER, [byte; 8], i64::from(byte))
    }

    #[test]
    fn each_start_is_let_in_once_it_is_the_newest_and_never_again_after() {
        let board = CloneBoard::default();
        assert_eq!(judge(&board, 1), Verdict::Newest);
        assert_eq!(judge(&board, 1), Verdict::Welcome);
        assert_eq!(judge(&board, 2), Verdict::Newest);
        assert_eq!(board.of(&PEER).problem(), None);
        // A last word that came late is not taken for a node that lives.
        assert_eq!(judge(&board, 1), Verdict::KeptOut);
        assert_eq!(judge(&board, 2), Verdict::Welcome);
        assert_eq!(board.of(&PEER).problem(), None);
        assert_eq!(judge(&board, 1), Verdict::KeptOut);
        assert!(board.of(&PEER).problem().is_some());
    }

    #[test]
    fn while_a_person_has_to_choose_nobody_new_is_let_in() {
        let board = CloneBoard::default();
        judge(&board, 1);
        board.contend(&PEER, [2; 8], 2);
        assert_eq!(judge(&board, 1), Verdict::Welcome);
        assert_eq!(judge(&board, 2), Verdict::KeptOut);
        assert_eq!(judge(&board, 3), Verdict::KeptOut);
        let rivals: Vec<u8> = board.of(&PEER).rivals().map(|s| s.incarnation[0]).collect();
        assert_eq!(rivals, [1, 2, 3]);
    }

    #[test]
    fn the_chosen_one_is_let_in_and_the_others_never_again() {
        let board = CloneBoard::default();
        judge(&board, 1);
        board.contend(&PEER, [2; 8], 2);
        assert!(board.choose(&PEER, "03").is_err());
        assert!(board.choose(&PEER, "0").is_err());
        assert_eq!(board.choose(&PEER, "0202").unwrap().incarnation, [2; 8]);
        assert_eq!(judge(&board, 2), Verdict::Welcome);
        assert_eq!(judge(&board, 1), Verdict::KeptOut);
        assert_eq!(board.of(&PEER).problem(), None);
        assert_eq!(judge(&board, 4), Verdict::Newest);
    }

    #[test]
    fn starts_come_back_as_they_were_kept_and_only_the_newest_are() {
        let board = CloneBoard::default();
        for byte in 0..200 {
            judge(&board, byte);
        }
        board.contend(&PEER, [250; 8], 3);
        let starts = board.of(&PEER);
        assert_eq!(starts.seen.len(), STARTS_MAX);
        assert_eq!(Starts::decode(&starts.encode()), Ok(starts.clone()));
        let rows = vec![(row_key(&PEER), starts.encode())];
        assert_eq!(CloneBoard::read(rows).unwrap().of(&PEER), starts);
    }
}
