//! What is not trusted: refused entries, proofs against their authors, erasures and receipts.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use raccordo_crdt_model::Kind;
use serde_json::Value;

use super::kind;
use super::records::{Where, resolve};
use crate::access::{Action, Place};
use crate::engine::Principal;
use crate::http::problem::ApiError;
use crate::http::{Shared, body, json, permit};

pub(crate) async fn quarantine(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let all = shared.engine.quarantine().await?;
    let items: Vec<Value> = all
        .iter()
        .map(|view| json::quarantined(view, false))
        .collect();
    Ok(Json(json::page(&items, None)))
}

/// Shows people's records again that are held back, without a peer's word.
pub(crate) async fn recover(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    let arguments = body::arguments(&headers, bytes, &["reason", "without_peers"])?;
    let reason = body::text(&arguments, "reason")?;
    if arguments.get("without_peers") != Some(&Value::Bool(true)) {
        let detail = "`without_peers` is true or nothing is done: with peers it ends by itself";
        return Err(ApiError::malformed(detail));
    }
    shared
        .engine
        .recover_without_peers(reason, &principal)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn quarantined(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let view = shared.engine.quarantined(&id).await?;
    let mut shown = json::quarantined(&view, true);
    if !permit::may_at(&principal, Place::Evidence, Action::Read) {
        // Who administers the node decides about entries without reading records in them.
        let entries = shown["entries"].as_array_mut().into_iter().flatten();
        entries.for_each(|entry| entry["body"] = Value::Null);
    }
    Ok(Json(shown))
}

pub(crate) async fn decide(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path((id, verb)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    match verb.as_str() {
        "retry" => shared.engine.quarantine_retry(&id, &principal).await?,
        "discard" => {
            let arguments = body::arguments(&headers, bytes, &["reason"])?;
            let reason = body::text(&arguments, "reason")?;
            shared
                .engine
                .quarantine_discard(&id, reason, &principal)
                .await?;
        }
        other => {
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                "no_such_address",
                format!("a refused entry cannot be told to {other:?}; allowed are retry, discard"),
            ));
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn equivocations(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<Value>, ApiError> {
    let all = shared.engine.equivocations().await?;
    let items: Vec<Value> = all.iter().map(json::equivocation).collect();
    Ok(Json(json::page(&items, None)))
}

pub(crate) async fn erasures(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let all = shared.engine.erasures().await?;
    let items: Vec<Value> = all.iter().map(json::erasure).collect();
    let held = shared.engine.held_erasures().await?;
    let mut page = json::page(&items, None);
    page["held"] = held.iter().map(json::held_erasure).collect();
    Ok(Json(page))
}

pub(crate) async fn erase(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path((plural, id)): Path<(String, String)>,
    query: Result<Query<Where>, QueryRejection>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let kind = kind(&plural)?;
    let place = body::query(query)?;
    let arguments = body::arguments(&headers, bytes, &["reason"])?;
    let id = resolve(&shared, kind, &id, &place).await?;
    permit::erase(&shared, &principal, kind, id).await?;
    let reason = body::text(&arguments, "reason")?;
    let erased = shared.engine.erase(kind, id, reason, &principal).await?;
    Ok(Json(json::erasure(&erased)))
}

pub(crate) async fn erase_subject(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let arguments = body::arguments(&headers, bytes, &["subject", "reason", "kind", "territory"])?;
    let subject = body::text(&arguments, "subject")?;
    let reason = body::text(&arguments, "reason")?;
    let word = |name: &str| arguments.get(name).and_then(Value::as_str);
    let kind = word("kind").map(|word| {
        let known = Kind::from_singular(word).or_else(|| Kind::from_plural(word));
        known.ok_or_else(|| ApiError::malformed(format!("there is no kind {word:?}")))
    });
    let kind = kind.transpose()?;
    let territory = word("territory");
    let (kind, id) = shared.engine.subject(subject, kind, territory).await?;
    permit::erase(&shared, &principal, kind, id).await?;
    let erased = shared
        .engine
        .erase_subject(kind, id, reason, &principal)
        .await?;
    Ok(Json(json::subject_erased(&erased)))
}

pub(crate) async fn proposals(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<Value>, ApiError> {
    let all = shared.engine.erasure_proposals().await?;
    let read = all
        .iter()
        .filter(|one| permit::may_read(&principal, one.kind));
    let items: Vec<Value> = read.map(json::proposal).collect();
    Ok(Json(json::page(&items, None)))
}

pub(crate) async fn certificate(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let certificate = shared.engine.certificate(&id).await?;
    Ok(Json(json::certificate(&certificate)))
}
