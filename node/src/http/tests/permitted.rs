//! Every route × every role and body × own and other territory, really requested.
//!
//! The answers are kept in `docs/access-routes.md`: UPDATE=1 rewrites it. Each is held against the
//! decision besides, so that a wrong page cannot make a wrong answer right.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use raccordo_config::{Config, Role as NodeRole, Territory};
use raccordo_crdt_model::Kind;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Answer, found, project};
use crate::access::sections::of_kind;
use crate::access::{Action, Decision, Grant, Part, Role, Seat, Section, Subject, decide};
use crate::clock::{SystemClock, SystemEntropy};
use crate::engine::{Node, NodeOptions, Principal};
use crate::http::permit::{NEEDS, Need};
use crate::http::{Access, router};

/// A node of district B that holds of each kind a record of its own and of district A.
struct Two {
    node: Node,
    network: Router,
    own: Ids,
    other: Ids,
    tokens: Vec<(Seat, Principal, String)>,
    _folder: tempfile::TempDir,
}

/// One record a kind.
type Ids = Vec<(Kind, String)>;

async fn start(data: &Path, config: Config) -> Node {
    let options = NodeOptions {
        data: data.to_owned(),
        config,
        offline: true,
    };
    let node = Node::start(
        options,
        Arc::new(SystemClock::start()),
        Arc::new(SystemEntropy),
    );
    node.await.unwrap()
}

async fn records(node: &Node, name: &str) -> Ids {
    let by = Principal::office("prova");
    let mut fields = project(name);
    fields["plans"] = json!({
        "health": {"body": "DSM", "goals": {"g1": {"text": "salute", "due": "2026-12-01"}}},
        "social": {"body": "SSD", "goals": {"g1": {"text": "sociale", "due": "2026-12-01"}}},
        "work": {"body": "CPI", "goals": {"g1": {"text": "lavoro", "due": "2026-12-01"}}},
    });
    fields["reviews"] = json!({"r1": {"on": "2026-06-01", "summary": "verifica"}});
    let mut ids = Vec::new();
    for kind in Kind::all() {
        let mut fields = match kind {
            Kind::Project => fields.take(),
            Kind::Organisation => {
                json!({"name": "Cooperativa", "type": "coop", "state": "identified"})
            }
            Kind::Person => {
                json!({"given_name": "Anna", "family_name": "Verdi", "state": "registered"})
            }
            Kind::Household => json!({"members": {"m1": {"person": "P-1"}}, "state": "active"}),
            Kind::Casefile => {
                json!({"subject": "P-1", "diary": {"d1": {"text": "Colloquio"}}, "state": "open"})
            }
            Kind::Contact => json!({"on": "2026-03-04", "asked": "Casa", "state": "open"}),
            Kind::Resource => json!({"title": "Sportello", "state": "offered"}),
            Kind::Activity => json!({"on": "2026-03-04", "state": "recorded"}),
            Kind::ErasureOrder => json!({"ordered_on": "2026-03-04", "state": "ordered"}),
            Kind::Publication => json!({"since": "2026-03-04", "state": "records"}),
            // Made by a coordination alone, or by offering a project.
            Kind::Guideline | Kind::Notice | Kind::Transfer => continue,
        };
        fields["ref"] = json!(name);
        let made = node.engine().create(kind, fields, &by).await.unwrap();
        ids.push((kind, made.id.to_string()));
    }
    ids
}

async fn two() -> Two {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    found(&data, NodeRole::District, "frosinone/a");
    let mut config = raccordo_config::load(&data.join("raccordo.toml")).unwrap();
    let first = start(&data, config.clone()).await;
    let other = records(&first, "FR-A-1").await;
    first.stop().await;
    // The same store as a node of B sees it: what was its own is another territory's.
    config.node.territory = Territory::parse("frosinone/b").unwrap();
    let node = start(&data, config).await;
    let own = records(&node, "FR-B-1").await;
    let engine = node.engine();
    let mut tokens = Vec::new();
    for (seat, role, body) in seats() {
        let grants = vec![Grant {
            role,
            body: body.map(str::to_owned),
        }];
        let name = format!("{seat:?}");
        let token = engine.create_token_for(&name, grants.clone(), Vec::new(), "administrator");
        let token = token.await.unwrap();
        let principal = Principal {
            name,
            grants,
            scopes: Vec::new(),
        };
        tokens.push((seat, principal, token));
    }
    let access = Access::Network {
        secure_cookies: false,
        behind_proxy: false,
    };
    Two {
        network: router(node.engine(), access),
        node,
        own,
        other,
        tokens,
        _folder: folder,
    }
}

