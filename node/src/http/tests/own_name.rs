//! Votes, signatures and answers are given in the own body's name alone, notes and reviews changed by
//! who wrote them, whatever section somebody may edit.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Bench};
use crate::access::Role;

const OK: StatusCode = StatusCode::OK;

impl Bench {
    async fn stands_for(&self, body: &str) -> String {
        self.role_token(body, Role::Referent, Some(body), &[]).await
    }

    async fn works_as(&self, name: &str, role: Role) -> String {
        self.role_token(name, role, None, &[]).await
    }

    async fn sets(&self, bearer: &str, place: &str, path: &str, value: Value) -> Answer {
        let patch = json!([{"op": "add", "path": path, "value": value}]);
        self.as_bearer(bearer, "PATCH", place, &patch).await
    }

    /// That each patch is refused, naming where and why.
    async fn are_refused(&self, bearer: &str, place: &str, patches: &[Value], why: &str) {
        for patch in patches {
            let before = self.get(place).await.json()["_meta"]["etag"].clone();
            let refused = self.as_bearer(bearer, "PATCH", place, patch).await;
            assert_eq!(
                refused.refusal(),
                (403, "not_allowed".to_owned()),
                "{patch}"
            );
            assert!(refused.text().contains(why), "{patch} {}", refused.text());
            let after = self.get(place).await.json()["_meta"]["etag"].clone();
            assert_eq!(before, after, "{patch}");
        }
    }

    /// A project with three plans, a question to all, and referrals.
    async fn asked(&self) -> String {
        let place = self.planned("FR-A-1").await;
        let patch = json!([
            {"op": "add", "path": "/decisions/d1", "value": {"question": "x", "options": {"o1": {}, "o2": {}},
                "votes": {"v1": {"body": "DSM", "option": "o1"}}}},
            {"op": "add", "path": "/plans/work/signatures/s1", "value": {"body": "CPI", "on": "2026-03-18"}},
            {"op": "add", "path": "/referrals/i1", "value": {"to": "CPI", "state": "sent"}},
            {"op": "add", "path": "/referrals/i2", "value": {"to": "CPI", "state": "sent"}},
            {"op": "add", "path": "/referrals/i3", "value": {"to_name": "Associazione", "state": "sent"}},
        ]);
        let done = self.patch(&place, None, &patch).await;
        assert_eq!(done.status, OK, "{}", done.text());
        place
    }
}

const VOICE: &str = "each body's own";
const AUTHOR: &str = "only who wrote it";

#[tokio::test]
async fn who_edits_the_section_votes_in_nobodys_name() {
    let bench = Bench::district().await;
    let place = bench.asked().await;
    let vote = |body: &str| json!({"body": body, "option": "o2"});
    let votes = "/decisions/d1/votes";
    let add = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
    let patches = [
        json!([add(&format!("{votes}/v2"), vote("SSD"))]),
        json!([add(&format!("{votes}/v2"), vote("CPI"))]),
        json!([add(&format!("{votes}/v1"), vote("DSM"))]),
        json!([add(&format!("{votes}/v1/option"), json!("o2"))]),
        json!([add(&format!("{votes}/v1/body"), json!("SSD"))]),
        json!([{"op": "remove", "path": format!("{votes}/v1")}]),
        json!([{"op": "remove", "path": votes}]),
        json!([{"op": "remove", "path": "/decisions/d1"}]),
        json!([{"op": "remove", "path": "/decisions"}]),
        json!([add(votes, json!({"v2": vote("SSD")}))]),
        json!([add(
            "/decisions/d2",
            json!({"options": {"o2": {}}, "votes": {"v1": vote("SSD")}})
        )]),
        json!([
            add(&format!("{votes}/v2"), vote("SSD")),
            add(&format!("{votes}/v3"), vote("CPI")),
            add("/decisions/d1/result", json!("o2"))
        ]),
    ];
    for role in [Role::SocialWorker, Role::CaseManager, Role::UnitCoordinator] {
        let bearer = bench.works_as(role.word(), role).await;
        bench.are_refused(&bearer, &place, &patches, VOICE).await;
    }
    let social = bench.stands_for("SSD").await;
    for others in [&patches[1..10], &patches[11..]] {
        bench.are_refused(&social, &place, others, VOICE).await;
    }
    let voted = bench
        .sets(&social, &place, &format!("{votes}/v2"), vote("SSD"))
        .await;
    assert_eq!(voted.status, OK, "{}", voted.text());
    let changed = bench
        .sets(&social, &place, &format!("{votes}/v2/option"), json!("o1"))
        .await;
    assert_eq!(changed.status, OK, "its own: {}", changed.text());
    let coordinator = bench.works_as("Leo Viola", Role::UnitCoordinator).await;
    let result = bench
        .sets(&coordinator, &place, "/decisions/d1/result", json!("o1"))
        .await;
    assert_eq!(result.status, OK, "{}", result.text());
}

