//! One key of tokens for all districts: one person has one token everywhere, both offices hear of it,
//! and the coordination that carried the key never has it.

use raccordo_node::engine::simulated::{opened, token_keys};
use raccordo_tests::below::created;
use raccordo_tests::canaries::Planted;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::http::Client;
use raccordo_tests::process::Node;
use serde_json::{Value, json};

use crate::PROGRAM;
use crate::transfer::comes_to;

const CODE: &str = "RSSMRA85T10A562S";

/// A person with this code and a project of theirs; the project's address.
async fn taken_in(http: &Client, reference: &str) -> String {
    let person = json!({"ref": reference, "family_name": "Invenzione", "given_name": "Anna", "fiscal_code": CODE});
    created(http, "persons", &person).await;
    let project = json!({"ref": format!("FR-{reference}"), "need_area": "POV", "opened_on": "2026-03-04",
        "subject": {"kind": "person", "person": reference}});
    created(http, "projects", &project).await
}

/// The overlap that a node lists, once it lists one of so many territories.
async fn told(at: &Client, territories: usize) -> Value {
    eventually("the overlap is told", async || {
        let overlaps = at.look("/api/v1/overlaps").await?;
        let all = overlaps["items"].as_array();
        let sides = |one: &Value| one["territories"].as_array().map(Vec::len);
        let is = all.is_some_and(|all| all.len() == 1 && sides(&all[0]) == Some(territories));
        seen(is, || overlaps.to_string()).map(|()| overlaps)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_offices_hear_of_one_person_in_two_districts_and_the_coordination_has_neither_name_nor_key()
 {
    let mut federation = Federation::joined(PROGRAM, 2, &[]).await;
    for (at, reference) in [(0, "P-1"), (1, "P-77")] {
        taken_in(&federation.districts[at].node.http(), reference).await;
    }
    let above = federation.coordination.local();
    let overlaps = told(&above, 2).await;
    assert_eq!(overlaps["items"][0]["strength"], "certain", "{overlaps}");
    for district in &federation.districts {
        let heard = told(&district.node.http(), 2).await;
        for word in ["Invenzione", CODE] {
            assert!(!heard.to_string().contains(word), "{heard}");
        }
    }
    assert_eq!(above.read("/api/v1/persons").await["items"], json!([]));
    let mut planted = Planted::default();
    planted.plant("family name", "Invenzione");
    planted.plant("fiscal code", CODE);
    let mut keys = Vec::new();
    for district in &mut federation.districts {
        district.node.stop().await;
        keys.push(token_keys(&district.node.data).expect("it opens"));
    }
    assert_eq!((keys[0].len(), &keys[0]), (1, &keys[1]), "one key, at both");
    planted.plant_bytes("key of tokens", &keys[0][0]);
    let pid = federation.coordination.pid().expect("it runs");
    assert_eq!(planted.found_in_memory(pid), [""; 0]);
    federation.coordination.stop().await;
    let data = &federation.coordination.data;
    assert_eq!(planted.found_below(data), [""; 0]);
    assert_eq!(
        planted.found_in(&opened(data).expect("it opens").concat()),
        [""; 0]
    );
    assert_eq!(token_keys(data).expect("it opens"), Vec::<[u8; 32]>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn districts_that_made_a_key_each_while_cut_off_come_to_one_and_who_joins_later_has_it_too() {
    let mut federation = Federation::joined(PROGRAM, 2, &[]).await;
    let mut paths = Vec::new();
    for district in &federation.districts {
        district.relay.cut();
    }
    for (at, reference) in [(0, "P-1"), (1, "P-77")] {
        let http = federation.districts[at].node.http();
        paths.push(taken_in(&http, reference).await);
    }
    let token = async |federation: &Federation, at: usize| {
        let project = federation.districts[at].node.http().read(&paths[at]).await;
        project["subject"]["token"].clone()
    };
    assert_ne!(token(&federation, 0).await, token(&federation, 1).await);
    for district in &federation.districts {
        district.relay.heal();
    }
    told(&federation.coordination.local(), 2).await;
    assert_eq!(token(&federation, 0).await, token(&federation, 1).await);

    federation.found_district("c", "frosinone/c").await;
    federation.districts[2].node.start().await;
    federation.join(2).await;
    federation.connected(2).await;
    taken_in(&federation.districts[2].node.http(), "P-5").await;
    told(&federation.coordination.local(), 3).await;
    for district in &federation.districts {
        told(&district.node.http(), 3).await;
    }
}

/// What a node shows of another in its list of peers.
async fn listed(at: &Node, id: &str) -> Value {
    let list = at.cli(&["peer", "list", "--json"]).await.expect(0).json();
    let peers = list["items"].as_array().into_iter().flatten();
    let mut known = peers.filter(|peer| peer["id"] == id);
    known.next().cloned().unwrap_or_default()
}

async fn offer(from: &Node, reference: &str) -> String {
    let to = ["transfer", "offer", reference, "--to", "frosinone/b"];
    let offer = [&to[..], &["--reason", "residence", "--json"]].concat();
    let made = from.cli(&offer).await.expect(0).json();
    let id = made["_meta"]["id"].as_str().expect("a record has an id");
    format!("/api/v1/transfers/{id}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_the_coordination_alone_let_into_a_district_has_neither_key_nor_identity_before_it_is_confirmed()
 {
    let mut federation = Federation::joined(PROGRAM, 2, &[]).await;
    let mut projects = Vec::new();
    for (at, reference) in [(0, "P-1"), (1, "P-77")] {
        projects.push(taken_in(&federation.districts[at].node.http(), reference).await);
    }
    federation.found_district("x", "frosinone/b").await;
    federation.districts[2].node.start().await;
    federation.join(2).await;
    federation.connected(2).await;
    let stranger = federation.districts[2].node.id().await;
    let [a, b, x] = [0, 1, 2].map(|index| &federation.districts[index].node);
    for district in [a, b] {
        told(&district.http(), 2).await;
        eventually("the stranger is listed", async || {
            let shown = listed(district, &stranger).await;
            let why = shown["not_confirmed"].as_str().unwrap_or_default();
            seen(
                shown["confirmed"] == false && why.contains("peer confirm"),
                || shown.to_string(),
            )
        })
        .await;
    }
    let transfer = offer(a, "FR-P-1").await;
    comes_to(x, &transfer, "offered").await;
    let accept = format!("{transfer}/accept");
    let refused = x.http().post(&accept, &json!({"new_person": true})).await;
    refused.refused(409, "transfer_not_confirmed");
    let node = &mut federation.districts[2].node;
    node.stop().await;
    assert_eq!(
        token_keys(&node.data).expect("it opens"),
        Vec::<[u8; 32]>::new()
    );
    let mut planted = Planted::default();
    planted.plant("family name", "Invenzione");
    let held = opened(&node.data).expect("it opens").concat();
    assert_eq!(planted.found_in(&held), [""; 0]);
    node.start().await;
    let [a, b, x] = [0, 1, 2].map(|index| &federation.districts[index].node);
    let accepted = b.http().post(&accept, &json!({"new_person": true})).await;
    assert_eq!(accepted.status, 200, "{accepted}");
    comes_to(a, &transfer, "completed").await;
    let explained = a.cli(&["peer", "explain", &stranger]).await.expect(0);
    assert!(explained.stdout.contains(&stranger), "{explained}");
    a.cli(&["peer", "confirm", &stranger]).await.expect(0);
    taken_in_again(a).await;
    let transfer = offer(a, "FR-2").await;
    comes_to(x, &transfer, "offered").await;
    let accept = format!("{transfer}/accept");
    eventually("the stranger accepts", async || {
        let accepted = x.http().post(&accept, &json!({})).await;
        seen(accepted.status == 200, || accepted.to_string())
    })
    .await;
    comes_to(a, &transfer, "completed").await;
}

/// One more project, of a subject of whom nothing is known.
async fn taken_in_again(at: &Node) {
    let project = json!({"ref": "FR-2", "need_area": "POV", "opened_on": "2026-03-04",
        "subject": {"kind": "person", "birth_year": 1985, "sex": "F"}});
    created(&at.http(), "projects", &project).await;
}
