//! Refused entries: what is kept of them, and what an administrator makes of it.

use raccordo_transport::{EntryKind, StopCode};

use super::super::equivocation::{self, Evidence};
use super::super::quarantine::{self, Place};
use super::super::view::CommandFailed;
use super::super::{commit, draft::Draft, ingest};
use super::*;
use crate::store::Table;

fn place(author: &Author, seq: u64) -> Place {
    Place {
        log: author.log(0),
        seq,
    }
}

#[tokio::test]
async fn a_refused_entry_is_kept_with_its_signature_and_stops_its_log_alone() {
    let (mut a, mut b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    a.create(1);
    a.append(EntryKind::Change, [9; 16], vec![0xAA; 64]);
    a.create(2);
    b.create(3);
    let bench = Bench::coordination(&[&a, &b]);
    bench.take(&a).await;
    bench.take(&b).await;
    assert_eq!((bench.held(&a), bench.held(&b)), (1, 1));
    assert_eq!(bench.projects("frosinone/b"), 1);
    let kept = quarantine::all(&bench.core).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].id, place(&a, 2).id());
    assert_eq!(kept[0].entries, a.entries[1..2]);
    assert_eq!(kept[0].territory.as_deref(), Some("frosinone/a"));
    let ledger = bench.core.ledger();
    let told = quarantine::stopped(&ledger, &[ledger.cursor(a.log(0)), ledger.cursor(b.log(0))]);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].code, told[0].cursor.seq), (StopCode::Refused, 1));
}

#[tokio::test]
async fn a_discarded_entry_is_a_header_in_the_chain_and_its_log_goes_on() {
    let mut a = Author::new(1, "frosinone/a");
    a.create(1);
    a.append(EntryKind::Change, [9; 16], vec![0xAA; 64]);
    a.create(2);
    let bench = Bench::coordination(&[&a]);
    bench.take(&a).await;
    let mut draft = Draft::new(&bench.core);
    quarantine::discard(&mut draft, place(&a, 2), "guasto", "anna").unwrap();
    commit::commit(draft).unwrap();
    assert!(quarantine::all(&bench.core).unwrap().is_empty());
    assert_eq!(bench.held(&a), 2);
    bench.take(&a).await;
    assert_eq!(bench.held(&a), 3);
    assert_eq!(bench.projects("frosinone/a"), 2);
    assert_eq!(
        bench.core.ledger().end(a.log(0)).hash,
        a.entries[2].entry_hash()
    );
}

#[tokio::test]
async fn what_depends_on_a_discarded_change_is_not_applied_and_does_not_stop_the_log() {
    let mut a = Author::new(1, "frosinone/a");
    let mut document = a.create(1);
    a.edit(&mut document, "/need_area", &json!("FAM"));
    // The same record with its second change made unreadable, as a newer version might write it.
    let good = a.entries.pop().unwrap();
    let mut bad = good.bytes().to_vec();
    bad[20] ^= 0xff;
    a.append(EntryKind::Change, [1; 16], bad);
    a.edit(&mut document, "/state", &json!("review"));
    a.create(2);
    let bench = Bench::coordination(&[&a]);
    bench.take(&a).await;
    assert_eq!(bench.held(&a), 1);
    let mut draft = Draft::new(&bench.core);
    quarantine::discard(&mut draft, place(&a, 2), "guasto", "anna").unwrap();
    commit::commit(draft).unwrap();
    bench.take(&a).await;
    // The third entry needs a change that nobody has: it waits, and says so.
    assert_eq!(bench.held(&a), 2);
    assert_eq!(bench.inbox.waiting()[0].1.seq, 3);
}

#[tokio::test]
async fn a_retry_admits_what_has_become_admissible_and_keeps_the_rest_in_quarantine() {
    let mut a = Author::new(1, "frosinone/a");
    a.create(1);
    a.append(EntryKind::Change, [9; 16], vec![0xAA; 64]);
    let bench = Bench::coordination(&[&a]);
    bench.take(&a).await;
    let again = ingest::retry(&bench.core, &bench.inbox, place(&a, 2), "anna");
    assert!(
        matches!(
            again,
            Err(CommandFailed::Conflict {
                code: "refused_again",
                ..
            })
        ),
        "{again:?}"
    );
    assert_eq!(quarantine::all(&bench.core).unwrap().len(), 1);

    // As an upgrade would, the group becomes good: here by putting a good one in its place.
    a.entries.pop();
    a.create(2);
    let mut draft = Draft::new(&bench.core);
    let mut refusal = quarantine::find(&bench.core, place(&a, 2))
        .unwrap()
        .unwrap();
    refusal.entries = a.entries[1..].to_vec();
    quarantine::keep(&mut draft, a.log(0), &refusal);
    commit::commit(draft).unwrap();
    ingest::retry(&bench.core, &bench.inbox, place(&a, 2), "anna").unwrap();
    assert!(quarantine::all(&bench.core).unwrap().is_empty());
    assert!(bench.core.ledger().stopped.is_empty());
    assert_eq!((bench.held(&a), bench.projects("frosinone/a")), (2, 2));
}

/// A record whose second change is refused here: its office's good entries, and that one.
fn refused_edit() -> (Author, SignedEntry) {
    let mut a = Author::new(1, "frosinone/a");
    let mut document = a.create(1);
    a.edit(&mut document, "/need_area", &json!("FAM"));
    let mut bad = a.entries.pop().unwrap().bytes().to_vec();
    bad[20] ^= 0xff;
    a.append(EntryKind::Change, [1; 16], bad);
    let refused = a.entries[1].clone();
    (a, refused)
}