fn seats() -> Vec<(Seat, Role, Option<&'static str>)> {
    let plain = Role::ALL.into_iter().filter(|role| *role != Role::Referent);
    let bodies = ["DSM", "CPI", "SSD", "ETS"].map(|body| (Role::Referent, Some(body)));
    let mut all: Vec<_> = plain
        .map(|role| (role, None))
        .chain(bodies)
        .map(|(role, body)| {
            let grant = Grant {
                role,
                body: body.map(str::to_owned),
            };
            (Seat::of(&grant), role, body)
        })
        .collect();
    all.sort_by_key(|(seat, _, _)| *seat);
    all
}

/// One line of the page: what is asked, and what the decision about it is.
struct Asked {
    says: String,
    method: &'static str,
    path: String,
    body: Value,
    /// None where the route has no more to decide than its need.
    about: Option<(Action, Kind, Section, Option<&'static str>, bool)>,
    need: Need,
}

fn asked(two: &Two) -> Vec<Asked> {
    let mut all = Vec::new();
    for (method, route, need) in NEEDS
        .iter()
        .filter(|(_, route, _)| !route.contains("/local/"))
    {
        match need {
            Need::Kind(action) => all.extend(of_records(two, method, route, *action, *need)),
            Need::Of(Kind::Project, _) if route.contains("{id}") => {
                for (place, ids) in [("own", &two.own), ("other", &two.other)] {
                    let (kind, id) = &ids[0];
                    all.push(Asked {
                        says: format!("{method} {route}, {place}"),
                        method,
                        path: route.replace("{id}", id),
                        body: Value::Null,
                        about: (*method == "GET").then_some((
                            Action::Read,
                            *kind,
                            Section::Frame,
                            None,
                            place == "own",
                        )),
                        need: *need,
                    });
                }
            }
            _ => all.push(Asked {
                says: format!("{method} {route}"),
                method,
                path: route.replace("{id}", "00000000").replace("{verb}", "look"),
                body: json!({}),
                about: None,
                need: *need,
            }),
        }
    }
    all
}

fn of_records(
    two: &Two,
    method: &'static str,
    route: &str,
    action: Action,
    need: Need,
) -> Vec<Asked> {
    let mut all = Vec::new();
    if !route.contains("{id}") {
        for kind in Kind::all() {
            all.push(Asked {
                says: format!("{method} {}", route.replace("{kind}", kind.plural())),
                method,
                path: route.replace("{kind}", kind.plural()),
                body: json!({}),
                about: None,
                need,
            });
        }
        return all;
    }
    for (place, ids) in [("own", &two.own), ("other", &two.other)] {
        for (kind, id) in ids {
            let sections = if action == Action::Edit {
                of_kind(kind.singular())
            } else {
                vec![Section::Frame]
            };
            for section in sections {
                let (path, body) = field(*kind, section);
                let part = if action == Action::Edit {
                    format!(", {}", section.word())
                } else {
                    String::new()
                };
                all.push(Asked {
                    says: format!(
                        "{method} {}{part}, {place}",
                        route.replace("{kind}", kind.plural())
                    ),
                    method,
                    path: route.replace("{kind}", kind.plural()).replace("{id}", id),
                    // Tests for what is not there: nothing is changed by who may.
                    body: if action == Action::Edit {
                        json!([{"op": "test", "path": path, "value": "-"}])
                    } else {
                        json!({})
                    },
                    about: Some((action, *kind, section, body, place == "own")),
                    need,
                });
            }
        }
    }
    all
}

/// A field of a section, and the body that answers for it.
fn field(kind: Kind, section: Section) -> (&'static str, Option<&'static str>) {
    match (kind, section) {
        (Kind::Project, Section::Social) => ("/plans/social/body", Some("SSD")),
        (Kind::Project, Section::Health) => ("/plans/health/body", Some("DSM")),
        (Kind::Project, Section::Work) => ("/plans/work/body", Some("CPI")),
        (_, Section::Instruments) => ("/instruments/k1/host", None),
        (_, Section::Team) => ("/reviews/r1/summary", None),
        (_, Section::Circumstances) => ("/subject/token", None),
        (Kind::Household, Section::Identity) => ("/members/m1/person", None),
        (_, Section::Identity) => ("/given_name", None),
        (_, Section::Social) => ("/reports/x1/source", None),
        (_, Section::Health) => ("/assessments/a1/summary", None),
        (_, Section::Work) => ("/work_extract/hours", None),
        (_, Section::Diary) => ("/diary/d1/text", None),
        (_, Section::Frame) => ("/ref", None),
    }
}

impl Two {
    async fn answer(&self, one: &Asked, token: &str) -> String {
        let media_type = match one.method {
            "PATCH" => "application/json-patch+json",
            _ if one.path.starts_with("/records") => "application/x-www-form-urlencoded",
            _ => "application/json",
        };
        let body = match one.path.as_str() {
            "/api/v1/import" => String::new(),
            path if path.starts_with("/records") => String::new(),
            _ => one.body.to_string(),
        };
        let request = Request::builder()
            .method(one.method)
            .uri(&one.path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", media_type)
            .body(Body::from(body));
        let response = self
            .network
            .clone()
            .oneshot(request.unwrap())
            .await
            .unwrap();
        if one.path == "/api/v1/events" {
            // The stream does not end.
            return response.status().as_u16().to_string();
        }
        let answer = Answer::of(response).await;
        match (answer.status.as_u16(), answer.header("content-type")) {
            (403, "application/problem+json") if answer.json()["code"] == "not_allowed" => {
                "–".to_owned()
            }
            (403, "text/html; charset=utf-8") => "–".to_owned(),
            (403, _) => answer.json()["code"].as_str().unwrap_or("403").to_owned(),
            (status, _) => status.to_string(),
        }
    }
}

/// Whether the decision lets somebody do what is asked.
fn may(principal: &Principal, one: &Asked) -> bool {
    let passes = |action, subject| !matches!(decide(principal, action, subject), Decision::Deny(_));
    let part = |kind: Kind, section, body, own| {
        Subject::Part(Part {
            kind: kind.singular(),
            section,
            body,
            own,
            protected: false,
        })
    };
    if let Some((action, kind, section, body, own)) = one.about {
        return passes(action, part(kind, section, body, own));
    }
    let anywhere = |kind: Kind, action| {
        let sections = if action == Action::Edit {
            Section::ALL.to_vec()
        } else {
            vec![Section::Frame]
        };
        sections.into_iter().any(|section| {
            [true, false]
                .into_iter()
                .any(|own| passes(action, part(kind, section, None, own)))
        })
    };
    match one.need {
        Need::Anyone => true,
        // The route exports projects unless told otherwise.
        Need::Asked => anywhere(Kind::Project, Action::Export),
        Need::At(place, action) => passes(action, Subject::Place(place)),
        Need::Of(kind, action) => anywhere(kind, action),
        Need::Home => anywhere(Kind::Project, Action::List),
        Need::Kind(action) => {
            let kind = one
                .path
                .rsplit('/')
                .next()
                .and_then(Kind::from_plural)
                .unwrap();
            // A record is created in the own territory.
            match action {
                Action::Create => passes(action, part(kind, Section::Frame, None, true)),
                _ => anywhere(kind, action),
            }
        }
    }
}

#[tokio::test]
async fn every_route_answers_each_role_as_the_table_says_and_the_page_shows() {
    let two = two().await;
    let mut lines = String::new();
    let heads: Vec<&str> = two.tokens.iter().map(|(seat, _, _)| seat.word()).collect();
    writeln!(lines, "| request | {} |", heads.join(" | ")).unwrap();
    writeln!(lines, "|---{}|", "|---".repeat(heads.len())).unwrap();
    for one in asked(&two) {
        let mut cells = Vec::new();
        for (seat, principal, token) in &two.tokens {
            let answer = two.answer(&one, token).await;
            let wanted = may(principal, &one);
            assert_eq!(
                answer != "–",
                wanted,
                "{} as {}: {answer}",
                one.says,
                seat.word()
            );
            assert_ne!(answer, "500", "{} as {}", one.says, seat.word());
            cells.push(answer);
        }
        writeln!(lines, "| {} | {} |", one.says, cells.join(" | ")).unwrap();
    }
    two.node.stop().await;
    let page = format!(
        "# What each address answers to each role\n\nRequests really made to a district's node that holds one record of each kind that a district makes, of its own and of another territory; the project's plans are of DSM, SSD and CPI. `–` is 403 `not_allowed`, any other entry was let through: 200, or the refusal of an empty or failing request (400, 404, 409, 422), or 403 for the reason named. Patches test for a value that is not there. A test makes the requests again and compares; `UPDATE=1` rewrites this page.\n\n{lines}"
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/access-routes.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/access-routes.md differs from the answers: UPDATE=1 rewrites it"
    );
}

#[test]
fn every_route_behind_a_sign_in_has_a_need_and_every_need_a_route() {
    let source = include_str!("../mod.rs");
    let (_, source) = source.split_once("fn api(").unwrap();
    let (behind, _) = source.split_once("/// For everyone who reaches").unwrap();
    let (api, pages) = behind.split_once("fn pages(").unwrap();
    let mut routed = std::collections::BTreeSet::new();
    for (part, prefix) in [(api, "/api/v1"), (pages, "")] {
        for piece in part.split(".route(").skip(1) {
            let path = piece.split('"').nth(1).unwrap();
            // Up to the next route or layer stand the methods of this one.
            let methods = piece.split(".layer").next().unwrap();
            for method in ["get", "post", "patch", "delete"] {
                if methods.contains(&format!("{method}(")) {
                    routed.insert((method.to_uppercase(), format!("{prefix}{path}")));
                }
            }
        }
    }
    let needed: std::collections::BTreeSet<_> = NEEDS
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(needed, routed);
}
