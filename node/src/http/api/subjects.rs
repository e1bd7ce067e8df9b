//! People as an office asks for them: doubles, merging, all that was offered to one; overlaps; and
//! what of all that is published.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::HeaderMap;
use raccordo_crdt_model::Kind;
use serde_json::Value;

use super::records::{Where, named, resolve};
use crate::engine::Principal;
use crate::http::problem::ApiError;
use crate::http::{Shared, body, json, permit};

pub(crate) async fn duplicates(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    query: Result<Query<Where>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let place = body::query(query)?;
    let id = named(&shared, &principal, Kind::Person, &id, &place).await?;
    let shown = permit::read(&shared, &principal, Kind::Person, id, "with doubles").await?;
    let items: Vec<Value> = shown.view.alike.iter().map(json::alike).collect();
    Ok(Json(json::page(&items, None)))
}

pub(crate) async fn merge(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    query: Result<Query<Where>, QueryRejection>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let place = body::query(query)?;
    let arguments = body::arguments(&headers, bytes, &["into"])?;
    let into = body::text(&arguments, "into")?;
    let id = resolve(&shared, Kind::Person, &id, &place).await?;
    let into = resolve(&shared, Kind::Person, into, &place).await?;
    let reached = serde_json::json!([{"path": "/merged_into"}, {"path": "/state"}]);
    for one in [id, into] {
        permit::patch(&shared, &principal, Kind::Person, one, &reached).await?;
    }
    let merged = shared.engine.merge(id, into, &principal).await?;
    Ok(Json(permit::written(&shared, &principal, merged)))
}

pub(crate) async fn offered(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    query: Result<Query<Where>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let place = body::query(query)?;
    let id = named(&shared, &principal, Kind::Person, &id, &place).await?;
    permit::known(&shared, &principal, id, "with all that was offered").await?;
    let mut all = shared.engine.offered(id).await?;
    permit::offered(&principal, &mut all);
    Ok(Json(all))
}

pub(crate) async fn overlaps(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<Value>, ApiError> {
    let mut all = shared.engine.overlaps().await?;
    // It tells what notices tell, and of which projects to who may know of these.
    if !permit::may_read(&principal, Kind::Project) {
        let projects = all.iter_mut().flat_map(|one| one.projects.values_mut());
        projects.for_each(Vec::clear);
    }
    let items: Vec<Value> = all.iter().map(json::overlap).collect();
    Ok(Json(json::page(&items, None)))
}

pub(crate) async fn publish(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let arguments = body::arguments(&headers, bytes, &["level"])?;
    let level = match arguments.get("level") {
        None => None,
        Some(level) => Some(
            level
                .as_str()
                .filter(|level| matches!(*level, "records" | "aggregates"))
                .ok_or_else(|| {
                    let detail =
                        format!("level is {level}, allowed are \"records\" and \"aggregates\"");
                    ApiError::malformed(detail)
                })?,
        ),
    };
    let published = shared.engine.publish(level, &principal).await?;
    Ok(Json(permit::written(&shared, &principal, published)))
}
