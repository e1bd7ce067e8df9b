//! The table against what the offices were promised, and against its page.

use std::fmt::Write as _;
use std::path::Path;

use raccordo_crdt_model::{Kind, Privacy};
use serde_json::json;

use super::sections::{is_personal, of_kind};
use super::table::{PLACES, TABLE};
use super::*;

const ACTIONS: [Action; 11] = [
    Action::Read,
    Action::List,
    Action::Create,
    Action::Edit,
    Action::Answer,
    Action::Assess,
    Action::Erase,
    Action::Export,
    Action::Import,
    Action::Administer,
    Action::Invoke,
];

fn holder(role: Role, body: Option<&str>) -> Principal {
    Principal {
        name: "anna".to_owned(),
        grants: vec![Grant {
            role,
            body: body.map(str::to_owned),
        }],
        scopes: Vec::new(),
    }
}

fn part(kind: &str, section: Section) -> Part<'_> {
    Part {
        kind,
        section,
        body: None,
        own: true,
        protected: false,
    }
}

fn on(principal: &Principal, action: Action, part: Part<'_>) -> Decision {
    decide(principal, action, Subject::Part(part))
}

fn is_denied(decision: Decision) -> bool {
    matches!(decision, Decision::Deny(_))
}

#[test]
fn what_no_row_names_is_denied_to_everybody() {
    for role in Role::ALL {
        let one = holder(role, Some("DSM"));
        for action in ACTIONS {
            assert!(is_denied(on(
                &one,
                action,
                part("unheard_of", Section::Frame)
            )));
        }
    }
    let nobody = Principal {
        name: "nobody".to_owned(),
        grants: Vec::new(),
        scopes: Vec::new(),
    };
    for action in ACTIONS {
        assert!(is_denied(on(
            &nobody,
            action,
            part("guideline", Section::Frame)
        )));
        for place in Place::ALL {
            assert!(is_denied(decide(&nobody, action, Subject::Place(place))));
        }
    }
}

#[test]
fn the_employment_centre_never_reads_health_identity_or_diary() {
    for body in ["CPI", "SIL"] {
        let centre = holder(Role::Referent, Some(body));
        for kind in ["project", "person", "household", "casefile", "contact"] {
            for section in [Section::Health, Section::Identity, Section::Diary] {
                for (own, action) in [true, false]
                    .into_iter()
                    .flat_map(|own| ACTIONS.map(|one| (own, one)))
                {
                    let asked = Part {
                        own,
                        ..part(kind, section)
                    };
                    assert!(
                        is_denied(on(&centre, action, asked)),
                        "{body} {action:?} {kind} {section:?}"
                    );
                }
            }
        }
        let sees = |section| on(&centre, Action::Read, part("project", section));
        assert_eq!(sees(Section::Work), Decision::Allow);
        assert_eq!(sees(Section::Social), Decision::Outline);
        assert_eq!(sees(Section::Frame), Decision::Allow);
        assert_eq!(
            on(&centre, Action::Read, part("casefile", Section::Work)),
            Decision::Allow
        );
        assert!(is_denied(decide(
            &centre,
            Action::Invoke,
            Subject::Place(Place::Emergency)
        )));
    }
}

#[test]
fn no_field_that_tells_of_health_is_read_by_the_employment_centre_but_the_work_extract() {
    for body in ["CPI", "SIL"] {
        let centre = holder(Role::Referent, Some(body));
        for kind in Kind::all() {
            for told in kind.told() {
                let tells = told.section == Section::Health || told.privacy == Privacy::Health;
                let made_for_it = kind == Kind::Casefile && told.path.starts_with("work_extract");
                if !tells || made_for_it {
                    continue;
                }
                let asked = part(kind.singular(), told.section);
                let seen = on(&centre, Action::Read, asked);
                assert!(is_denied(seen), "{body} {} {}", kind.singular(), told.path);
            }
        }
    }
}

#[test]
fn administrators_auditors_and_privacy_see_no_case_content() {
    for role in [
        Role::NodeAdmin,
        Role::FederationAdmin,
        Role::Auditor,
        Role::PrivacyReferent,
        Role::PoliticalTable,
    ] {
        let one = holder(role, None);
        for kind in [
            "project",
            "person",
            "household",
            "casefile",
            "contact",
            "transfer",
        ] {
            for section in Section::ALL {
                for action in ACTIONS {
                    assert!(
                        is_denied(on(&one, action, part(kind, section))),
                        "{role:?} {action:?} {kind}"
                    );
                }
            }
        }
        assert!(is_denied(decide(
            &one,
            Action::Read,
            Subject::Place(Place::Evidence)
        )));
    }
}

