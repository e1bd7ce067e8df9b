//! What offices know of people, planted and searched for at the coordination: on its disk, in its
//! memory, in what it opens, answers and exports.

use raccordo_crdt_model::{Kind, likeness};
use raccordo_node::engine::simulated::opened;
use raccordo_tests::below::created;
use raccordo_tests::canaries::Planted;
use raccordo_tests::federation::Federation;
use raccordo_tests::invariants::districts_and_coordination_come_to_hold_the_same;
use raccordo_tests::process::Node;
use serde_json::{Value, json};

use crate::PROGRAM;

/// Two people, one a district.
const PEOPLE: [(&str, &str, &str); 2] = [
    ("Zanzavècchia", "Ermenegilda", "RSSMRA85T10A562S"),
    ("Quadrifogli", "Serpentino", "MRTMTT91D08F205J"),
];

/// Everything that a district knows of one of them, each word planted.
fn records(which: usize, planted: &mut Planted) -> Vec<(Kind, Value)> {
    let (family, given, code) = PEOPLE[which];
    let mut word = |what: &str, text: String| {
        planted.plant(what, &text);
        text
    };
    let person = json!({
        "ref": format!("P-{which}"), "family_name": word("family name", family.to_owned()),
        "given_name": word("given name", given.to_owned()), "fiscal_code": word("fiscal code", code.to_owned()),
        "former_names": [word("former name", format!("Giaguarotti{which}"))], "born_on": "1985-12-10",
        "birth_place": word("birth place", format!("Borgosconto{which}")),
        "other_code": {"kind": "STP", "number": word("other code", format!("STP00{which}7733"))},
        "residence": {"address": word("address", format!("Vicolo Storto {which}43"))},
        "contacts": {"phone": word("telephone", format!("0775 99{which}123")),
                     "email": word("email", format!("gufo{which}@posta.example"))},
    });
    let household = json!({"ref": format!("N-{which}"), "name": word("household", format!("Casa Brugola{which}")),
        "members": {"m1": {"person": format!("P-{which}"), "relation": "holder"}}});
    let casefile = json!({
        "ref": format!("C-{which}"), "subject": format!("P-{which}"),
        "diary": {"d1": {"on": "2026-03-04", "text": word("diary", format!("riferisce sogni di balene {which}")), "restricted": true}},
        "assessments": {"a1": {"kind": "UVM", "summary": word("diagnosis", format!("sindrome di Ottavelli {which}"))}},
        "consents": {"c1": {"purpose": "sharing", "basis": "consent", "text": word("consent", format!("letta al nonno {which}"))}},
        "attachments": {"f1": {"name": word("attachment", format!("referto-pavone{which}.pdf"))}},
        "work_extract": {"limits": word("extract", format!("non solleva incudini {which}"))},
    });
    let contact = json!({"ref": format!("K-{which}"), "on": "2026-03-04", "person": format!("P-{which}"),
        "asked": word("question", format!("chiede un aquilone {which}")), "answer": word("answer", format!("torni col vento {which}"))});
    let mut local = project(&format!("FR-L-{which}"));
    local["sharing"] = json!("local");
    local["plans"] = json!({"social": {"goals": {"g1": {"text": word("local goal", format!("nascosta al mulino {which}"))}}}});
    vec![
        (Kind::Person, person),
        (Kind::Household, household),
        (Kind::Casefile, casefile),
        (Kind::Contact, contact),
        (Kind::Project, local),
    ]
}

fn project(reference: &str) -> Value {
    json!({"ref": reference, "subject": {"kind": "person"}, "need_area": "POV", "opened_on": "2026-03-04", "state": "planning"})
}

/// All that a node answers and exports, of every kind.
async fn told(node: &Node) -> Vec<u8> {
    let mut all = Vec::new();
    for kind in Kind::all() {
        let listed = node
            .local()
            .get(&format!("/api/v1/{}?limit=500", kind.plural()))
            .await;
        all.extend_from_slice(&listed.expect(200).body);
        let export = node.cli(&["export", "--kind", kind.singular()]).await;
        all.extend(export.expect(0).stdout.into_bytes());
    }
    for path in ["overview", "status", "peers", "erasures", "quarantine"] {
        all.extend_from_slice(&node.local().get(&format!("/api/v1/{path}")).await.body);
    }
    all.extend_from_slice(&node.local().get("/metrics").await.body);
    all
}

