//! Refusals in the language that was asked for: field, rule and remedy.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Bench, project};
use crate::access::Role;

impl Bench {
    /// The refusal of a patch, told in a language.
    async fn told(&self, language: &str, place: &str, patch: &Value) -> Value {
        let bearer = format!("Bearer {}", self.token);
        self.told_to(&bearer, language, "PATCH", place, patch)
            .await
            .json()
    }

    async fn told_to(
        &self,
        bearer: &str,
        language: &str,
        method: &str,
        place: &str,
        body: &Value,
    ) -> Answer {
        let media_type = if method == "PATCH" {
            "application/json-patch+json"
        } else {
            "application/json"
        };
        let headers = [
            ("authorization", bearer),
            ("content-type", media_type),
            ("accept-language", language),
        ];
        self.ask(method, place, &headers, body.to_string()).await
    }
}

/// A patch of one operation.
fn set(path: &str, value: &Value) -> Value {
    json!([{"op": "add", "path": path, "value": value}])
}

impl Bench {
    /// That patches are refused with these codes, in words that hold these, in both languages.
    async fn refuses(&self, cases: &[(Value, &str, &str, &str)]) {
        let mut fields = project("FR-A-1");
        fields["state"] = json!("approval");
        fields["plans"] = json!({"social": {"body": "SSD", "goals": {"g1": {"text": "casa"}}}});
        fields["referrals"] =
            json!({"i1": {"to": "CPI", "state": "sent"}, "i2": {"to": "CPI", "state": "sent"}});
        fields["vouchers"] = json!({"v1": {"value_eur": 100.0, "valid_from": "2026-06-01", "valid_until": "2026-06-30"}});
        let place = self.post_project(&fields).await;
        let rejected = json!([{"op": "replace", "path": "/referrals/i1/state", "value": "rejected"},
            {"op": "add", "path": "/referrals/i1/reason_of_refusal", "value": "lista d'attesa"}]);
        let done = self.patch(&place, None, &rejected).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text());
        for (patch, code, italian, english) in cases {
            for (language, says) in [("it", italian), ("en", english)] {
                let told = self.told(language, &place, patch).await;
                assert_eq!(told["code"], *code, "{told}");
                let detail = told["detail"].as_str().unwrap();
                assert!(detail.contains(says), "{language} {detail}");
                let error = told["errors"][0]["detail"].as_str().unwrap();
                assert!(detail.contains(error), "{language} {detail} / {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_refused_passage_is_told_with_field_rule_and_remedy_in_both_languages() {
    let cases = [
        (
            set("/state", &json!("review")),
            "state_cannot_follow",
            "/state: In verifica (review) non può seguire",
            "/state: In review (review) cannot follow",
        ),
        (
            set("/state", &json!("active")),
            "activated_without_signatures",
            "/plans/social/signatures: il piano sociale (social) non è firmato da SSD così com’è ora: farlo firmare, poi attivare.",
            "/plans/social/signatures: the social plan (social) is not signed by SSD as it is now: have it signed, then activate.",
        ),
        (
            set("/state", &json!("closed")),
            "closing_without_outcome",
            "/outcome: si chiude con un esito",
            "/outcome: it is closed with an outcome",
        ),
        (
            set("/referrals/i1/state", &json!("accepted")),
            "referral_state",
            "a cui non segue nulla: fare un nuovo invio.",
            "which nothing follows: send another referral.",
        ),
        (
            set("/referrals/i2/state", &json!("done")),
            "referral_state",
            "; può seguire: ",
            "; what may follow is: ",
        ),
        (
            set("/referrals/i3", &json!({"to": "CPI", "state": "accepted"})),
            "referral_state",
            "un invio non comincia come Accettato (accepted)",
            "a referral cannot begin as Accepted (accepted)",
        ),
        (
            json!([{"op": "remove", "path": "/referrals/i1/state"}]),
            "referral_state",
            "si cambia e non si toglie",
            "it may be changed, not taken away",
        ),
        (
            json!([{"op": "remove", "path": "/referrals/i1"}]),
            "referral_state",
            "resta scritto: fare un nuovo invio",
            "stays written: send another referral",
        ),
        (
            set("/instruments/k1/state", &json!("planned")),
            "instrument_state",
            "Previsto (planned) non può seguire Attivo (active)",
            "Planned (planned) cannot follow Active (active)",
        ),
    ];
    Bench::district().await.refuses(&cases).await;
}

#[tokio::test]
async fn a_broken_rule_is_told_with_field_rule_and_remedy_in_both_languages() {
    let cases = [
        (
            set(
                "/vouchers/v1/spent/p1",
                &json!({"amount_eur": 120.5, "on": "2026-06-02"}),
            ),
            "voucher_overspent",
            "spesi 120.50 su 100.00",
            "120.50 spent of 100.00",
        ),
        (
            set(
                "/vouchers/v1/spent/p1",
                &json!({"amount_eur": 1, "on": "2026-07-02"}),
            ),
            "voucher_spent_outside_validity",
            "il voucher vale dal 2026-06-01 al 2026-06-30: correggere",
            "valid from 2026-06-01 to 2026-06-30: correct",
        ),
        (
            set("/decisions/d1", &json!({"votes": {"w1": {"option": "o1"}}})),
            "vote_without_body",
            "un voto è di un servizio: scrivere in `body` quale",
            "a vote is given by a body",
        ),
        (
            set(
                "/decisions/d1",
                &json!({"quorum": ["SSD", "CPI"], "options": {"o1": {}}, "result": "o1", "votes": {"w1": {"body": "SSD"}}}),
            ),
            "decision_without_quorum",
            "senza i voti di CPI: aggiungerli",
            "without the votes of CPI: add them",
        ),
        (
            set(
                "/instruments/k1",
                &json!({"kind": "TIS", "from": "2026-01-01", "until": "2029-01-01"}),
            ),
            "instrument_too_long",
            "dura al più 24 mesi",
            "lasts at most 24 months",
        ),
        (
            set(
                "/instruments/k1",
                &json!({"from": "2026-02-01", "until": "2026-01-01"}),
            ),
            "dates_out_of_order",
            "2026-01-01 viene prima di",
            "2026-01-01 comes before",
        ),
        (
            set("/reviews/r1", &json!({"on": "2001-01-01"})),
            "dates_out_of_order",
            "viene prima dell’apertura",
            "comes before the opening",
        ),
        (
            set("/sharing", &json!("local")),
            "sharing_is_fixed",
            "non cambia.",
            "cannot be changed.",
        ),
    ];
    Bench::district().await.refuses(&cases).await;
}

#[tokio::test]
async fn who_may_not_vote_sign_or_answer_for_a_plan_is_told_in_both_languages() {
    let cases = [
        (
            set(
                "/decisions/d1",
                &json!({"options": {"o1": {}}, "votes": {"w1": {"body": "SSD", "option": "o2"}}}),
            ),
            "decision_unknown_option",
            "o2 non è un’opzione della decisione: scegliere tra o1",
            "o2 is no option of the decision: choose one of o1",
        ),
        (
            set(
                "/decisions/d1",
                &json!({"votes": {"w1": {"body": "SSD"}, "w2": {"body": "SSD"}}}),
            ),
            "body_voted_twice",
            "SSD ha già votato",
            "SSD has voted already",
        ),
        (
            set("/plans/social/signatures/f1", &json!({"body": "CPI"})),
            "signature_of_another_body",
            "CPI non firma questo piano",
            "CPI does not sign this plan",
        ),
        (
            set("/plans/health/body", &json!("SSD")),
            "plan_of_another_body",
            "SSD non risponde di questo piano (il piano sanitario (health)): scrivere uno tra DSM, D3D, DISS, DPREV",
            "write one of DSM, D3D, DISS, DPREV",
        ),
        (
            set("/plans/social/state", &json!("signed")),
            "plan_not_signed",
            "prima farlo firmare",
            "have it signed first",
        ),
    ];
    Bench::district().await.refuses(&cases).await;
}

#[tokio::test]
async fn an_end_that_was_not_reached_or_told_is_told_in_both_languages() {
    let cases = [
        (
            set(
                "/vouchers/v1/spent/p1",
                &json!({"hours": 2, "on": "2026-06-02"}),
            ),
            "voucher_spent_in_other_measure",
            "il voucher non vale nulla in questa misura",
            "the voucher is worth nothing in this measure",
        ),
        (
            set("/vouchers/v1/state", &json!("exhausted")),
            "voucher_not_spent",
            "ne resta: scrivere che cosa è stato speso",
            "something is left of it: write what was spent",
        ),
        (
            set("/instruments/k1/state", &json!("concluded")),
            "ended_without_outcome",
            "/instruments/k1/outcome: lo stato è Concluso (concluded) e non c’è l’esito: scrivere in `outcome`",
            "there is no outcome: write in `outcome` how it ended",
        ),
        (
            set("/referrals/i2/state", &json!("rejected")),
            "rejected_without_reason",
            "scrivere in `reason_of_refusal` il motivo",
            "write the reason in `reason_of_refusal`",
        ),
    ];
    Bench::district().await.refuses(&cases).await;
}

#[tokio::test]
async fn who_names_no_language_is_told_as_ever() {
    let bench = Bench::district().await;
    let place = bench.post_project(&project("FR-A-1")).await;
    let patch = json!([{"op": "add", "path": "/sharing", "value": "local"}]);
    let told = bench.patch(&place, None, &patch).await.json();
    assert_eq!(
        told["detail"],
        "/sharing: sharing is shared since the record was made and cannot be changed."
    );
}

#[tokio::test]
async fn a_fiscal_code_is_refused_in_both_languages() {
    let bench = Bench::district().await;
    let bearer = format!("Bearer {}", bench.token);
    let person =
        |code: &str| json!({"given_name": "Anna", "family_name": "Rossi", "fiscal_code": code});
    for (code, italian, english) in [
        (
            "RSSMRA85T10A562",
            "15 caratteri, un codice fiscale ne ha 16",
            "15 characters, a fiscal code has 16",
        ),
        (
            "RSSMRA85T10A562X",
            "il carattere di controllo è X",
            "the check character is X",
        ),
        (
            "RSSMRA85T99A562S",
            "mese e giorno di nascita",
            "the birth month and day",
        ),
        (
            "1SSMRA85T10A562S",
            "il carattere 1 al posto 1",
            "the character 1 cannot stand at place 1",
        ),
    ] {
        for (language, says) in [("it", italian), ("en", english)] {
            let told = bench
                .told_to(&bearer, language, "POST", "/api/v1/persons", &person(code))
                .await
                .json();
            let detail = told["detail"].as_str().unwrap();
            assert!(
                detail.starts_with("/fiscal_code: ") && detail.contains(says),
                "{language} {detail}"
            );
        }
    }
    let right = person("RSSMRA85T10A562S");
    let made = bench
        .told_to(&bearer, "it", "POST", "/api/v1/persons", &right)
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let again = bench
        .told_to(&bearer, "it", "POST", "/api/v1/persons", &right)
        .await;
    assert_eq!(again.refusal(), (409, "fiscal_code_in_use".to_owned()));
    let detail = again.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("ha questo codice fiscale: usare quella scheda"),
        "{detail}"
    );
    let many = json!({"given_name": 1, "family_name": 2});
    let told = bench
        .told_to(&bearer, "it", "POST", "/api/v1/persons", &many)
        .await
        .json();
    assert_eq!(
        told["detail"],
        "2 valori non sono ammessi; `errors` li elenca uno per uno."
    );
    assert_eq!(told["errors"][0]["detail"], "Il valore è di un altro tipo");
}

#[tokio::test]
async fn who_may_not_is_told_why_in_both_languages() {
    let bench = Bench::district().await;
    let place = bench.planned("FR-A-1").await;
    let worker = bench
        .role_token("sociale", Role::SocialWorker, None, &[])
        .await;
    let auditor = bench.role_token("revisore", Role::Auditor, None, &[]).await;
    let edit = json!([{"op": "add", "path": "/plans/health/goals/g1/text", "value": "x"}]);
    for (bearer, method, path, body, italian, english) in [
        (
            &worker,
            "PATCH",
            place.as_str(),
            &edit,
            "il ruolo social_worker qui non permette di modificare la parte «sanitaria» (/plans/health) di una scheda di tipo «Progetto»: il ruolo non lo comprende.",
            "social_worker may not edit the part “health” (/plans/health) of a record of kind “Project” here: the role does not include it.",
        ),
        (
            &worker,
            "GET",
            "/api/v1/audit",
            &Value::Null,
            "non permette di leggere «registro»: il ruolo non lo comprende.",
            "may not read “audit” here",
        ),
        (
            &auditor,
            "GET",
            "/api/v1/projects",
            &Value::Null,
            "non permette di elencare schede di tipo «Progetto»",
            "may not list records of kind “Project” here",
        ),
    ] {
        for (language, says) in [("it", italian), ("en", english)] {
            let told = bench.told_to(bearer, language, method, path, body).await;
            assert_eq!(told.refusal(), (403, "not_allowed".to_owned()));
            let detail = told.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(says), "{language} {detail}");
        }
    }
    for (language, says) in [
        ("it", "il ruolo auditor qui non permette di elencare"),
        ("en", "auditor may not list"),
    ] {
        let headers = [
            ("authorization", auditor.as_str()),
            ("accept-language", language),
        ];
        let page = bench.ask("GET", "/records", &headers, "").await;
        assert!(page.text().contains(says), "{}", page.text());
    }
}

impl Bench {
    /// A new project; its address.
    async fn post_project(&self, fields: &Value) -> String {
        let made = self
            .call(
                "POST",
                "/api/v1/projects",
                "application/json",
                &fields.to_string(),
            )
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        made.header("location").to_owned()
    }
}
