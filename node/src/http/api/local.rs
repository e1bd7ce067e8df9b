//! What only a person on this machine may do: invite, join, and the tokens of this node.
//!
//! Mounted on the local socket alone.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use raccordo_config::{Role, Territory};
use serde_json::{Value, json};

use super::people;
use crate::engine::Principal;
use crate::http::problem::ApiError;
use crate::http::{Shared, body, json as shapes};

/// An invitation lasts this long unless said otherwise, in seconds.
const EXPIRES_IN_S: u64 = 72 * 3600;

pub(crate) async fn invite(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let arguments = body::arguments(
        &headers,
        bytes,
        &["territory", "role", "expires_in_s", "approved"],
    )?;
    let territory = Territory::parse(body::text(&arguments, "territory")?)
        .map_err(|problem| ApiError::malformed(format!("territory: {problem}")))?;
    let role = match arguments.get("role").and_then(Value::as_str) {
        None | Some("district") => Role::District,
        Some("coordination") => Role::Coordination,
        Some(other) => {
            return Err(ApiError::malformed(format!(
                "role is {other:?}, allowed are district and coordination"
            )));
        }
    };
    let expires_in_s = match arguments.get("expires_in_s") {
        None | Some(Value::Null) => EXPIRES_IN_S,
        Some(given) => given.as_u64().ok_or_else(|| {
            ApiError::malformed(format!("expires_in_s is {given}, this needs whole seconds"))
        })?,
    };
    let approved = arguments
        .get("approved")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let invitation = shared
        .engine
        .invite(territory, role, expires_in_s, approved, &principal.name)
        .await?;
    Ok((StatusCode::CREATED, Json(shapes::invitation(&invitation))))
}

pub(crate) async fn join(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let arguments = body::arguments(&headers, bytes, &["invitation"])?;
    let peer = shared
        .engine
        .join(
            body::text(&arguments, "invitation")?.trim(),
            &principal.name,
        )
        .await?;
    Ok(Json(shapes::peer(&peer)))
}

pub(crate) async fn tokens(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let tokens = shared.engine.tokens().await?;
    let items: Vec<Value> = tokens.iter().map(shapes::token).collect();
    Ok(Json(shapes::page(&items, None)))
}

pub(crate) async fn create_token(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let arguments = body::arguments(&headers, bytes, &["name", "roles", "scopes"])?;
    let name = body::text(&arguments, "name")?;
    let grants = people::grants_or_office(&arguments)?;
    let scopes = people::scopes(&arguments)?;
    let token = shared
        .engine
        .create_token_for(name, grants, scopes, &principal.name)
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({"name": name, "token": token})),
    ))
}

pub(crate) async fn revoke_token(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    shared.engine.revoke_token(&name, &principal.name).await?;
    Ok(StatusCode::NO_CONTENT)
}
