//! What an entry's header alone decides: chain, group, membership, kind.
//!
//! No body of a change is looked at here.

use std::collections::BTreeMap;

use raccordo_crdt_model::DocumentId;
use raccordo_transport::{EntryKind, SignedEntry};

use super::super::admission::{self, NotAdmitted};
use super::super::confirming;
use super::super::core::Core;
use super::super::draft::Draft;
use super::super::inbox::Waits;
use super::super::ledger::Ledger;
use super::super::quarantine::{GROUP_BYTES_MAX, GROUP_ENTRIES_MAX};
use super::super::roster::Member;
use super::super::statements;
use super::super::tombstone::{self, Order, Verdict};
use super::super::view::MemberState;
use super::trial::{Part, Stop};
#[cfg(feature = "testing")]
use crate::planted::{Planted, planted};

/// Chain, group, membership and kind of every entry, before any body is looked at.
pub(super) fn check_headers(
    draft: &Draft<'_>,
    part: usize,
    log: &Part,
    with: Option<&str>,
) -> Result<(), Stop> {
    let mut end = draft.ledger.end(log.log);
    let author = author_of(draft.core, &draft.ledger, log.log.origin);
    let author = author.as_ref();
    let own = log.log.origin == draft.core.id.origin();
    let here = draft.core.party();
    let mut group = GroupCheck::default();
    for entry in log.on_trial() {
        let header = &entry.header;
        let refused = |reason| Stop::Refused {
            part,
            seq: header.seq,
            reason,
        };
        let content = |reason: String| refused(NotAdmitted::Content { reason });
        let follows = header.seq == end.seq + 1 && header.prev == end.hash;
        #[cfg(feature = "testing")]
        let follows = follows || planted(Planted::UnorderedAdmission);
        if !follows {
            let reason = format!("it does not follow entry {} of its log", end.seq);
            return Err(content(reason));
        }
        group.next(entry).map_err(content)?;
        // What comes back of an own log was admitted when it was written.
        let verdict = if own {
            Ok(())
        } else {
            let admitted = admission::admit(header, author, &here, with);
            admitted.and_then(|()| confirming::is_heard(&draft.ledger.roster, header, with))
        };
        if let Err(reason) = verdict {
            return Err(if reason.may_pass() {
                Stop::Waits {
                    part,
                    waits: Waits {
                        document: None,
                        seq: header.seq,
                        detail: reason.to_string(),
                    },
                }
            } else {
                refused(reason)
            });
        }
        match header.kind {
            EntryKind::Roster if Member::decode(entry.bytes()).is_err() => {
                let reason = "it is not a fact about a member as this version knows them";
                return Err(content(reason.to_owned()));
            }
            EntryKind::Tombstone => check_tombstone(draft, part, entry, author)?,
            EntryKind::Policy => {
                if let Some(author) = author {
                    statements::check(entry, author).map_err(refused)?;
                }
            }
            EntryKind::Roster | EntryKind::Change => {}
        }
        end.seq = header.seq;
        end.hash = entry.entry_hash();
    }
    Ok(())
}

/// Who writes a log: a member, or this node itself.
pub(super) fn author_of(core: &Core, ledger: &Ledger, origin: [u8; 8]) -> Option<Member> {
    if origin != core.id.origin() {
        return ledger.roster.of_origin(origin).cloned();
    }
    let config = core.config();
    Some(Member {
        key: core.id,
        territory: config.node.territory.to_string(),
        role: config.node.role,
        name: config.node.name.clone(),
        state: MemberState::Approved,
        since_ms: 0,
        reason: None,
        address: None,
        ends: BTreeMap::new(),
    })
}

fn check_tombstone(
    draft: &Draft<'_>,
    part: usize,
    entry: &SignedEntry,
    author: Option<&Member>,
) -> Result<(), Stop> {
    let header = &entry.header;
    let refused = |reason| Stop::Refused {
        part,
        seq: header.seq,
        reason,
    };
    let author = author.ok_or_else(|| refused(NotAdmitted::NoMember))?;
    if Order::decode(entry.bytes()).is_err() {
        let reason = "it is not a tombstone as this version knows them".to_owned();
        return Err(refused(NotAdmitted::Content { reason }));
    }
    match tombstone::judge(draft, header, author)? {
        Verdict::Holds => Ok(()),
        Verdict::Refused(reason) => Err(refused(reason)),
        Verdict::UnknownDocument => Err(Stop::Waits {
            part,
            waits: Waits {
                document: Some(DocumentId::from_bytes(header.document)),
                seq: header.seq,
                detail: "it erases a document that is not known here yet".to_owned(),
            },
        }),
    }
}

/// What the entries of one command must have in common.
#[derive(Debug, Default)]
struct GroupCheck {
    first: u64,
    count: u32,
    bytes: usize,
}

impl GroupCheck {
    /// Takes the next entry of the log in, or says what is wrong with its group.
    fn next(&mut self, entry: &SignedEntry) -> Result<(), String> {
        let header = &entry.header;
        let begins = header.group_first == header.seq;
        if begins {
            *self = Self {
                first: header.seq,
                count: header.group_count,
                bytes: 0,
            };
        }
        let last = self.first.saturating_add(u64::from(self.count));
        if (header.group_first, header.group_count) != (self.first, self.count)
            || header.seq >= last
        {
            return Err(format!(
                "it says to be of a command of {} entries from {}, which does not fit the entry before it",
                header.group_count, header.group_first
            ));
        }
        if self.count > GROUP_ENTRIES_MAX {
            return Err(format!(
                "its command has {} entries, at most {GROUP_ENTRIES_MAX} are allowed",
                self.count
            ));
        }
        self.bytes += entry.bytes().len();
        if self.bytes > GROUP_BYTES_MAX {
            return Err(format!(
                "its command has more than {GROUP_BYTES_MAX} bytes of content, which is the most allowed"
            ));
        }
        Ok(())
    }
}
