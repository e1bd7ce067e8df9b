//! A refusal as the client sees it: RFC 9457 `application/problem+json`.
//!
//! Every error response of the API is made here, so status, `code` and shape cannot drift apart.
//! `code` is stable; `detail` is one sentence for people and may change. A client that names a
//! language gets the title, and the rule of each refused field, in it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use raccordo_crdt_model::{Filled, Problem, Rejected, Said};
use serde_json::{Map, Value, json};

use crate::engine::CommandFailed;
use crate::http::words::{Language, Words};

/// What a sentence is filled with, by name.
pub(crate) type Filling = Vec<(&'static str, Filled)>;

/// What the client is told instead of a result.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: String,
    detail: String,
    wording: Box<Wording>,
    more: Map<String, Value>,
    retry_after_s: Option<u64>,
}

/// What the catalogues say it with.
#[derive(Debug, Clone, Default)]
struct Wording {
    /// Which sentence says the detail, and with what.
    said: Said,
    /// What is wrong with the input, each as `errors` has it.
    problems: Vec<Problem>,
}

impl ApiError {
    /// A refusal with a stable code and one sentence.
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            detail: sentence(&detail.into()),
            wording: Box::default(),
            more: Map::new(),
            retry_after_s: None,
        }
    }

    /// 400: the request itself cannot be read.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// 401: no valid credential came with the request.
    pub(crate) fn sign_in_needed() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "sign_in_needed",
            "this needs a session or the header `Authorization: Bearer TOKEN`; `raccordo token create` makes a token",
        )
    }

    /// 404: nothing is served at this address.
    pub(crate) fn no_such_address(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no_such_address",
            format!("nothing is served at {path}; /api/v1/openapi.json lists what is"),
        )
    }

    /// 405: the address does not take this method.
    pub(crate) fn no_such_method(method: &str, path: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "no_such_method",
            format!("{path} does not take {method}; /api/v1/openapi.json lists what it takes"),
        )
    }

    /// 422 with every problem at once.
    pub(crate) fn invalid(problems: &[Problem]) -> Self {
        let detail = match problems {
            [only] => format!("{}: {}", place(&only.pointer), only.detail),
            many => format!("{} values are not allowed; `errors` names each", many.len()),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).about(problems)
    }

    /// 429: try again after this many seconds.
    pub(crate) fn slow_down(after_s: u64) -> Self {
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_failures",
            format!("too many wrong tokens came from this address: try again in {after_s} seconds"),
        );
        error.retry_after_s = Some(after_s);
        error
    }

    /// Names the sentence of the catalogues that says the detail.
    pub(crate) fn said(mut self, variant: &'static str, filled: Filling) -> Self {
        self.wording.said = Said { variant, filled };
        self
    }

    /// Tells what is wrong with the input.
    fn about(mut self, problems: &[Problem]) -> Self {
        problems.clone_into(&mut self.wording.problems);
        self.member("errors", problems.iter().map(problem_json).collect())
    }

    /// Adds a member to the problem document.
    pub(crate) fn member(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence for people, in English.
    #[cfg(test)]
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The problem document with its title, its details, and the rules of its fields, in a language:
    /// of what the catalogues do not say, the English detail.
    pub(crate) fn document_in(&self, words: Words) -> Value {
        let mut document = self.document();
        if let Some(title) = words.known(&format!("refusal-{}", self.code)) {
            document["title"] = json!(title);
        }
        document["detail"] = json!(self.detail_in(words));
        let errors = document.get_mut("errors").and_then(Value::as_array_mut);
        for (place, error) in errors.into_iter().flatten().enumerate() {
            let problem = self.wording.problems.get(place);
            if let Some(detail) = problem.and_then(|one| sentence_of(words, one.code, &one.said)) {
                error["detail"] = json!(detail);
            }
            let code = error["code"].as_str().unwrap_or_default();
            if let Some(rule) = words.known(&format!("rule-{code}")) {
                error["rule"] = json!(rule);
            }
        }
        document
    }

    /// The sentence for people in a language; in English where the catalogue does not say it.
    pub(crate) fn detail_in(&self, words: Words) -> String {
        let said = self.said_in(words);
        said.map_or_else(|| self.detail.clone(), |said| sentence(&said))
    }

    fn said_in(&self, words: Words) -> Option<String> {
        match self.wording.problems.as_slice() {
            [] => sentence_of(words, &self.code, &self.wording.said),
            [only] => {
                let detail = sentence_of(words, only.code, &only.said)?;
                let place = match only.pointer.as_str() {
                    "" => words.say("problem-place"),
                    pointer => pointer.to_owned(),
                };
                Some(format!("{place}: {detail}"))
            }
            many => Some(words.count("problem-many", many.len() as u64)),
        }
    }

    /// The problem document.
    pub(crate) fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("type".to_owned(), json!("about:blank"));
        let title = self.status.canonical_reason().unwrap_or("Error");
        document.insert("title".to_owned(), json!(title));
        document.insert("status".to_owned(), json!(self.status.as_u16()));
        document.insert("code".to_owned(), json!(self.code));
        document.insert("detail".to_owned(), json!(self.detail));
        document.extend(self.more.clone());
        Value::Object(document)
    }
}