#[tokio::test]
async fn a_plan_is_signed_by_the_referent_of_its_body_alone_and_once() {
    let bench = Bench::district().await;
    let place = bench.asked().await;
    let add = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
    let manager = bench.works_as("Carla Bo", Role::CaseManager).await;
    let patches = [
        add("/plans/work/signatures/s2", json!({"body": "CPI"})),
        add("/plans/work/signatures/s2", json!({"on": "2026-03-18"})),
        add("/plans/social/signatures/s1", json!({"body": "SSD"})),
        add(
            "/plans/work/signatures",
            json!({"s1": {"body": "CPI"}, "s2": {"body": "CPI"}}),
        ),
        add("/plans/work/signatures/s1/on", json!("2026-03-19")),
        json!([{"op": "remove", "path": "/plans/work/signatures/s1"}]),
    ];
    bench.are_refused(&manager, &place, &patches, VOICE).await;
    let person = bench
        .sets(
            &manager,
            &place,
            "/plans/work/signatures/p1",
            json!({"person": true}),
        )
        .await;
    assert_eq!(person.status, OK, "{}", person.text());
    let centre = bench.stands_for("CPI").await;
    bench
        .are_refused(&centre, &place, &patches[3..], VOICE)
        .await;
    let signed = bench
        .sets(
            &centre,
            &place,
            "/plans/work/signatures/s2",
            json!({"body": "CPI"}),
        )
        .await;
    assert_eq!(signed.status, OK, "{}", signed.text());
    let health = bench.stands_for("DSM").await;
    let foreign = add("/plans/health/signatures/s1", json!({"body": "D3D"}));
    bench.are_refused(&health, &place, &[foreign], VOICE).await;
    let signed = bench
        .sets(
            &health,
            &place,
            "/plans/health/signatures/s1",
            json!({"body": "DSM"}),
        )
        .await;
    assert_eq!(signed.status, OK, "{}", signed.text());
    let social = bench.stands_for("SSD").await;
    let named = bench
        .sets(
            &social,
            &place,
            "/plans/social/signatures/s1",
            json!({"body": "DSM"}),
        )
        .await;
    assert_eq!(named.refusal(), (403, "not_allowed".to_owned()));
}

#[tokio::test]
async fn a_referral_is_answered_by_the_body_that_it_was_sent_to() {
    let bench = Bench::district().await;
    let place = bench.asked().await;
    let set = |id: &str, state: &str| json!([{"op": "add", "path": format!("/referrals/{id}/state"), "value": state}]);
    let worker = bench.works_as("Anna Rossi", Role::SocialWorker).await;
    let patches = [
        set("i1", "accepted"),
        json!([{"op": "add", "path": "/referrals/i1/answered_on", "value": "2026-03-27"}]),
        json!([{"op": "add", "path": "/referrals/i1/to", "value": null}, set("i1", "accepted")[0],
            {"op": "add", "path": "/referrals/i1/to", "value": "CPI"}]),
        json!([{"op": "add", "path": "/referrals/i9", "value": {"to": "CPI", "outcome": "iscritto", "state": "sent"}}]),
    ];
    bench.are_refused(&worker, &place, &patches, VOICE).await;
    for (patch, who) in [
        (set("i1", "delivered"), &worker),
        (set("i3", "accepted"), &worker),
    ] {
        let done = bench.as_bearer(who, "PATCH", &place, &patch).await;
        assert_eq!(done.status, OK, "{patch} {}", done.text());
    }
    let centre = bench.stands_for("CPI").await;
    let done = bench
        .as_bearer(&centre, "PATCH", &place, &set("i1", "accepted"))
        .await;
    assert_eq!(done.status, OK, "{}", done.text());
    let undone = [
        json!([{"op": "remove", "path": "/referrals/i1"}]),
        json!([{"op": "add", "path": "/referrals/i1/to", "value": "SIL"}]),
    ];
    bench.are_refused(&worker, &place, &undone, VOICE).await;
    let back = bench
        .as_bearer(&worker, "PATCH", &place, &set("i1", "withdrawn"))
        .await;
    assert_eq!(
        back.status,
        OK,
        "who sent it takes it back: {}",
        back.text()
    );
    let gone = json!([{"op": "remove", "path": "/referrals/i2"}]);
    let gone = bench.as_bearer(&worker, "PATCH", &place, &gone).await;
    assert_eq!(gone.status, OK, "nobody answered it: {}", gone.text());
}

#[tokio::test]
async fn nobody_makes_a_record_with_the_voice_of_another() {
    let bench = Bench::district().await;
    let manager = bench.works_as("Carla Bo", Role::CaseManager).await;
    let with = |name: &str, value: Value| {
        let mut fields =
            json!({"subject": {"kind": "person"}, "need_area": "POV", "opened_on": "2026-03-04"});
        fields[name] = value;
        fields
    };
    for fields in [
        with(
            "decisions",
            json!({"d1": {"options": {"o1": {}}, "votes": {"v1": {"body": "SSD", "option": "o1"}}}}),
        ),
        with(
            "plans",
            json!({"work": {"body": "CPI", "signatures": {"s1": {"body": "CPI"}}}}),
        ),
        with(
            "referrals",
            json!({"i1": {"to": "CPI", "state": "sent", "answered_on": "2026-03-27"}}),
        ),
    ] {
        let refused = bench
            .as_bearer(&manager, "POST", "/api/v1/projects", &fields)
            .await;
        assert_eq!(
            refused.refusal(),
            (403, "not_allowed".to_owned()),
            "{fields}"
        );
    }
    let file = json!({"subject": "P-1", "diary": {"d1": {"text": "x", "author": "Anna Rossi"}}});
    let made = bench
        .as_bearer(&manager, "POST", "/api/v1/casefiles", &file)
        .await;
    assert_eq!(made.json()["diary"]["d1"]["author"], "Carla Bo");
}

