//! The access desk: a contact is typed, and becomes a taking in charge.

use raccordo_tests::canaries::Planted;
use serde_json::{Value, json};

use super::Office;
use raccordo_tests::person::refused;

/// The person of the story, as nobody but two districts may know her.
pub(super) const CODE: &str = "RSSMRA85T10A562S";

/// What the districts know of her, each word to be found nowhere else.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) planted: Planted,
}

impl Known {
    pub(super) fn new() -> Self {
        Self {
            planted: Planted::default(),
        }
    }

    pub(super) fn word(&mut self, what: &str, text: &str) -> String {
        self.planted.plant(what, text);
        text.to_owned()
    }
}

/// From the first words at the desk to an open project; the project's address.
pub(super) async fn taken_in_charge(office: &Office, known: &mut Known) -> String {
    let contact = a_contact_is_typed(office, known).await;
    the_person_is_registered(office, known).await;
    let asked = json!({"ref": "FR-A-2026-000001", "need_area": "POV", "opened_on": "2026-03-04", "state": "taken_in_charge",
        "subject": {"kind": "person", "person": "P-1", "birth_year": 1985, "sex": "F", "municipality": "060003"},
        "links": {"contact": "K-1"}});
    // The desk sees where a project stands and does not open one.
    let refused_at = office.desk.posts("/api/v1/projects", &asked).await;
    refused_at.refused(403, "not_allowed");
    let project = office.manager.makes("projects", &asked).await;
    let record = office.manager.reads(&project).await;
    assert!(record["subject"]["token"].is_string(), "{record}");
    assert_eq!(record["subject"].get("person"), None, "{record}");
    assert_eq!(
        known.planted.found_in(record.to_string().as_bytes()),
        [""; 0]
    );
    the_contact_is_closed(office, &contact).await;
    the_casefile_is_begun(office, known, &project).await;
    project
}

async fn a_contact_is_typed(office: &Office, known: &mut Known) -> String {
    let mut contact = json!({"ref": "K-1", "on": "2026-03-04", "point": "pua_alatri", "mode": "desk", "asked_by": "self",
        "need_area": "POV", "asked": known.word("question", "chiede un aquilone per la casa"),
        "answer": known.word("answer", "torni col vento di marzo"), "outcome": "orientation", "minutes": 20});
    contact["state"] = json!("unheard_of");
    let wrong = office.desk.posts("/api/v1/contacts", &contact).await;
    refused(&wrong, 422, "not_allowed", "/state");
    contact["state"] = json!("open");
    office.desk.makes("contacts", &contact).await
}

async fn the_person_is_registered(office: &Office, known: &mut Known) {
    let found = office.desk.reads("/api/v1/persons?q=zanzavecchia").await;
    assert_eq!(found["items"], json!([]), "nobody is looked for twice");
    let mut person = json!({"ref": "P-1", "family_name": known.word("family name", "Zanzavècchia"),
        "given_name": known.word("given name", "Ermenegilda"), "born_on": "1985-12-10", "sex": "F",
        "fiscal_code": "RSSMRA85T10A562T", "residence": {"municipality": "060003",
            "address": known.word("address", "Vicolo Storto 43")},
        "contacts": {"phone": known.word("telephone", "0775 990123")}});
    let wrong = office.desk.posts("/api/v1/persons", &person).await;
    refused(&wrong, 422, "bad_fiscal_code", "/fiscal_code");
    person["fiscal_code"] = json!(known.word("fiscal code", CODE));
    office.desk.makes("persons", &person).await;
    let household = json!({"ref": "N-1", "name": known.word("household", "Casa Brugolina"), "municipality": "060003",
        "members": {"m1": {"person": "P-1", "relation": "holder", "from": "2026-03-04"}}});
    office.desk.makes("households", &household).await;
    let back = json!([{"op": "add", "path": "/household", "value": "N-1"}]);
    office.desk.writes("/api/v1/persons/P-1", &back).await;
}

async fn the_contact_is_closed(office: &Office, contact: &str) {
    let taken = json!([{"op": "add", "path": "/person", "value": "P-1"},
        {"op": "add", "path": "/project", "value": "FR-A-2026-000001"},
        {"op": "add", "path": "/outcome", "value": "taking_in_charge"},
        {"op": "replace", "path": "/state", "value": "closed"}]);
    office.desk.writes(contact, &taken).await;
    let offered = office.manager.reads("/api/v1/persons/P-1/offered").await;
    for part in ["contacts", "projects"] {
        assert_eq!(length(&offered[part]), 1, "{part}: {offered}");
    }
}

/// Diary and consents by the case manager; the assessment by a health service.
async fn the_casefile_is_begun(office: &Office, known: &mut Known, project: &str) {
    let files = office.manager.reads("/api/v1/casefiles").await;
    assert_eq!(
        length(&files["items"]),
        1,
        "the project opened one: {files}"
    );
    let id = files["items"][0]["_meta"]["id"].as_str().expect("an id");
    let file = format!("/api/v1/casefiles/{id}");
    assert!(
        files
            .to_string()
            .contains(project.rsplit('/').next().expect("an id")),
        "{files}"
    );
    let begun = json!([{"op": "add", "path": "/ref", "value": "C-1"},
        {"op": "add", "path": "/consents/c1", "value": {"purpose": "work_placement", "recipient": "CPI", "basis": "consent",
            "given_on": "2026-03-04"}},
        {"op": "add", "path": "/diary/d1", "value": {"on": "2026-03-04",
            "text": known.word("diary", "riferisce sogni di balene")}},
        {"op": "add", "path": "/work_extract/hours", "value": "mattina"}]);
    office.manager.writes(&file, &begun).await;
    let own = json!({"kind": "PRELIM", "on": "2026-03-05", "authors": ["SSD"],
        "summary": known.word("assessment", "senza dimora fissa da Ottobrata")});
    let preliminary = json!([{"op": "add", "path": "/assessments/v0", "value": own}]);
    let seen = office.manager.writes(&file, &preliminary).await;
    assert_eq!(seen["assessments"]["v0"], own, "read back by who wrote it");
    let assessed = json!([{"op": "add", "path": "/assessments/v1", "value": {"kind": "UVD_EMDH", "on": "2026-03-10",
        "authors": ["DSM", "SSD"], "form": "uvd", "form_version": "1",
        "summary": known.word("diagnosis", "sindrome di Ottavelli")}}]);
    let by_social = office.manager.patches(&file, &assessed).await;
    by_social.refused(403, "not_allowed");
    office.health.writes(&file, &assessed).await;
}

pub(super) fn length(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}
