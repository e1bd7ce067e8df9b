//! Some people whom a newcomer can follow from the contact at the desk to where they are now, and the
//! guidelines that their districts work by.
//!
//! All of it by the doors that offices use: what an office kept before is imported, each project is
//! opened for a person, which takes the name out of it. Done twice it changes nothing.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::children::Node;
use super::{invent, people, sent};

/// One person with a project.
struct Case {
    district: &'static str,
    number: u32,
    family: &'static str,
    given: &'static str,
    born: (i16, i8, i8),
    sex: &'static str,
    area: &'static str,
    /// Specially protected: the project stays in the district.
    protected: bool,
}

/// Works on with three signed plans.
pub(super) const WHOLE: (&str, u32) = ("A", 1);
/// Handed from Alatri to Frosinone.
pub(super) const HANDED_ON: (&str, u32) = ("A", 2);
/// Offered by Sora to Cassino.
pub(super) const OFFERED: (&str, u32) = ("C", 1);
/// Erased at Cassino.
pub(super) const ERASED: (&str, u32) = ("D", 1);

#[rustfmt::skip]
const CASES: [Case; 6] = [
    Case { district: "A", number: 1, family: "Ranuncoli", given: "Clelia", born: (1985, 12, 10), sex: "F", area: "POV", protected: false },
    Case { district: "A", number: 2, family: "Pettirossi", given: "Nevio", born: (1991, 4, 8), sex: "M", area: "POV", protected: false },
    Case { district: "A", number: 3, family: "Zafferani", given: "Fosca", born: (1979, 6, 21), sex: "F", area: "FAM", protected: true },
    // The same person, followed in a second district.
    Case { district: "B", number: 1, family: "Ranuncoli", given: "Clelia", born: (1985, 12, 10), sex: "F", area: "DIS", protected: false },
    Case { district: "C", number: 1, family: "Salicini", given: "Oreste", born: (1968, 2, 3), sex: "M", area: "DIS", protected: false },
    Case { district: "D", number: 1, family: "Verbenucci", given: "Delia", born: (1996, 9, 17), sex: "F", area: "POV", protected: false },
];

/// The number of a guided project.
pub(super) fn reference((district, number): (&str, u32), today: Date) -> String {
    let opened = opened(today);
    format!("FR-{district}-{}-90{number:04}", opened.year())
}

/// Whether a project is one of these, which the offices leave as they are.
pub(super) fn is_guided(project: &Value) -> bool {
    let number = project["ref"]
        .as_str()
        .and_then(|name| name.rsplit('-').next());
    number.is_some_and(|number| number.starts_with("90") && number.len() == 6)
}

/// The number of a guided person.
pub(super) fn person((district, number): (&str, u32)) -> String {
    format!("P-{district}-90{number:02}")
}

/// When the guided people came to the desk.
fn opened(today: Date) -> Date {
    invent::shifted(today, -120)
}

/// Imports the people, opens their projects, and tells how the first one went on.
pub(super) async fn told(nodes: &[Node], today: Date) -> anyhow::Result<()> {
    for node in nodes {
        let Some(district) = node.member.district else {
            sent(node.api(), node.member.territory, guidelines(today)).await?;
            continue;
        };
        let own: Vec<&Case> = CASES
            .iter()
            .filter(|case| case.district == district)
            .collect();
        let lines = own.iter().flat_map(|case| case.lines(today)).collect();
        sent(node.api(), node.member.territory, lines).await?;
        let api = node.api();
        for case in own {
            let reference = reference((district, case.number), today);
            let known = api.read(&format!("/api/v1/projects/{reference}")).await;
            if known.is_err() {
                api.post("/api/v1/projects", &case.project(today)).await?;
            }
        }
        if district == WHOLE.0 {
            sent(node.api(), node.member.territory, whole(today)).await?;
        }
    }
    Ok(())
}

/// What the coordination publishes for all districts.
fn guidelines(today: Date) -> Vec<String> {
    let on = invent::shifted(today, -200).to_string();
    let step = |position: u32, text: &str, days: u32| json!({"position": position, "text": text, "within_days": days});
    [
        ("LG-1", "Dal primo contatto alla presa in carico", json!({"p1": step(1, "Primo colloquio.", 7), "p2": step(2, "Valutazione congiunta.", 30)})),
        ("LG-2", "Verifiche del progetto", json!({"p1": step(1, "Prima verifica.", 90)})),
    ]
    .map(|(reference, title, steps)| {
        let doc = json!({"ref": reference, "title": title, "type": "procedure", "version": "1", "state": "published",
            "processes": ["access", "evaluation"], "steps": steps});
        json!({"op": "create", "kind": "guideline", "ref": reference, "at": format!("{on}T09:00:00Z"), "by": "gcp", "doc": doc})
            .to_string()
    })
    .to_vec()
}

impl Case {
    fn key(&self) -> (&'static str, u32) {
        (self.district, self.number)
    }

