//! What two nodes compare, where an author between them was revoked.

use super::super::between::Between;
use super::super::ledger::{Ledger, LogEnd};
use super::*;

#[tokio::test]
async fn documents_of_a_log_of_which_nothing_is_left_to_offer_are_not_compared() {
    let (mut office, laptop) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/a"));
    let bench = Bench::coordination(&[&office, &laptop]);
    let peer = laptop.key.public();
    let told = |ledger: &Ledger| {
        let between = Between::of(&bench.core, ledger, &peer).unwrap();
        between.positions()
    };
    let empty = told(&bench.core.ledger());
    office.create(1);
    bench.take(&office).await;
    let mut ledger = (*bench.core.ledger()).clone();
    assert_ne!(told(&ledger).digest, empty.digest);
    ledger.cut.insert(office.log(0), LogEnd::default());
    let cut = told(&ledger);
    assert_eq!((cut.digest, cut.offers), (empty.digest, empty.offers));
}