impl From<CommandFailed> for ApiError {
    fn from(failed: CommandFailed) -> Self {
        let said = failed.to_string();
        match failed {
            CommandFailed::Rejected(rejected) => rejected.into(),
            CommandFailed::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, "not_found", said),
            CommandFailed::WritesClosed { code, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, said)
            }
            CommandFailed::Erased(erased) => Self::new(StatusCode::GONE, "erased", said)
                .member("erased_at", json!(erased.at.to_string())),
            CommandFailed::Damaged { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "damaged", said)
            }
            CommandFailed::Conflict { code, .. } => {
                let refusal = Self::new(StatusCode::CONFLICT, code, said.clone());
                match code {
                    "legal_hold" => refusal.about(&[Problem::new("/legal_hold", code, said)]),
                    "merge_in_a_circle" => {
                        refusal.about(&[Problem::new("/merged_into", code, said)])
                    }
                    _ => refusal,
                }
            }
            CommandFailed::Ambiguous { territories, .. } => {
                Self::new(StatusCode::CONFLICT, "ambiguous", said)
                    .member("territories", json!(territories))
            }
            CommandFailed::NotHome { .. } => Self::new(StatusCode::FORBIDDEN, "not_home", said),
            CommandFailed::ReferenceInUse { reference } => {
                let problem = Problem::new("/ref", "ref_in_use", said.clone());
                let problem = problem.said("", &[("ref", Filled::text(reference))]);
                Self::new(StatusCode::CONFLICT, "ref_in_use", said).about(&[problem])
            }
            CommandFailed::StoreCannotWrite { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_cannot_write", said)
            }
            CommandFailed::Malformed { .. } => Self::malformed(said),
            CommandFailed::Peer { code, .. } => Self::new(peer_status(code), code, said),
            CommandFailed::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", said),
        }
    }
}

impl From<Rejected> for ApiError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Invalid(problems) => Self::invalid(&problems),
            Rejected::Rule(problem) => {
                let detail = format!("{}: {}", place(&problem.pointer), problem.detail);
                Self::new(StatusCode::CONFLICT, problem.code, detail).about(&[problem])
            }
            Rejected::TestFailed { pointer } => Self::new(
                StatusCode::CONFLICT,
                "test_failed",
                format!(
                    "{} does not have the value that the patch tests for: nothing was changed",
                    place(&pointer)
                ),
            )
            .said("", vec![("pointer", Filled::text(&pointer))])
            .member("pointer", json!(pointer)),
            Rejected::UnknownVersion => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "unknown_version",
                "the version in If-Match is not known on this node: read the record again and use its ETag",
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.document().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                header::HeaderValue::from_static("Bearer"),
            );
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Says a refusal in the language that the request names first among those known here.
pub(crate) async fn in_language(request: Request, next: Next) -> Response {
    let asked = Language::asked(request.headers());
    let mut response = next.run(request).await;
    let (Some(language), Some(error)) = (asked, response.extensions_mut().remove::<ApiError>())
    else {
        return response;
    };
    let document = error.document_in(Words::new(language));
    *response.body_mut() = Body::from(document.to_string());
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    let tag = header::HeaderValue::from_static(language.tag());
    headers.insert(header::CONTENT_LANGUAGE, tag);
    headers.insert(
        header::VARY,
        header::HeaderValue::from_static("accept-language"),
    );
    response
}

