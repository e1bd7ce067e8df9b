//! Somebody with an account of their own at one node, as a browser shows them there.

use std::fmt::Write as _;

use serde_json::Value;

use crate::http::{Answer, Client};
use crate::process::Node;

/// Somebody who works with a node, signed in by name and password.
#[derive(Debug)]
pub struct Person {
    http: Client,
    name: String,
    password: String,
    cookie: String,
}

impl Person {
    /// Makes an account at a running node and signs in.
    pub async fn hired(node: &Node, name: &str, role: &str, body: Option<&str>) -> Self {
        let mut arguments = vec!["user", "add", name, "--role", role];
        arguments.extend(body.iter().flat_map(|body| ["--body", body]));
        let password = node.cli(&arguments).await.expect(0).line().to_owned();
        Self::known(node.http(), name, &password).await
    }

    /// Signs in with an account that is there.
    pub async fn known(http: Client, name: &str, password: &str) -> Self {
        let mut person = Self {
            http: http.with_token(None),
            name: name.to_owned(),
            password: password.to_owned(),
            cookie: String::new(),
        };
        person.signs_in().await;
        person
    }

    /// Signs in; a node that was started again knows of no session.
    pub async fn signs_in(&mut self) {
        let form = format!("name={}&password={}", self.name, self.password);
        let form = form.replace(' ', "+");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let entered = self.http.send("POST", "/sign-in", &headers, form).await;
        let entered = entered.expect("the node answers").expect(303);
        let set = entered.header("set-cookie").expect("a session's cookie");
        set.split(';')
            .next()
            .unwrap_or_default()
            .clone_into(&mut self.cookie);
    }

    async fn asks(&self, method: &str, path: &str, kind: &str, body: String) -> Answer {
        let headers = [
            ("cookie", self.cookie.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("accept-language", "it"),
            ("content-type", kind),
        ];
        let headers = &headers[..if body.is_empty() { 3 } else { 4 }];
        let answer = self.http.send(method, path, headers, body).await;
        answer.expect("the node answers")
    }

    /// Reads.
    pub async fn gets(&self, path: &str) -> Answer {
        self.asks("GET", path, "", String::new()).await
    }

    /// Reads what must be there.
    pub async fn reads(&self, path: &str) -> Value {
        self.gets(path).await.expect(200).json()
    }

    /// Reads it if the node answers with it.
    pub async fn looks(&self, path: &str) -> Result<Value, String> {
        let answer = self.gets(path).await;
        if answer.status == 200 {
            Ok(answer.json())
        } else {
            Err(answer.to_string())
        }
    }

    /// Posts a document.
    pub async fn posts(&self, path: &str, document: &Value) -> Answer {
        let body = document.to_string();
        self.asks("POST", path, "application/json", body).await
    }

    /// Makes a record; its address.
    pub async fn makes(&self, kind: &str, fields: &Value) -> String {
        let made = self.posts(&format!("/api/v1/{kind}"), fields).await;
        let made = made.expect(201);
        let place = made.header("location");
        place.expect("a created record has a place").to_owned()
    }

    /// Patches a record.
    pub async fn patches(&self, path: &str, operations: &Value) -> Answer {
        let body = operations.to_string();
        self.asks("PATCH", path, "application/json-patch+json", body)
            .await
    }

    /// Patches a record, which must be taken; the record.
    pub async fn writes(&self, path: &str, operations: &Value) -> Value {
        self.patches(path, operations).await.expect(200).json()
    }

    /// Sends a form of a page.
    pub async fn sends(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let fields: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let kind = "application/x-www-form-urlencoded";
        self.asks("POST", path, kind, fields.join("&")).await
    }
}

fn encoded(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a string takes any text");
        }
    }
    out
}

/// Checks a refusal as people read it: field, rule in Italian and remedy; of one field only.
#[track_caller]
pub fn refused(answer: &Answer, status: u16, code: &str, field: &str) {
    let outer = if status == 422 { "invalid" } else { code };
    let document = answer.refused(status, outer);
    let errors = document["errors"].as_array().cloned().unwrap_or_default();
    assert_eq!(errors.len(), 1, "{document}");
    assert_eq!(errors[0]["pointer"], field, "{document}");
    assert_eq!(errors[0]["code"], code, "{document}");
    let said = |value: &Value| value.as_str().is_some_and(|text| text.len() > 8);
    assert!(said(&errors[0]["rule"]), "the rule in Italian: {document}");
    assert!(
        said(&errors[0]["detail"]),
        "what was seen and is allowed: {document}"
    );
    assert_ne!(document["title"], "Conflict", "{document}");
}
