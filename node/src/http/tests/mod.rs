//! The whole HTTP surface over a real node on its own disk: what the tests share.

mod access;
mod emergency;
mod entries;
mod forgetting;
mod hidden;
mod importing;
mod own_name;
mod pages;
mod people;
mod permitted;
mod published;
mod records;
mod state;
mod subjects;
mod told;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use expect_test::Expect;
use http_body_util::BodyExt as _;
use raccordo_config::{InitialSettings, Role, StoreEngine, Territory};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Access, router};
use crate::clock::{SystemClock, SystemEntropy};
use crate::engine::{Node, NodeOptions, init};

/// A node at rest in a folder of its own, with both of its doors.
struct Bench {
    node: Node,
    network: Router,
    local: Router,
    token: String,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn of(role: Role, territory: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("node");
        found(&data, role, territory);
        let config = raccordo_config::load(&data.join("raccordo.toml")).unwrap();
        let options = NodeOptions {
            data,
            config,
            offline: true,
        };
        let node = Node::start(
            options,
            Arc::new(SystemClock::start()),
            Arc::new(SystemEntropy),
        )
        .await
        .unwrap();
        let token = node
            .engine()
            .create_token("anna", "administrator")
            .await
            .unwrap();
        let network = router(
            node.engine(),
            Access::Network {
                secure_cookies: false,
                behind_proxy: false,
            },
        );
        let local = router(
            node.engine(),
            Access::LocalSocket {
                user: "root".to_owned(),
            },
        );
        Self {
            node,
            network,
            local,
            token,
            _folder: folder,
        }
    }

    async fn district() -> Self {
        Self::of(Role::District, "frosinone/a").await
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        Answer::of(
            self.network
                .clone()
                .oneshot(request.body(body.into()).unwrap())
                .await
                .unwrap(),
        )
        .await
    }

    /// As the holder of the token.
    async fn call(&self, method: &str, path: &str, media_type: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        self.ask(
            method,
            path,
            &[("authorization", &bearer), ("content-type", media_type)],
            body.to_owned(),
        )
        .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, "text/plain", "").await
    }

    async fn create(&self, reference: &str) -> Answer {
        let fields = active(reference).to_string();
        let answer = self
            .call("POST", "/api/v1/projects", "application/json", &fields)
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer
    }

    async fn patch(&self, path: &str, etag: Option<&str>, patch: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut more = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json-patch+json"),
        ];
        more.extend(etag.map(|etag| ("if-match", etag)));
        self.ask("PATCH", path, &more, patch.to_string()).await
    }

    async fn sign_in(&self) -> String {
        let answer = self
            .form("/sign-in", &[], &format!("token={}", self.token))
            .await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::SEE_OTHER, "/")
        );
        answer
            .header("set-cookie")
            .split(';')
            .next()
            .unwrap()
            .to_owned()
    }

    async fn form(&self, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(more);
        self.ask("POST", path, &all, body.to_owned()).await
    }
}

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: Bytes,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn refusal(&self) -> (u16, String) {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.text()
        );
        let document = self.json();
        assert_eq!(document["status"], self.status.as_u16());
        assert!(document["detail"].as_str().unwrap().ends_with('.'));
        (
            self.status.as_u16(),
            document["code"].as_str().unwrap().to_owned(),
        )
    }
}

fn found(data: &Path, role: Role, territory: &str) {
    let settings = InitialSettings {
        territory: Territory::parse(territory).unwrap(),
        role,
        name: "Prova".to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        http: "127.0.0.1:0".parse().unwrap(),
        advertise: None,
        engine: StoreEngine::Sled,
    };
    init(data, &settings).unwrap();
}

fn project(reference: &str) -> Value {
    json!({
        "ref": reference,
        "subject": {"kind": "person", "token": "t-1", "birth_year": 1988, "sex": "F", "municipality": "060006", "minors": 0},
        "need_area": "POV", "sub_areas": [], "opened_on": "2026-03-04", "state": "planning",
        "instruments": {"k1": {"kind": "TIS", "purpose": "LAV", "host": "ente-031", "amount_eur": 500.0, "hours": 120,
            "from": "2026-05-01", "until": "2026-10-31", "state": "active", "outcome": null}},
        "next_review_on": "2026-09-01", "outcome": null,
    })
}

/// The same once its plan was signed.
fn active(reference: &str) -> Value {
    let mut fields = project(reference);
    fields["state"] = json!("active");
    fields["plans"] = json!({"social": {"body": "SSD", "goals": {"g1": {"text": "Cercare una casa"}},
        "signatures": {"f1": {"body": "SSD"}}}});
    fields
}

fn check(value: &Value, wanted: &Expect) {
    wanted.assert_eq(&serde_json::to_string_pretty(value).unwrap());
}

/// The names and types of a document, for values that differ at each run.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!(null),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
        Value::Array(items) => items.iter().map(shape).take(1).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), shape(value)))
            .collect(),
    }
}
