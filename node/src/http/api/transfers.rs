//! Transfers: offering a project to another district, and what is done with an offer.
//!
//! Reading them is reading records; the preview and who is waited for come with it.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use raccordo_config::Territory;
use raccordo_crdt_model::{DocumentId, Kind};
use serde_json::Value;

use super::records::{Where, resolve};
use crate::engine::{Arrival, Offer, Principal, RecordView};
use crate::http::problem::ApiError;
use crate::http::{Shared, body, permit};

/// What an offer may say; all else of a transfer's record is the node's to write.
const OFFERED: [&str; 5] = ["project", "to", "reason", "note", "expires_on"];

/// Offers a project: what `POST /transfers` does.
pub(crate) async fn offer(
    shared: &Shared,
    principal: &Principal,
    fields: &Value,
) -> Result<RecordView, ApiError> {
    body::only(fields, &OFFERED)?;
    let project = body::text(fields, "project")?;
    let to = Territory::parse(body::text(fields, "to")?)
        .map_err(|problem| ApiError::malformed(format!("`to`: {problem}")))?;
    let project = resolve(shared, Kind::Project, project, &Where::default()).await?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let offer = Offer {
        project,
        to,
        reason: body::text(fields, "reason")?.to_owned(),
        note: text("note"),
        expires_on: text("expires_on"),
    };
    Ok(shared.engine.offer_transfer(offer, principal).await?)
}

pub(crate) async fn accept(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let id = named(&shared, &id).await?;
    let arrival = arrival(&body::arguments(
        &headers,
        bytes,
        &["person", "new_person"],
    )?)?;
    let record = shared
        .engine
        .accept_transfer(id, arrival, &principal)
        .await?;
    Ok(Json(permit::written(&shared, &principal, record)))
}

pub(crate) async fn refuse(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let id = named(&shared, &id).await?;
    let arguments = body::arguments(&headers, bytes, &["reason"])?;
    let reason = body::text(&arguments, "reason")?;
    let record = shared
        .engine
        .refuse_transfer(id, reason, &principal)
        .await?;
    Ok(Json(permit::written(&shared, &principal, record)))
}

pub(crate) async fn withdraw(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let id = named(&shared, &id).await?;
    let record = shared.engine.withdraw_transfer(id, &principal).await?;
    Ok(Json(permit::written(&shared, &principal, record)))
}

/// Who arrives, as far as it is said.
fn arrival(arguments: &Value) -> Result<Arrival, ApiError> {
    let said = |name: &str| arguments.get(name).filter(|value| !value.is_null());
    match (said("person"), said("new_person")) {
        (None, None | Some(Value::Bool(false))) => Ok(Arrival::Unsaid),
        (None, Some(Value::Bool(true))) => Ok(Arrival::New),
        (Some(_), None | Some(Value::Bool(false))) => {
            Ok(Arrival::Known(body::text(arguments, "person")?.to_owned()))
        }
        _ => {
            let detail =
                "say either `person`, an id or reference of a record here, or `new_person`: true";
            Err(ApiError::malformed(detail))
        }
    }
}

async fn named(shared: &Shared, id: &str) -> Result<DocumentId, ApiError> {
    resolve(shared, Kind::Transfer, id, &Where::default()).await
}
