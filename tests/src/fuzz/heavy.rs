//! The heaviest changes within the limits: what they cost is what the limits promise.

use automerge::transaction::{Transactable as _, Transaction};
use automerge::{ActorId, Automerge, ObjType, ROOT, ScalarValue};

/// A little below the most operations of a change.
const OPERATIONS: usize = 49_000;

/// First changes of documents by the node 3, and the documents as saves.
pub(crate) fn changes() -> Vec<(Vec<u8>, Vec<u8>)> {
    fills().into_iter().map(founded).collect()
}

type Fill = fn(&mut Transaction<'_>);

fn fills() -> Vec<Fill> {
    vec![
        |transaction| {
            let list = transaction
                .put_object(ROOT, "free", ObjType::List)
                .expect("a list");
            let nulls = (0..OPERATIONS).map(|_| ScalarValue::Null);
            transaction.splice(list, 0, 0, nulls).expect("items");
        },
        |transaction| {
            let map = transaction
                .put_object(ROOT, "free", ObjType::Map)
                .expect("a map");
            for number in 0..OPERATIONS / 2 {
                let key = format!("{number:x}");
                transaction.put(&map, key, ()).expect("a key");
            }
        },
        |transaction| {
            let mut object = ROOT;
            for _ in 0..OPERATIONS / 2 {
                object = transaction
                    .put_object(&object, "in", ObjType::Map)
                    .expect("a map");
            }
        },
        |transaction| {
            let key = "k".repeat(150);
            for number in 0..OPERATIONS {
                let value = u64::from(number % 2 == 0);
                transaction.put(ROOT, key.as_str(), value).expect("a key");
            }
        },
    ]
}

fn founded(fill: Fill) -> (Vec<u8>, Vec<u8>) {
    let actor = raccordo_crdt_model::ActorId::new([3; 8], [0xee; 8], 0);
    let actor = ActorId::from(actor.as_bytes());
    let mut automerge = Automerge::new().with_actor(actor);
    let mut transaction = automerge.transaction();
    for (key, value) in [("_home", "frosinone/c"), ("_kind", "project")] {
        transaction.put(ROOT, key, value).expect("a root key");
    }
    transaction.put(ROOT, "_schema", 1).expect("a root key");
    fill(&mut transaction);
    transaction.commit();
    let change = automerge.get_last_local_change().expect("committed");
    (change.raw_bytes().to_vec(), automerge.save_nocompress())
}