    /// What the office kept of the person.
    fn lines(&self, today: Date) -> Vec<String> {
        let (year, month, day) = self.born;
        let born = jiff::civil::date(year, month, day);
        let on = opened(today).to_string();
        let whose = person(self.key());
        let numbered = |letter: &str| format!("{letter}-{}-90{:02}", self.district, self.number);
        let mut of_person = json!({"family_name": self.family, "given_name": self.given, "born_on": born.to_string(),
            "sex": self.sex, "fiscal_code": people::code(self.family, self.given, born, self.sex)});
        if self.protected {
            of_person["protected"] = json!(true);
        }
        let contact = json!({"on": on, "point": "pua", "mode": "desk", "asked_by": "self", "minutes": 20,
            "need_area": self.area, "person": whose, "asked": "Chiede come andare avanti.",
            "outcome": "taking_in_charge", "state": "closed"});
        let casefile = json!({"subject": whose,
            "consents": {"c1": {"purpose": "work_placement", "recipient": "CPI", "basis": "consent", "given_on": on}},
            "diary": {"d1": {"on": on, "author": "op-003", "text": "Primo colloquio."}},
            "assessments": {"v1": {"kind": "QUADRO", "on": on, "authors": ["DSM", "SSD"], "form": "quadro",
                "form_version": "1"}}});
        [
            ("person", whose, of_person),
            ("contact", numbered("K"), contact),
            ("casefile", numbered("C"), casefile),
        ]
        .map(|(kind, reference, mut doc)| {
            doc["ref"] = json!(reference);
            json!({"op": "create", "kind": kind, "ref": reference, "at": format!("{on}T09:00:00Z"), "by": "op-003", "doc": doc})
                .to_string()
        })
        .to_vec()
    }

    fn project(&self, today: Date) -> Value {
        let sharing = if self.protected { "local" } else { "shared" };
        json!({"ref": reference(self.key(), today), "sharing": sharing, "need_area": self.area,
            "opened_on": opened(today).to_string(), "state": "taken_in_charge",
            "subject": {"kind": "person", "person": person(self.key()), "birth_year": self.born.0, "sex": self.sex}})
    }
}

/// What a service agreed to, its words and the body that answers for it.
const PLANS: [(&str, &str, &str); 3] = [
    ("social", "SSD", "Stabilizzare la situazione abitativa."),
    (
        "health",
        "DSM",
        "Mantenere i controlli programmati con il servizio.",
    ),
    ("work", "CPI", "Concludere un tirocinio di inclusione."),
];

/// From the team to a decision that waits for a vote, line by line.
fn whole(today: Date) -> Vec<String> {
    let reference = reference(WHOLE, today);
    let day = |days: i64| invent::shifted(opened(today), days).to_string();
    let set = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
    let member = |body: &str, operator: &str, role: &str| json!({"body": body, "operator": operator, "role": role, "from": day(0)});
    let mut steps = vec![
        (
            1,
            vec![
                set("/team/m1", member("SSD", "op-003", "case_manager")),
                set("/team/m2", member("DSM", "op-021", "member")),
                set("/team/m3", member("CPI", "op-034", "member")),
                set("/case_manager", json!("op-003")),
                set("/state", json!("assessment")),
            ],
        ),
        (8, vec![set("/state", json!("planning"))]),
    ];
    for (plan, body, goal) in PLANS {
        let goal = json!({"text": goal, "horizon": "medium", "due": day(240)});
        let path = |field: &str| format!("/plans/{plan}/{field}");
        steps.push((
            14,
            vec![
                set(&path("body"), json!(body)),
                set(&path("goals/g1"), goal),
            ],
        ));
        let signature = json!({"body": body, "by": "op-003", "on": day(18)});
        steps.push((18, vec![set(&path("signatures/f1"), signature)]));
    }
    steps.extend([
        (20, vec![set("/state", json!("approval"))]),
        (22, vec![set("/state", json!("active"))]),
        (30, vec![set("/instruments/t1", json!({"kind": "TIS", "purpose": "LAV", "host": "ORG-A-0001", "from": day(30),
            "until": day(210), "hours": 20, "amount_eur": 500, "state": "active"}))]),
        (32, vec![set("/vouchers/b1", json!({"kind": "alimenti", "provider": "Emporio solidale", "value_eur": 120,
            "issued_on": day(32), "valid_from": day(32), "valid_until": day(180), "state": "partly_spent",
            "spent": {"p1": {"on": day(40), "amount_eur": 40}, "p2": {"on": day(70), "amount_eur": 30}}}))]),
        (33, vec![set("/referrals/i1", json!({"to": "CPI", "reason": "Profilo e orientamento al lavoro.", "sent_on": day(33),
            "due": day(63), "state": "sent"}))]),
        (40, vec![
            set("/referrals/i1/state", json!("accepted")),
            set("/referrals/i1/answered_on", json!(day(40))),
        ]),
        (90, vec![
            set("/reviews/r1", json!({"on": day(90), "bodies": ["SSD", "DSM", "CPI"], "findings": "Obiettivo a breve raggiunto.",
                "decision": "continue", "next_on": day(180)})),
            set("/next_review_on", json!(day(180))),
        ]),
        (100, vec![set("/decisions/d1", json!({"question": "Prorogare il sostegno economico?",
            "criteria": "Esito della verifica, risorse del piano.", "on": day(100), "quorum": ["SSD", "DSM"],
            "options": {"o1": {"text": "Sì, tre mesi"}, "o2": {"text": "No"}},
            "votes": {"v1": {"body": "SSD", "by": "op-003", "option": "o1", "on": day(100)}}}))]),
    ]);
    steps
        .into_iter()
        .map(|(days, patch)| {
            let at = format!("{}T10:00:00Z", day(days));
            json!({"op": "patch", "kind": "project", "ref": reference, "at": at, "by": "op-003", "patch": patch})
                .to_string()
        })
        .collect()
}
