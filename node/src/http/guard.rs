//! Who may pass: credentials, cross-site checks and the headers of every answer.
//!
//! Guarantees that no handler under the API or behind the pages runs without a [`Principal`], and
//! that a request another site made a browser send changes nothing.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use tracing::Instrument as _;

use crate::engine::{Credential, Principal};
use crate::http::problem::ApiError;
use crate::http::serve::Caller;
use crate::http::session::{Presence, SessionKey};
use crate::http::{Access, Shared, permit, web};

/// In which a proxy says whom it asks for.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Sent by the page's own script, so that a refresh does not count as a person's presence.
pub(crate) const LIVE_HEADER: &str = "raccordo-live";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The session behind a request, where there is one; streams end with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BySession(pub(crate) Option<SessionKey>);

/// Whether a person asked, by a session or a token: not a page that refreshes itself, and not a
/// command on this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByPerson(pub(crate) bool);

/// What proved who asks; none on the local socket.
#[derive(Debug, Clone)]
pub(crate) struct Proof(pub(crate) Option<Credential>);

/// Lets callers of the API through who are known and may.
pub(crate) async fn api(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    match authenticate(
        &shared,
        request.method(),
        request.headers(),
        address(&shared, &request),
    )
    .await
    {
        Ok(known) => match permit::enter(&shared, &known.principal, &request) {
            Ok(()) => {
                let person = asks_as_person(&shared, &request);
                known.tell(&mut request, person);
                next.run(request).await
            }
            Err(refusal) => refusal.into_response(),
        },
        Err(refusal) => refusal.into_response(),
    }
}

