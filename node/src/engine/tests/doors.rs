//! What links are told of this node, and what they hand to it.

use std::sync::mpsc;

use raccordo_transport::{Cursor, Host, StopCode, verify};

use super::super::Hand;
use super::super::host::NodeHost;
use super::*;

/// The links' view of a bench; its inbox is one of its own.
fn host(bench: &Bench) -> NodeHost {
    let (signals, _) = mpsc::channel();
    NodeHost {
        core: Arc::clone(&bench.core),
        inbox: Arc::new(Inbox::default()),
        hand: Hand::new(signals),
    }
}

#[tokio::test]
async fn a_log_that_was_refused_from_its_first_entry_on_is_told_as_stopped() {
    let mut a = Author::new(1, "frosinone/a");
    a.append(EntryKind::Change, [9; 16], vec![0xAA; 64]);
    let bench = Bench::coordination(&[&a]);
    bench.take(&a).await;
    let told = host(&bench).positions(&a.key.public()).stopped;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].cursor, Cursor::start(a.log(0)));
    assert_eq!(told[0].code, StopCode::Refused);
}

#[tokio::test]
async fn a_log_of_its_own_that_was_not_begun_is_offered_so_that_its_loss_is_noticed() {
    let a = Author::new(1, "frosinone/a");
    let bench = Bench::coordination(&[&a]);
    let own = LogId::new(bench.core.id.origin(), 0);
    let offers = host(&bench).positions(&a.key.public()).offers;
    assert!(offers.iter().any(|offer| offer.head == Cursor::start(own)));
}

#[tokio::test]
async fn what_no_signature_covers_of_a_change_cannot_be_altered_on_its_way() {
    let mut a = Author::new(1, "frosinone/a");
    a.create(1);
    let bench = Bench::coordination(&[&a]);
    for byte in 0..8 {
        let host = host(&bench);
        let mut altered = a.entries[0].clone();
        altered.body.as_mut().unwrap()[byte] ^= 1;
        let entry = verify(altered, &a.key.public()).unwrap();
        host.deliver(a.key.public(), vec![entry]).await.unwrap();
        let taken = host.inbox.take(u64::MAX, |_| 0);
        assert_eq!(taken[0].entries, a.entries);
    }
}
