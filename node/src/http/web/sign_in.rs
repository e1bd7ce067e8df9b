//! Signing in with a name and a password, or with a token; and out.
//!
//! What is wrong, empty, unknown, withdrawn or disabled reads the same. A new session id at each
//! sign-in; one that the browser brought along is closed, never taken over.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, FromRequest as _, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Shell, rendered};
use crate::engine::{Credential, Principal};
use crate::http::problem::ApiError;
use crate::http::session::AGE_MS_MAX;
use crate::http::{Access, Shared, guard};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    shell: &'a Shell,
    problem: Option<String>,
}

/// What the form sends.
#[derive(Deserialize)]
struct SignIn {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    token: String,
}

impl SignIn {
    /// Whether a token is brought, and no name and password.
    fn is_by_token(&self) -> bool {
        !self.token.trim().is_empty()
    }
}

pub(crate) async fn show(shell: Shell) -> Response {
    rendered(
        &shell,
        &SignInPage {
            shell: &shell,
            problem: None,
        },
    )
}

pub(crate) async fn enter(
    State(shared): State<Arc<Shared>>,
    shell: Shell,
    request: Request,
) -> Response {
    if let Err(refusal) = guard::same_site(request.method(), request.headers(), false) {
        return refusal.into_response();
    }
    let address = guard::address(&shared, &request);
    let brought = guard::cookie(request.headers(), &shared.cookie).map(str::to_owned);
    let form = Form::<SignIn>::from_request(request, &()).await;
    let now_ms = shared.clock.monotonic_millis();
    let by_name = form.as_ref().ok().filter(|Form(form)| !form.is_by_token());
    let account = by_name.map(|Form(form)| Zeroizing::new(form.name.clone()));
    let account = account.as_deref().map(String::as_str);
    if let Err(after_s) = shared.failures.attempt(address, account, now_ms) {
        let problem = shell.count("sign-in-wait", &after_s);
        let mut response = with_problem(&shell, StatusCode::TOO_MANY_REQUESTS, problem);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, after_s.into());
        return response;
    }
    let form = match form {
        Ok(Form(form)) => form,
        Err(rejection) => return unreadable(&shell, &rejection),
    };
    let Some((credential, _)) = proven(&shared, form).await else {
        return with_problem(
            &shell,
            StatusCode::UNAUTHORIZED,
            shell.say("sign-in-failed"),
        );
    };
    shared.failures.forgive(address, account, now_ms);
    if let Some(old) = brought {
        shared.sessions.close(&old);
    }
    let entropy = shared.entropy.as_ref();
    let secret = shared.sessions.open(credential, now_ms, entropy);
    let mut response = Redirect::to("/").into_response();
    set_cookie(&mut response, &shared, &secret, AGE_MS_MAX / 1000);
    response
}

/// What the form proves, if anything.
async fn proven(shared: &Shared, form: SignIn) -> Option<(Credential, Principal)> {
    let by_token = form.is_by_token();
    let (password, token) = (Zeroizing::new(form.password), Zeroizing::new(form.token));
    if !by_token {
        return shared.engine.check_password(&form.name, password).await;
    }
    shared.engine.check_token(token.trim()).await
}

pub(crate) async fn leave(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(secret) = guard::cookie(&headers, &shared.cookie) {
        shared.sessions.close(secret);
    }
    let mut response = Redirect::to("/sign-in").into_response();
    set_cookie(&mut response, &shared, "", 0);
    response
}

/// Cookies do not know ports: nodes on one machine need names of their own.
pub(crate) fn cookie_name(node: &str, access: &Access) -> String {
    let own: String = node.chars().take(8).collect();
    match access {
        Access::Network {
            secure_cookies: true,
            ..
        } => format!("__Host-raccordo_{own}"),
        _ => format!("raccordo_{own}"),
    }
}

fn set_cookie(response: &mut Response, shared: &Shared, secret: &str, seconds: u64) {
    let secure = if shared.is_secure() { "; Secure" } else { "" };
    let cookie = format!(
        "{}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}",
        shared.cookie
    );
    let value =
        HeaderValue::from_str(&cookie).expect("hexadecimal digits and fixed words are ASCII");
    response.headers_mut().append(header::SET_COOKIE, value);
}

fn with_problem(shell: &Shell, status: StatusCode, problem: String) -> Response {
    let mut response = rendered(
        shell,
        &SignInPage {
            shell,
            problem: Some(problem),
        },
    );
    *response.status_mut() = status;
    response
}

fn unreadable(shell: &Shell, rejection: &FormRejection) -> Response {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the form is too large",
        )
        .into_response();
    }
    with_problem(shell, StatusCode::BAD_REQUEST, shell.say("sign-in-failed"))
}