/// Lets signed-in people through to the pages; others go to the sign-in page.
pub(crate) async fn pages(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    match authenticate(
        &shared,
        request.method(),
        request.headers(),
        address(&shared, &request),
    )
    .await
    {
        Ok(known) => {
            let entered = permit::enter(&shared, &known.principal, &request);
            let person = asks_as_person(&shared, &request);
            known.tell(&mut request, person);
            match entered {
                Ok(()) => next.run(request).await,
                Err(refusal) => web::not_allowed(&shared, request, &refusal).await,
            }
        }
        Err(refusal)
            if refusal.status() == StatusCode::UNAUTHORIZED && !is_refresh(request.headers()) =>
        {
            Redirect::to("/sign-in").into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Adds the strict headers and the request's span.
pub(crate) async fn headers(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let span = tracing::debug_span!("request", id = NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut response = next.run(request).instrument(span).await;
    let headers = response.headers_mut();
    let mut always = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    always(header::CONTENT_SECURITY_POLICY, POLICY);
    always(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    always(header::REFERRER_POLICY, "no-referrer");
    always(header::CACHE_CONTROL, "no-store");
    always(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    always(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    if shared.is_secure() {
        always(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}

/// Refuses a form or change that another site made the browser send.
///
/// Browsers say where a request comes from in `Sec-Fetch-Site`, older ones in `Origin`. A request
/// with neither is no browser's: it passes only where no cookie gives it power.
pub(crate) fn same_site(
    method: &Method,
    headers: &HeaderMap,
    carries_cookie: bool,
) -> Result<(), ApiError> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let refused = || {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "this request comes from another site; open the page of this node and repeat it there",
        )
    };
    if let Some(site) = text(headers, "sec-fetch-site") {
        return if matches!(site, "same-origin" | "none") {
            Ok(())
        } else {
            Err(refused())
        };
    }
    match text(headers, "origin") {
        Some(origin) => {
            let authority = origin.split_once("://").map(|(_, rest)| rest);
            let ours = text(headers, "host");
            if authority.is_some() && authority == ours {
                Ok(())
            } else {
                Err(refused())
            }
        }
        None if carries_cookie => Err(refused()),
        None => Ok(()),
    }
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

/// The address that a request comes from, for the limit on wrong tokens and passwords. Where a proxy
/// on this machine speaks for everybody, the one that it added: else any stranger's wrong tries would
/// lock out all others.
pub(crate) fn address(shared: &Shared, request: &Request) -> Option<IpAddr> {
    let connected = request.extensions().get::<ConnectInfo<Caller>>();
    let address = connected.map(|ConnectInfo(Caller(address))| address.ip())?;
    let proxied = matches!(
        shared.access,
        Access::Network {
            behind_proxy: true,
            ..
        }
    );
    if !proxied || !address.is_loopback() {
        return Some(address);
    }
    // What stands before the last one is whatever the caller wrote.
    let mut lines = request.headers().get_all(FORWARDED_FOR).iter();
    let last = lines.next_back().and_then(|line| line.to_str().ok());
    let last = last.and_then(|line| line.rsplit(',').next());
    Some(
        last.and_then(|one| one.trim().parse().ok())
            .unwrap_or(address),
    )
}

fn asks_as_person(shared: &Shared, request: &Request) -> bool {
    request.method() == Method::GET
        && !is_refresh(request.headers())
        && !matches!(shared.access, Access::LocalSocket { .. })
}

fn is_refresh(headers: &HeaderMap) -> bool {
    headers.contains_key(LIVE_HEADER)
        || text(headers, "accept").is_some_and(|accept| accept.starts_with("text/event-stream"))
}

/// Who asks, and how that is known.
struct Known {
    principal: Principal,
    session: Option<SessionKey>,
    proof: Option<Credential>,
}

impl Known {
    /// Hands it to the handlers.
    fn tell(self, request: &mut Request, person: bool) {
        let extensions = request.extensions_mut();
        extensions.insert(self.principal);
        extensions.insert(BySession(self.session));
        extensions.insert(Proof(self.proof));
        extensions.insert(ByPerson(person));
    }
}

async fn authenticate(
    shared: &Shared,
    method: &Method,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Known, ApiError> {
    if let Access::LocalSocket { user } = &shared.access {
        // The socket's file mode decides who gets here.
        return Ok(Known {
            principal: Principal::office(user),
            session: None,
            proof: None,
        });
    }
    if let Some(given) = headers.get(header::AUTHORIZATION) {
        let token = given.to_str().ok().and_then(bearer);
        if let Some((proof, principal)) = match token {
            Some(token) => shared.engine.check_token(token).await,
            None => None,
        } {
            return Ok(Known {
                principal,
                session: None,
                proof: Some(proof),
            });
        }
        let now_ms = shared.clock.monotonic_millis();
        if let Some(after_s) = shared.failures.wait_s(address, now_ms) {
            return Err(ApiError::slow_down(after_s));
        }
        shared.failures.count(address, now_ms);
        return Err(ApiError::sign_in_needed());
    }
    let secret = cookie(headers, &shared.cookie).ok_or_else(ApiError::sign_in_needed)?;
    let presence = if is_refresh(headers) {
        Presence::Refresh
    } else {
        Presence::Person
    };
    let (key, credential) = shared
        .sessions
        .find(secret, presence, shared.clock.monotonic_millis())
        .ok_or_else(ApiError::sign_in_needed)?;
    same_site(method, headers, true)?;
    let Some(principal) = shared.engine.standing(&credential).await else {
        shared.sessions.close(secret);
        return Err(ApiError::sign_in_needed());
    };
    Ok(Known {
        principal,
        session: Some(key),
        proof: Some(credential),
    })
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn passes(pairs: &[(&'static str, &'static str)]) -> bool {
        same_site(&Method::POST, &headers(pairs), true).is_ok()
    }

    #[test]
    fn a_request_made_by_another_site_is_refused() {
        assert!(!passes(&[
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://127.0.0.1:8081"),
            ("host", "127.0.0.1:8081")
        ]));
        assert!(!passes(&[("sec-fetch-site", "same-site")]));
        assert!(!passes(&[
            ("origin", "https://evil.example"),
            ("host", "127.0.0.1:8081")
        ]));
        assert!(!passes(&[("origin", "null"), ("host", "127.0.0.1:8081")]));
        assert!(
            !passes(&[("host", "127.0.0.1:8081")]),
            "a cookie without any word of origin"
        );
        assert!(passes(&[
            ("sec-fetch-site", "same-origin"),
            ("origin", "null")
        ]));
        assert!(passes(&[
            ("origin", "http://127.0.0.1:8081"),
            ("host", "127.0.0.1:8081")
        ]));
        assert!(
            same_site(&Method::POST, &headers(&[]), false).is_ok(),
            "a program without a cookie"
        );
        assert!(
            same_site(
                &Method::GET,
                &headers(&[("sec-fetch-site", "cross-site")]),
                true
            )
            .is_ok()
        );
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let headers = headers(&[("cookie", "a_raccordo=1; raccordo=2;lang=en")]);
        assert_eq!(cookie(&headers, "raccordo"), Some("2"));
        assert_eq!(cookie(&headers, "lang"), Some("en"));
        assert_eq!(cookie(&headers, "missing"), None);
    }
}