#[test]
fn a_section_is_written_by_the_body_that_answers_for_it() {
    let health = |body| Part {
        body,
        ..part("project", Section::Health)
    };
    let referent = holder(Role::Referent, Some("DSM"));
    assert_eq!(
        on(&referent, Action::Edit, health(Some("DSM"))),
        Decision::Allow
    );
    assert_eq!(
        on(&referent, Action::Edit, health(None)),
        Decision::Allow,
        "nobody answers for it yet"
    );
    assert_eq!(
        on(&referent, Action::Edit, health(Some("D3D"))),
        Decision::Deny(Reason::Body)
    );
    assert_eq!(
        on(&referent, Action::Read, health(Some("D3D"))),
        Decision::Allow
    );
    let worker = holder(Role::SocialWorker, None);
    assert_eq!(
        on(&worker, Action::Read, health(Some("DSM"))),
        Decision::Outline
    );
    assert_eq!(
        on(&worker, Action::Edit, health(Some("SSD"))),
        Decision::Deny(Reason::Role)
    );
}

#[test]
fn a_right_in_the_own_territory_ends_there() {
    let worker = holder(Role::SocialWorker, None);
    let other = Part {
        own: false,
        ..part("project", Section::Frame)
    };
    assert_eq!(
        on(&worker, Action::Read, other),
        Decision::Deny(Reason::Territory)
    );
    let group = holder(Role::GcpMember, None);
    assert_eq!(on(&group, Action::Read, other), Decision::Allow);
    assert_eq!(
        on(&group, Action::Edit, other),
        Decision::Deny(Reason::Role)
    );
}

#[test]
fn who_a_protected_person_is_stays_with_the_few_who_serve_them() {
    let identity = |protected| Part {
        protected,
        ..part("person", Section::Identity)
    };
    let desk = holder(Role::AccessOperator, None);
    assert_eq!(on(&desk, Action::Read, identity(false)), Decision::Allow);
    assert_eq!(
        on(&desk, Action::Read, identity(true)),
        Decision::Deny(Reason::Protected)
    );
    let worker = holder(Role::SocialWorker, None);
    assert_eq!(on(&worker, Action::Read, identity(true)), Decision::Allow);
    // Of what is not the identity nothing is changed either: a merge would open it.
    for kind in ["person", "household"] {
        let frame = Part {
            protected: true,
            ..part(kind, Section::Frame)
        };
        assert_eq!(
            on(&desk, Action::Edit, frame),
            Decision::Deny(Reason::Protected)
        );
        assert_eq!(on(&desk, Action::Read, frame), Decision::Allow);
        assert_eq!(on(&worker, Action::Edit, frame), Decision::Allow);
    }
}

#[test]
fn scopes_narrow_and_never_widen() {
    let mut program = holder(Role::Office, None);
    program.scopes = vec![Scope::Read];
    assert_eq!(
        on(&program, Action::Read, part("project", Section::Frame)),
        Decision::Allow
    );
    for action in [
        Action::Create,
        Action::Edit,
        Action::Erase,
        Action::Export,
        Action::Import,
    ] {
        let denied = Decision::Deny(Reason::Scope);
        assert_eq!(
            on(&program, action, part("project", Section::Frame)),
            denied
        );
    }
    let admin = decide(&program, Action::Administer, Subject::Place(Place::Peers));
    assert_eq!(admin, Decision::Deny(Reason::Scope));
    let mut auditor = holder(Role::Auditor, None);
    auditor.scopes = Scope::ALL.to_vec();
    assert!(is_denied(on(
        &auditor,
        Action::Read,
        part("project", Section::Frame)
    )));
}

#[test]
fn several_roles_allow_what_any_of_them_does() {
    let mut both = holder(Role::Auditor, None);
    both.grants
        .extend(holder(Role::Referent, Some("DSM")).grants);
    assert_eq!(
        on(&both, Action::Read, part("project", Section::Health)),
        Decision::Allow
    );
    assert_eq!(
        decide(&both, Action::Read, Subject::Place(Place::Audit)),
        Decision::Allow
    );
}

#[test]
fn every_kind_of_the_model_has_a_row_for_each_of_its_sections() {
    for kind in Kind::all().map(Kind::singular) {
        for section in of_kind(kind) {
            let rows = TABLE
                .iter()
                .filter(|(named, part, _)| *named == kind && *part == section);
            assert_eq!(rows.count(), 1, "{kind} {}", section.word());
        }
    }
    assert_eq!(PLACES.len(), Place::ALL.len());
    for place in Place::ALL {
        let rows = PLACES.iter().filter(|(named, _)| *named == place);
        assert_eq!(rows.count(), 1, "{}", place.word());
    }
}