#[tokio::test]
async fn an_erasure_takes_what_refused_entries_say_of_the_record_and_leaves_the_evidence() {
    let (a, refused) = refused_edit();
    let mut laptop = Author::new(2, "frosinone/a");
    laptop.erase(1);
    let bench = Bench::coordination(&[&a, &laptop]);
    bench.take(&a).await;
    let before = quarantine::all(&bench.core).unwrap();
    assert_eq!(before[0].entries[0].body, refused.body);
    let rows = |table| bench.core.store.scan(table, &[], None, 99).unwrap();
    let (old, keys) = (rows(Table::Quarantine), rows(Table::Keys));

    bench.take(&laptop).await;
    let after = quarantine::all(&bench.core).unwrap();
    assert_eq!(after[0].entries, [refused.signed_header().without_body()]);
    assert_eq!(
        (&after[0].id, &after[0].reason, &after[0].peer),
        (&before[0].id, &before[0].reason, &before[0].peer)
    );
    let key = &old[0].1[..16];
    assert!(
        keys.iter().any(|(id, _)| id == key),
        "it had a key of its own"
    );
    assert!(
        bench.core.store.get(Table::Keys, key).unwrap().is_none(),
        "the bytes of before do not open any more"
    );
    assert_eq!(rows(Table::Keys).len(), 2, "the node's and the evidence's");
    let mut draft = Draft::new(&bench.core);
    quarantine::discard(&mut draft, place(&a, 2), "guasto", "anna").unwrap();
    commit::commit(draft).unwrap();
    assert_eq!(rows(Table::Keys).len(), 1);
    assert_eq!(bench.held(&a), 2);
}

#[tokio::test]
async fn what_is_refused_after_an_erasure_keeps_no_body_of_the_record() {
    let mut a = Author::new(1, "frosinone/a");
    let mut document = a.create(1);
    let mut laptop = Author::new(2, "frosinone/a");
    laptop.erase(1);
    let bench = Bench::coordination(&[&a, &laptop]);
    bench.take(&a).await;
    bench.take(&laptop).await;
    // One command: an edit that comes too late, and something that is no change at all.
    a.edit(&mut document, "/need_area", &json!("FAM"));
    let late = a.entries.pop().unwrap().bytes().to_vec();
    a.append_group(EntryKind::Change, [1; 16], late, 2);
    a.append_group(EntryKind::Change, [9; 16], vec![0xAA; 64], 2);
    let last = a.entries.pop().unwrap();
    let mut header = last.header.clone();
    header.group_first = 2;
    let last = sign(header, &a.key).with_body(last.bytes().to_vec());
    a.entries.push(last.clone());
    bench.take(&a).await;
    let kept = quarantine::all(&bench.core).unwrap();
    let late = a.entries[1].signed_header().without_body();
    assert_eq!(kept[0].entries, [late, last]);
}

#[tokio::test]
async fn a_command_that_says_it_is_larger_than_allowed_is_refused_at_its_first_entry() {
    let mut a = Author::new(1, "frosinone/a");
    let document = Author::new(1, "frosinone/a").create(1);
    drop(document);
    a.create(1);
    let first = a.entries.pop().unwrap();
    a.append_group(
        EntryKind::Change,
        [1; 16],
        first.bytes().to_vec(),
        quarantine::GROUP_ENTRIES_MAX + 1,
    );
    let bench = Bench::coordination(&[&a]);
    bench.take(&a).await;
    assert_eq!(bench.held(&a), 0);
    let kept = quarantine::all(&bench.core).unwrap();
    assert!(
        kept[0].reason.contains("1025 entries"),
        "{}",
        kept[0].reason
    );
    let mut draft = Draft::new(&bench.core);
    let refused = quarantine::discard(&mut draft, place(&a, 1), "guasto", "anna");
    assert!(
        matches!(
            refused,
            Err(CommandFailed::Conflict {
                code: "not_whole",
                ..
            })
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn two_signed_entries_with_one_number_are_kept_as_a_proof_and_end_the_origin_here() {
    let (mut a, b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    a.create(1);
    let mut other = Author::new(1, "frosinone/a");
    other.create(2);
    let bench = Bench::coordination(&[&a, &b]);
    bench.take(&a).await;
    let evidence = |signed, peer: &Author| Evidence {
        peer: peer.key.public(),
        signed: Box::new(signed),
    };
    let same = evidence(a.entries[0].signed_header(), &b);
    equivocation::judge(&bench.core, &bench.inbox, &same);
    let mut forged = other.entries[0].signed_header();
    forged.signature[0] ^= 1;
    equivocation::judge(&bench.core, &bench.inbox, &evidence(forged, &b));
    let from_itself = evidence(other.entries[0].signed_header(), &a);
    equivocation::judge(&bench.core, &bench.inbox, &from_itself);
    assert!(equivocation::all(&bench.core).unwrap().is_empty());

    let proof = evidence(other.entries[0].signed_header(), &b);
    equivocation::judge(&bench.core, &bench.inbox, &proof);
    let proofs = equivocation::all(&bench.core).unwrap();
    assert_eq!(proofs.len(), 1);
    assert_eq!(proofs[0].held, a.entries[0].signed_header());
    assert_eq!(proofs[0].other, other.entries[0].signed_header());
    let ledger = bench.core.ledger();
    for lane in 0..3 {
        let stop = quarantine::stop_of(&ledger, a.log(lane)).unwrap();
        assert_eq!(stop.code, StopCode::Equivocation);
    }
    a.create(3);
    bench.take(&a).await;
    assert_eq!(bench.held(&a), 1);
}