/// Both districts' records: what is to stay there, and what is shared.
async fn plant(federation: &Federation) -> (Planted, Planted) {
    let mut planted = Planted::default();
    let mut shared = Planted::default();
    for (which, (family, given, _)) in PEOPLE.into_iter().enumerate() {
        let sound = likeness::name_sound(family, given).expect("they have a sound");
        for heard in sound.split(' ') {
            planted.plant("sound of a name", heard);
        }
        let http = federation.districts[which].node.http();
        for (kind, fields) in records(which, &mut planted) {
            let path = created(&http, kind.plural(), &fields).await;
            // Also what is edited away, and found by search, leaves no trace there.
            if kind == Kind::Person {
                let patch = json!([{"op": "replace", "path": "/birth_place", "value": "Sora"}]);
                http.patch(&path, None, &patch).await.expect(200);
                let found = http.read(&format!("/api/v1/persons?q={given}")).await;
                assert_eq!(found["items"][0]["ref"], format!("P-{which}"), "{found}");
            }
        }
        let mut fields = project(&format!("FR-S-{which}"));
        let goal = format!("orto dei ranuncoli {which}");
        shared.plant("shared goal", &goal);
        fields["plans"] = json!({"social": {"goals": {"g1": {"text": goal}}}});
        fields["subject"]["person"] = json!(format!("P-{which}"));
        created(&http, "projects", &fields).await;
        // Whatever somebody writes as the reason of an erasure: the record was at the coordination.
        created(&http, "projects", &project(&format!("FR-E-{which}"))).await;
        let reason = format!("pratica di Ghiribizzo{which}, chiesto allo sportello");
        planted.plant("reason of an erasure", &reason);
        let erased = json!({"subject": format!("FR-E-{which}"), "reason": reason});
        let erased = http.post("/api/v1/erasures", &erased).await;
        assert_eq!(erased.expect(200).json()["reason"], reason);
    }
    (planted, shared)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_planted_in_districts_is_nowhere_at_the_coordination() {
    let mut federation = Federation::joined(PROGRAM, 2, &[]).await;
    let (planted, shared) = plant(&federation).await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;

    let above = &federation.coordination;
    let answers = told(above).await;
    assert_eq!(shared.found_in(&answers).len(), 2, "what is shared is told");
    assert_eq!(planted.found_in(&answers), [""; 0]);
    let pid = above.pid().expect("it runs");
    assert_eq!(
        shared.found_in_memory(pid).len(),
        2,
        "what is shared was in memory"
    );
    assert_eq!(planted.found_in_memory(pid), [""; 0]);
    // A district finds its own words, so the search would.
    let office = &federation.districts[0].node;
    assert!(!planted.found_in(&told(office).await).is_empty());
    let own = planted.found_in_memory(office.pid().expect("it runs"));
    assert!(!own.is_empty());

    let nodes = [above, office, &federation.districts[1].node];
    for log in nodes.map(Node::log_text) {
        assert!(!log.is_empty());
        assert_eq!(planted.found_in(log.as_bytes()), [""; 0], "in a log");
    }

    let mut at_rest = Vec::new();
    let mut folders = vec![&mut federation.coordination];
    folders.extend(
        federation
            .districts
            .iter_mut()
            .map(|district| &mut district.node),
    );
    for node in folders {
        node.stop().await;
        let open: Vec<u8> = opened(&node.data).expect("it opens").concat();
        at_rest.push((planted.found_below(&node.data), planted.found_in(&open)));
        assert!(
            !shared.found_in(&open).is_empty(),
            "the keys open {}",
            node.name
        );
    }
    let [(raw, open), districts @ ..] = at_rest.as_slice() else {
        unreachable!("there are three nodes")
    };
    assert_eq!((raw, open), (&Vec::new(), &Vec::new()));
    for (which, (raw, open)) in districts.iter().enumerate() {
        let reason = format!("reason of an erasure: pratica di Ghiribizzo{which}");
        assert!(open.iter().any(|found| found.starts_with(&reason)));
        assert_eq!(
            raw,
            &Vec::<String>::new(),
            "a district's words are sealed at rest"
        );
        assert!(open.len() > 10, "{open:?}");
    }
}