/// The sentence of a catalogue about a code; where it has none of its own, the rule and its remedy.
fn sentence_of(words: Words, code: &str, said: &Said) -> Option<String> {
    let key = match said.variant {
        "" => format!("problem-{code}"),
        variant => format!("problem-{code}-{variant}"),
    };
    let filled = said.filled.iter();
    let filled: Vec<(&str, String)> = filled
        .map(|(name, value)| (*name, shown(words, value)))
        .collect();
    // In English the detail itself says more than the rule.
    let rule =
        || (words.language == Language::Italian).then(|| words.known(&format!("rule-{code}")));
    words.filled(&key, &filled).or_else(|| rule().flatten())
}

/// A value as a sentence shows it: a label, with the code of what programs write by codes.
fn shown(words: Words, value: &Filled) -> String {
    match value {
        Filled::Text(text) => text.clone(),
        Filled::Codes(family, codes) => {
            let written = matches!(*family, "state" | "field" | "plan" | "sharing");
            let one = |code: &String| match words.code(family, code) {
                label if written && label != *code => format!("{label} ({code})"),
                label => label,
            };
            let all: Vec<String> = codes.iter().map(one).collect();
            all.join(", ")
        }
    }
}

fn problem_json(problem: &Problem) -> Value {
    json!({"pointer": problem.pointer, "code": problem.code, "detail": problem.detail})
}

fn place(pointer: &str) -> &str {
    if pointer.is_empty() {
        "the document"
    } else {
        pointer
    }
}

fn peer_status(code: &str) -> StatusCode {
    match code {
        "not_coordination" => StatusCode::FORBIDDEN,
        "unreachable" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::CONFLICT,
    }
}

/// Library texts are fragments in lower case; people get a sentence.
fn sentence(text: &str) -> String {
    let mut out = text.trim().trim_end_matches('.').to_owned();
    out.push('.');
    out
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(error: impl Into<ApiError>, wanted: &Expect) {
        let error = error.into();
        wanted.assert_eq(&serde_json::to_string(&error.document()).unwrap());
    }

    fn problem(pointer: &str, code: &'static str) -> Problem {
        Problem {
            pointer: pointer.to_owned(),
            code,
            detail: "seen x, allowed y".to_owned(),
            said: Said::default(),
        }
    }

    #[test]
    fn every_refusal_has_a_stable_code_and_one_sentence() {
        check(
            CommandFailed::NotHome {
                territory: "frosinone/a".to_owned(),
            },
            &expect![[
                r#"{"code":"not_home","detail":"this record belongs to frosinone/a: only its own nodes may change it.","status":403,"title":"Forbidden","type":"about:blank"}"#
            ]],
        );
        check(
            CommandFailed::NotFound {
                kind: "project",
                id: "ff".to_owned(),
            },
            &expect![[
                r#"{"code":"not_found","detail":"no project with id ff on this node.","status":404,"title":"Not Found","type":"about:blank"}"#
            ]],
        );
        check(
            CommandFailed::StoreCannotWrite {
                reason: "no space".to_owned(),
            },
            &expect![[
                r#"{"code":"store_cannot_write","detail":"the store cannot write: no space; nothing was kept.","status":503,"title":"Service Unavailable","type":"about:blank"}"#
            ]],
        );
        check(
            Rejected::TestFailed {
                pointer: "/state".to_owned(),
            },
            &expect![[
                r#"{"code":"test_failed","detail":"/state does not have the value that the patch tests for: nothing was changed.","pointer":"/state","status":409,"title":"Conflict","type":"about:blank"}"#
            ]],
        );
        check(
            Rejected::Rule(problem("/state", "passage_not_allowed")),
            &expect![[
                r#"{"code":"passage_not_allowed","detail":"/state: seen x, allowed y.","errors":[{"code":"passage_not_allowed","detail":"seen x, allowed y","pointer":"/state"}],"status":409,"title":"Conflict","type":"about:blank"}"#
            ]],
        );
    }

    #[test]
    fn all_invalid_values_are_told_at_once() {
        check(
            Rejected::Invalid(vec![
                problem("/state", "not_allowed"),
                problem("/opened_on", "not_a_date"),
            ]),
            &expect![[
                r#"{"code":"invalid","detail":"2 values are not allowed; `errors` names each.","errors":[{"code":"not_allowed","detail":"seen x, allowed y","pointer":"/state"},{"code":"not_a_date","detail":"seen x, allowed y","pointer":"/opened_on"}],"status":422,"title":"Unprocessable Entity","type":"about:blank"}"#
            ]],
        );
    }
}
