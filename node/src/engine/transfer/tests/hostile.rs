//! What an offer holds that was not made by this program.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::parcel::{Parcel, piece_name, preview};
use super::super::terms::Terms;
use super::world::{A, B, World};

#[test]
fn what_is_sealed_in_an_offer_is_opened_within_bounds_and_only_if_it_is_what_it_says() {
    let (mut world, project, id) = World::offered();
    let sender = &world.stations[A];
    let receivers = {
        let (origin, ledger) = (world.stations[B].core.id.origin(), sender.core.ledger());
        BTreeMap::from([(origin, ledger.sealing[&origin])])
    };
    let sealed = |project: Value| {
        let parcel = Parcel {
            note: None,
            project,
            records: Vec::new(),
        };
        parcel.seal(&sender.core, id, &receivers)
    };
    let opened = |project: &Value| {
        let content = json!({"version": 1, "note": null, "project": project, "records": []});
        let text = content.to_string();
        let sealed = Parcel::seal_text(&sender.core, id, &receivers, &text).unwrap();
        let terms = sender.core.look(id).unwrap().unwrap();
        let mut terms = Terms::read(&terms.record().fields).unwrap();
        terms.pieces = sealed.pieces.len();
        let pieces = sealed.pieces.iter().enumerate();
        let pieces: Map<String, Value> = pieces
            .map(|(at, text)| (piece_name(at), json!({"text": text})))
            .collect();
        let fields = json!({"keys": sealed.keys, "sealed": pieces});
        Parcel::open(&world.stations[B].core, id, &terms, &fields)
    };
    let whole = sender.core.look(project).unwrap().unwrap().record().fields;
    assert!(opened(&whole).is_some());
    for no_record in [json!([]), json!("x"), json!(7)] {
        assert_eq!(opened(&no_record), None, "{no_record}");
    }
    let many = json!({"need_area": vec![0; 300_000]});
    let long = json!({"need_area": "x".repeat(9 << 20)});
    for too_large in [many, long] {
        assert_eq!(opened(&too_large), None);
        let refused = format!("{:?}", sealed(too_large).map(|_| ()));
        assert!(refused.contains("transfer_too_large"), "{refused}");
    }
    for year in [i64::MIN, i64::MAX] {
        let seen = preview(
            &json!({"subject": {"birth_year": year}}),
            None,
            "2026-11-23",
        );
        assert!(seen["age_class"].is_null() || seen["age_class"].is_string());
    }
    world.ship_all();
}
