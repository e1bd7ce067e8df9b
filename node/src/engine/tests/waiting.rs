//! Logs that need each other: a change may come before what it depends on.

use super::*;

#[tokio::test]
async fn a_change_that_comes_before_what_it_depends_on_waits_for_it() {
    let (mut office, mut laptop) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/a"));
    let mut document = office.create(1);
    laptop.edit(&mut document, "/need_area", &json!("FAM"));
    laptop.create(2);
    let bench = Bench::coordination(&[&office, &laptop]);
    bench.take(&laptop).await;
    assert_eq!((bench.held(&laptop), bench.projects("frosinone/a")), (0, 0));
    assert_eq!(bench.inbox.waiting().len(), 1);
    bench.take(&office).await;
    assert_eq!((bench.held(&office), bench.held(&laptop)), (1, 2));
    assert_eq!(bench.projects("frosinone/a"), 2);
    assert!(bench.inbox.waiting().is_empty());
}

#[tokio::test]
async fn logs_that_need_each_other_are_admitted_together_in_whatever_order_they_came() {
    let (mut one, mut two) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/a"));
    let mut document = one.create(1);
    two.edit(&mut document, "/need_area", &json!("FAM"));
    one.edit(&mut document, "/state", &json!("review"));
    two.edit(&mut document, "/need_area", &json!("DIS"));
    let bench = Bench::coordination(&[&one, &two]);
    for author in [&two, &one] {
        let delivery = Delivery {
            log: author.log(0),
            peer: author.key.public(),
            entries: author.entries.clone(),
        };
        bench.inbox.put(delivery, 0, 0).await;
    }
    bench.settle();
    assert_eq!((bench.held(&one), bench.held(&two)), (2, 2));
    let held = bench.core.look(document.id()).unwrap().unwrap();
    assert_eq!(held.heads(), document.heads());
}

#[tokio::test]
async fn what_a_suspended_member_signed_waits_until_it_is_resumed() {
    let mut a = Author::new(1, "frosinone/a");
    a.create(1);
    let bench = Bench::coordination(&[&a]);
    bench.regard(&a, MemberState::Suspended);
    bench.take(&a).await;
    assert_eq!(bench.held(&a), 0);
    assert!(bench.core.ledger().stopped.is_empty());
    bench.regard(&a, MemberState::Approved);
    bench.inbox.wake(|waits| waits.document.is_none());
    bench.settle();
    assert_eq!(bench.held(&a), 1);
}

#[tokio::test]
async fn what_was_admitted_before_a_suspension_enters_everywhere_and_no_more() {
    let mut a = Author::new(1, "frosinone/a");
    a.create(1);
    a.create(2);
    let bench = Bench::coordination(&[&a]);
    let on_hold = Member {
        ends: BTreeMap::from([(0, 1)]),
        ..a.member(MemberState::Suspended)
    };
    bench.hear_of(on_hold);
    bench.take(&a).await;
    assert_eq!(bench.held(&a), 1);
    let waiting = bench.inbox.waiting();
    assert_eq!(waiting[0].1.detail, "its author is suspended");
    bench.regard(&a, MemberState::Approved);
    bench.inbox.wake(|waits| waits.document.is_none());
    bench.settle();
    assert_eq!(bench.held(&a), 2);
}
