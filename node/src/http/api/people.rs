//! Emergencies and the audit log; accounts on the local socket.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::access::{Grant, Role, Scope};
use crate::engine::{AccountView, AuditView, EmergencyView, Principal};
use crate::http::problem::ApiError;
use crate::http::{Shared, body, json as shapes};

/// Audit events on a page, if not asked otherwise; and the most that may be asked.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 500;
/// An emergency lasts so long unless said otherwise, in minutes.
const MINUTES: u64 = 30;

/// Which events.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    record: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

pub(crate) async fn audit(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let query = body::query(query)?;
    let number = |name: &str, text: Option<String>| match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| {
            ApiError::malformed(format!("{name} is {text:?}, this needs a whole number"))
        }),
    };
    let below = number("cursor", query.cursor)?;
    let limit = match number("limit", query.limit)?.map(usize::try_from) {
        None => LIMIT,
        Some(Ok(limit @ 1..=LIMIT_MAX)) => limit,
        Some(_) => {
            return Err(ApiError::malformed(format!(
                "limit allows 1 to {LIMIT_MAX}"
            )));
        }
    };
    let record = query.record.filter(|record| !record.is_empty());
    let mut events = shared.engine.audit(record, below, limit + 1).await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events
        .last()
        .filter(|_| more)
        .map(|last| last.seq.to_string());
    let items: Vec<Value> = events.iter().map(event).collect();
    Ok(Json(shapes::page(&items, next.as_deref())))
}

pub(crate) async fn verify(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let verdict = shared.engine.audit_verify().await?;
    Ok(Json(json!({
        "sound": verdict.broken.is_none(),
        "events": verdict.events,
        "broken_at": verdict.broken.map(|(seq, _)| seq),
        "problem": verdict.broken.map(|(_, why)| why),
    })))
}

pub(crate) async fn emergencies(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let items: Vec<Value> = shared.engine.emergencies().iter().map(emergency).collect();
    Json(shapes::page(&items, None))
}

pub(crate) async fn declare(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let arguments = body::arguments(&headers, bytes, &["record", "reason", "minutes"])?;
    let reason = body::text(&arguments, "reason")?;
    let minutes = match &arguments["minutes"] {
        Value::Null => MINUTES,
        given => given.as_u64().ok_or_else(|| {
            ApiError::malformed(format!("minutes is {given}, this needs a whole number"))
        })?,
    };
    let (kind, id) = shared
        .engine
        .resolve_any(body::text(&arguments, "record")?)
        .await?;
    let opened = shared
        .engine
        .open_emergency(kind, id, reason, minutes, &principal)
        .await?;
    Ok((StatusCode::CREATED, Json(emergency(&opened))))
}

pub(crate) async fn accounts(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let all = shared.engine.accounts().await?;
    let items: Vec<Value> = all.iter().map(account).collect();
    Ok(Json(shapes::page(&items, None)))
}

pub(crate) async fn add(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let arguments = body::arguments(&headers, bytes, &["name", "password", "roles"])?;
    let name = body::text(&arguments, "name")?;
    let grants = grants(&arguments)?;
    let (password, made) = password(&shared, &arguments);
    shared
        .engine
        .add_account(name, grants, password, &principal)
        .await?;
    let answer = json!({"name": name, "password": made.as_deref()});
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(crate) async fn act(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path((name, verb)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    match verb.as_str() {
        "passwd" => {
            let arguments = body::arguments(&headers, bytes, &["password"])?;
            let (password, made) = password(&shared, &arguments);
            shared
                .engine
                .set_password(&name, password, &principal)
                .await?;
            Ok(Json(json!({"name": name, "password": made.as_deref()})))
        }
        "disable" => {
            shared.engine.disable_account(&name, &principal).await?;
            Ok(Json(json!({"name": name, "password": null})))
        }
        other => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "no_such_address",
            format!("an account cannot be told to {other:?}; allowed are passwd, disable"),
        )),
    }
}

/// The roles that a request gives; the office's, if it says none.
pub(super) fn grants_or_office(arguments: &Value) -> Result<Vec<Grant>, ApiError> {
    if arguments["roles"].is_null() {
        return Ok(Principal::office("").grants);
    }
    grants(arguments)
}

/// The scopes that a request gives; none for all.
pub(super) fn scopes(arguments: &Value) -> Result<Vec<Scope>, ApiError> {
    let words = arguments["scopes"].as_array().into_iter().flatten();
    words
        .map(|word| {
            word.as_str().and_then(Scope::from_word).ok_or_else(|| {
                let allowed = Scope::ALL.map(Scope::word).join(", ");
                ApiError::malformed(format!("the scope is {word}, allowed are {allowed}"))
            })
        })
        .collect()
}

/// Roles in JSON.
fn roles(grants: &[Grant]) -> Value {
    grants
        .iter()
        .map(|grant| json!({"role": grant.role.word(), "body": grant.body}))
        .collect()
}

fn grants(arguments: &Value) -> Result<Vec<Grant>, ApiError> {
    let listed = arguments["roles"].as_array().into_iter().flatten();
    listed
        .map(|one| {
            let word = one["role"].as_str().unwrap_or_default();
            let role = Role::from_word(word).ok_or_else(|| {
                let allowed = Role::ALL.map(Role::word).join(", ");
                ApiError::malformed(format!("the role is {word:?}, allowed are {allowed}"))
            })?;
            let body = one["body"].as_str().map(str::to_owned);
            Ok(Grant { role, body })
        })
        .collect()
}

/// The password that a request brings, or one made here, to be told once.
fn password(shared: &Shared, arguments: &Value) -> (Zeroizing<String>, Option<Zeroizing<String>>) {
    match arguments["password"].as_str() {
        Some(given) => (Zeroizing::new(given.to_owned()), None),
        None => {
            let made = shared.engine.new_password();
            (made.clone(), Some(made))
        }
    }
}

fn account(view: &AccountView) -> Value {
    json!({
        "name": view.name,
        "roles": roles(&view.grants),
        "created_at": view.created_at.to_string(),
        "disabled_at": view.disabled_at.map(|at| at.to_string()),
    })
}

fn event(view: &AuditView) -> Value {
    let mut out = view.event.clone();
    out["seq"] = json!(view.seq);
    out["hash"] = json!(view.hash);
    out
}

fn emergency(view: &EmergencyView) -> Value {
    json!({
        "id": view.id,
        "record": view.record.to_string(),
        "kind": view.kind,
        "by": view.by,
        "reason": view.reason,
        "at": view.at.to_string(),
        "until": view.until.to_string(),
        "open": view.open,
    })
}
