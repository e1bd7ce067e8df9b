//! The pages: HTML rendered here, whole without script, in Italian or English.
//!
//! One template a page, one struct a template. Everything shown is escaped by the templates;
//! nothing here builds HTML from text.

pub(super) mod assets;
mod link;
pub(super) mod projects;
pub(super) mod published;
mod reading;
pub(super) mod record;
pub(super) mod sign_in;
mod territories;

use std::convert::Infallible;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, FromRequestParts, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use raccordo_config::Role;

use crate::engine::Principal;
use crate::http::Shared;
use crate::http::problem::ApiError;
use crate::http::words::{LANGUAGE_COOKIE, Language, Words};

/// What every page knows about its visit.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) words: Words,
    pub(crate) node: String,
    pub(crate) territory: String,
    pub(crate) role: Role,
    /// Who is signed in.
    pub(crate) person: Option<String>,
    /// Why nothing is written for now: a key of words, and the whole sentence.
    closed: Option<(&'static str, String)>,
    /// This address, ready for `lang=`.
    switch: String,
    asked: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "templates hand their fields over by reference"
)]
impl Shell {
    pub(crate) fn say(&self, key: &str) -> String {
        self.words.say(key)
    }

    pub(crate) fn count(&self, key: &str, number: &u64) -> String {
        self.words.count(key, *number)
    }

    pub(crate) fn number(&self, number: &u64) -> String {
        self.words.number(*number)
    }

    pub(crate) fn tag(&self) -> &'static str {
        self.words.language.tag()
    }

    pub(crate) fn switch_to(&self, tag: &str) -> String {
        format!("{}lang={tag}", self.switch)
    }

    pub(crate) fn is_coordination(&self) -> bool {
        self.role == Role::Coordination
    }
}

impl FromRequestParts<Arc<Shared>> for Shell {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("lang="));
        let status = shared.engine.status();
        Ok(Self {
            words: Words::new(Language::of(asked, &parts.headers)),
            node: status.name,
            territory: status.territory.to_string(),
            role: status.role,
            person: parts
                .extensions
                .get::<Principal>()
                .map(|principal| principal.name.clone()),
            closed: shared.engine.writes_closed().map(|(code, sentence)| {
                let key = match code {
                    "cloned" => "writes-cloned",
                    _ => "writes-rolled-back",
                };
                (key, sentence)
            }),
            switch: without_language(&parts.uri),
            asked: asked.and_then(Language::from_tag).is_some(),
        })
    }
}

/// The opening page: a district's projects, or the coordination's territories.
pub(super) async fn home(
    state: State<Arc<Shared>>,
    principal: Extension<Principal>,
    shell: Shell,
    search: Query<projects::Search>,
) -> Response {
    if shell.is_coordination() {
        territories::show(&state, &shell)
    } else {
        projects::show(state, principal, shell, search).await
    }
}

/// Answers an address that no page has.
pub(super) async fn no_such_page(shell: Shell, uri: Uri) -> Response {
    if uri.path().starts_with("/api/") {
        return ApiError::no_such_address(uri.path()).into_response();
    }
    sorry(
        &shell,
        StatusCode::NOT_FOUND,
        &shell.say("error-not-found"),
        "",
    )
}

/// What somebody sees who is signed in and may not.
pub(super) async fn not_allowed(
    shared: &Arc<Shared>,
    request: Request,
    error: &ApiError,
) -> Response {
    let (mut parts, _) = request.into_parts();
    let Ok(shell) = Shell::from_request_parts(&mut parts, shared).await;
    refused(&shell, error)
}

/// A refusal of the engine as a page.
fn refused(shell: &Shell, error: &ApiError) -> Response {
    let key = match error.status() {
        StatusCode::NOT_FOUND => "error-not-found",
        StatusCode::GONE => "error-erased",
        StatusCode::FORBIDDEN => "error-not-allowed",
        StatusCode::SERVICE_UNAVAILABLE => "error-store",
        _ => "error-other",
    };
    let detail = error.detail_in(shell.words);
    sorry(shell, error.status(), &shell.say(key), &detail)
}

fn sorry(shell: &Shell, status: StatusCode, says: &str, detail: &str) -> Response {
    #[derive(Template)]
    #[template(path = "error.html")]
    struct ErrorPage<'a> {
        shell: &'a Shell,
        says: &'a str,
        detail: &'a str,
    }
    let mut response = rendered(
        shell,
        &ErrorPage {
            shell,
            says,
            detail,
        },
    );
    *response.status_mut() = status;
    response
}

/// The page as an answer; remembers the language that was asked for.
fn rendered(shell: &Shell, page: &impl Template) -> Response {
    let mut response = match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(problem) => {
            tracing::error!(problem = %problem, "page not rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    if shell.asked {
        let cookie = format!(
            "{LANGUAGE_COOKIE}={}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax",
            shell.tag()
        );
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// An address with a query; empty values are left out.
fn address(path: &str, query: &[(&str, &str)]) -> String {
    let mut out = path.to_owned();
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(name);
        out.push('=');
        out.push_str(&percent_encoded(value));
    }
    out
}

fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;

    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a String takes any text");
        }
    }
    out
}

fn without_language(uri: &Uri) -> String {
    let mut out = uri.path().to_owned();
    out.push('?');
    for pair in uri.query().unwrap_or_default().split('&') {
        if !pair.is_empty() && !pair.starts_with("lang=") {
            out.push_str(pair);
            out.push('&');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_any_text_in_its_place() {
        assert_eq!(
            address("/", &[("q", "a&b=c d/è"), ("state", "")]),
            "/?q=a%26b%3Dc%20d%2F%C3%A8"
        );
        assert_eq!(address("/r", &[("a", "1"), ("b", "2")]), "/r?a=1&b=2");
    }

    #[test]
    fn the_language_switch_keeps_the_rest_of_the_address() {
        let uri: Uri = "/records?state=active&lang=en&q=x".parse().unwrap();
        assert_eq!(without_language(&uri), "/records?state=active&q=x&");
        assert_eq!(without_language(&Uri::from_static("/")), "/?");
    }
}