#[test]
fn seats_stand_in_the_order_of_the_tables_columns() {
    for (place, seat) in Seat::ALL.into_iter().enumerate() {
        assert_eq!(seat as usize, place);
    }
    for role in Role::ALL {
        assert_eq!(Role::from_word(role.word()), Some(role));
    }
    for scope in Scope::ALL {
        assert_eq!(Scope::from_word(scope.word()), Some(scope));
    }
    assert!(
        ["person", "household", "casefile", "contact"]
            .into_iter()
            .all(is_personal)
    );
    assert!(!is_personal("project"));
}

#[test]
fn what_may_not_be_read_is_left_out_and_told() {
    let fields = json!({
        "ref": "FR-A-1", "state": "active", "opened_on": "2026-01-02", "team": {"m1": {"body": "DSM"}},
        "plans": {
            "health": {"body": "DSM", "goals": {"g1": {"text": "segreto-salute", "due": "2026-09-01"}}},
            "social": {"body": "SSD", "goals": {"g1": {"text": "segreto-sociale", "due": "2026-10-01", "reached": 2}}, "interventions": {}},
            "work": {"body": "CPI", "goals": {"g1": {"text": "curriculum"}}},
        },
        "reviews": {"r1": {"on": "2026-03-01", "summary": "segreto-verifica"}},
        "instruments": {"k1": {"kind": "TIS", "host": "ente-031"}},
        "unheard_of": {"x": "segreto-nuovo"},
    });
    let centre = Reading::of(&holder(Role::Referent, Some("CPI")), "project", true, false).unwrap();
    let mut seen = fields.clone();
    let withheld = centre.fields(&mut seen);
    assert_eq!(
        withheld,
        [
            "/plans/health",
            "/plans/social",
            "/reviews",
            "/sub_areas",
            "/subject/token",
            "/team",
            "/unheard_of",
        ]
    );
    assert!(!seen.to_string().contains("segreto"), "{seen}");
    assert_eq!(
        seen,
        json!({
            "ref": "FR-A-1", "state": "active", "opened_on": "2026-01-02", "team": {"m1": {"body": "DSM"}},
            "plans": {
                "social": {"body": "SSD", "goals": {"g1": {"due": "2026-10-01"}}},
                "work": {"body": "CPI", "goals": {"g1": {"text": "curriculum"}}},
            },
            "reviews": {"r1": {"on": "2026-03-01"}},
            "instruments": {"k1": {"kind": "TIS", "host": "ente-031"}},
        })
    );
    let office = Reading::of(&Principal::office("x"), "project", true, false).unwrap();
    let mut whole = fields.clone();
    assert!(office.is_whole() && office.fields(&mut whole).is_empty());
    assert_eq!(whole, fields);
}

#[test]
fn the_page_about_access_shows_the_table_in_force() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/access.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- rights -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of rights -->").unwrap();
    let wanted = format!(
        "{before}<!-- rights -->\n{}<!-- end of rights -->{after}",
        rights()
    );
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    assert!(
        page == wanted || std::env::var_os("UPDATE").is_some(),
        "docs/access.md differs from the table: UPDATE=1 rewrites it"
    );
}

/// The tables of the page: a kind a table, roles down, sections across.
fn rights() -> String {
    let mut out = String::new();
    let mut kinds: Vec<&str> = TABLE.iter().map(|(kind, _, _)| *kind).collect();
    kinds.dedup();
    let cell = |rights: &str| {
        if rights.is_empty() {
            "·".to_owned()
        } else {
            rights.to_owned()
        }
    };
    for kind in kinds {
        let rows: Vec<_> = TABLE
            .iter()
            .filter(|(named, _, _)| *named == kind)
            .collect();
        let words: Vec<&str> = rows.iter().map(|(_, section, _)| section.word()).collect();
        writeln!(out, "### {kind}\n\n| role | {} |", words.join(" | ")).unwrap();
        writeln!(out, "|---{}|", "|---".repeat(rows.len())).unwrap();
        for seat in Seat::ALL {
            let cells: Vec<String> = rows
                .iter()
                .map(|(_, _, rights)| cell(rights[seat as usize]))
                .collect();
            if cells.iter().any(|cell| cell != "·") {
                writeln!(out, "| {} | {} |", seat.word(), cells.join(" | ")).unwrap();
            }
        }
        out.push('\n');
    }
    let words: Vec<&str> = PLACES.iter().map(|(place, _)| place.word()).collect();
    writeln!(
        out,
        "### The node's own places\n\n| role | {} |",
        words.join(" | ")
    )
    .unwrap();
    writeln!(out, "|---{}|", "|---".repeat(words.len())).unwrap();
    for seat in Seat::ALL {
        let cells: Vec<String> = PLACES
            .iter()
            .map(|(_, rights)| cell(rights[seat as usize]))
            .collect();
        writeln!(out, "| {} | {} |", seat.word(), cells.join(" | ")).unwrap();
    }
    out.push('\n');
    out
}