impl Bench {
    /// A casefile with a note, and a project with a review and a question, all by one person.
    async fn written_by(&self, author: &str) -> (&'static str, String) {
        let project = self.planned("FR-A-1").await;
        self.put("casefiles", &json!({"ref": "C-1", "subject": "P-1"}))
            .await;
        let file = "/api/v1/casefiles/C-1";
        let note = json!({"text": "x", "author": "Bruno Neri"});
        let review = json!({"on": "2026-06-10", "summary": "x"});
        let decision = json!({"question": "x", "options": {"o1": {}}});
        for (place, path, value) in [
            (file, "/diary/d1", note),
            (&project, "/reviews/r1", review),
            (&project, "/decisions/d1", decision),
        ] {
            let done = self.sets(author, place, path, value).await;
            assert_eq!(done.status, OK, "{path} {}", done.text());
        }
        (file, project)
    }
}

/// Ways to rewrite a note or take it away.
fn of_file() -> [Value; 7] {
    let add = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
    [
        add("/diary/d1/text", json!("altro")),
        add("/diary/d1/author", json!("Bruno Neri")),
        add("/diary/d1", json!({"text": "altro"})),
        add("/diary", json!({"d2": {"text": "altro"}})),
        json!([{"op": "remove", "path": "/diary/d1"}]),
        json!([{"op": "remove", "path": "/diary"}]),
        json!([{"op": "remove", "path": "/diary/d1"}, {"op": "add", "path": "/diary/d1", "value": {"text": "altro"}}]),
    ]
}

/// Ways to rewrite a review or a question, or take it away.
fn of_project() -> [Value; 7] {
    let add = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
    [
        add("/reviews/r1/summary", json!("altro")),
        add("/reviews/r1", json!({"on": "2026-06-11"})),
        json!([{"op": "remove", "path": "/reviews/r1"}]),
        json!([{"op": "remove", "path": "/reviews"}]),
        add("/decisions/d1/question", json!("altro")),
        add("/decisions/d1/options/o2", json!({"text": "altro"})),
        json!([{"op": "remove", "path": "/decisions/d1"}]),
    ]
}

#[tokio::test]
async fn a_note_a_review_and_a_question_are_not_rewritten_by_others() {
    let bench = Bench::district().await;
    let anna = bench.works_as("Anna Rossi", Role::SocialWorker).await;
    let (file, project) = bench.written_by(&anna).await;
    let note = bench.get(file).await.json()["diary"]["d1"].clone();
    assert_eq!(note["author"], "Anna Rossi", "whatever was sent");
    for (name, role) in [
        ("Bruno Neri", Role::SocialWorker),
        ("Carla Bo", Role::CaseManager),
    ] {
        let other = bench.works_as(name, role).await;
        bench.are_refused(&other, file, &of_file(), AUTHOR).await;
        bench
            .are_refused(&other, &project, &of_project(), AUTHOR)
            .await;
    }
    bench
        .are_refused(&anna, file, &of_file()[1..2], AUTHOR)
        .await;
    let office = bench.patch(file, None, &of_file()[0]).await;
    assert_eq!(office.status, OK, "the office may: {}", office.text());
}

#[tokio::test]
async fn who_wrote_a_note_a_review_or_a_question_changes_it_and_takes_it_away() {
    let bench = Bench::district().await;
    let anna = bench.works_as("Anna Rossi", Role::SocialWorker).await;
    let bruno = bench.works_as("Bruno Neri", Role::SocialWorker).await;
    let (file, project) = bench.written_by(&anna).await;
    for (place, path, value) in [
        (file, "/diary/d1/text", json!("corretto")),
        (&project, "/reviews/r1/summary", json!("corretto")),
        (&project, "/decisions/d1/question", json!("corretta")),
    ] {
        let done = bench.sets(&anna, place, path, value).await;
        assert_eq!(done.status, OK, "{path} {}", done.text());
    }
    let removed = &of_project()[2];
    let removed = bench.as_bearer(&anna, "PATCH", &project, removed).await;
    assert_eq!(removed.status, OK, "{}", removed.text());
    // What was taken away is begun anew by whoever comes next.
    let begun = bench
        .sets(&bruno, &project, "/reviews/r1", json!({"on": "2026-06-12"}))
        .await;
    assert_eq!(begun.status, OK, "{}", begun.text());
    bench
        .are_refused(&anna, &project, &of_project()[..1], AUTHOR)
        .await;
    let note = json!({"text": "y"});
    let added = bench.sets(&bruno, file, "/diary/d2", note).await;
    assert_eq!(added.json()["diary"]["d2"]["author"], "Bruno Neri");
}
