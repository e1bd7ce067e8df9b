//! Peers: who they are, and the administrator's verbs on them.
//!
//! A token is full access for now; roles come with users.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use raccordo_config::Territory;

use crate::engine::{PeerView, Principal};
use crate::http::problem::ApiError;
use crate::http::{Shared, body, json};

pub(crate) async fn list(State(shared): State<Arc<Shared>>) -> Json<serde_json::Value> {
    Json(listed(&shared.engine.peers()))
}

pub(crate) async fn pending(State(shared): State<Arc<Shared>>) -> Json<serde_json::Value> {
    Json(listed(&shared.engine.pending()))
}

pub(crate) async fn act(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path((id, verb)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let engine = &shared.engine;
    let by = principal.name.as_str();
    let peer = match verb.as_str() {
        "approve" => engine.peer_approve(&id, by).await?,
        "reject" => engine.peer_reject(&id, by).await?,
        "suspend" => engine.peer_suspend(&id, by).await?,
        "resume" => engine.peer_resume(&id, by).await?,
        "confirm" => engine.peer_confirm(&id, by).await?,
        "verify" => engine.peer_verify(&id)?,
        "revoke" => {
            let arguments = body::arguments(&headers, bytes, &["reason"])?;
            engine
                .peer_revoke(&id, body::text(&arguments, "reason")?, by)
                .await?
        }
        "scope" => {
            let arguments = body::arguments(&headers, bytes, &["territories", "lanes"])?;
            let territories = texts(&arguments, "territories")?;
            let territories = territories
                .iter()
                .map(|text| Territory::parse(text))
                .collect::<Result<_, _>>()
                .map_err(|problem| ApiError::malformed(format!("territories: {problem}")))?;
            let lanes = texts(&arguments, "lanes")?;
            let scope = engine.narrow_peer(&id, territories, &lanes, by).await?;
            return Ok(Json(json::scope(&scope)));
        }
        "choose" => {
            let arguments = body::arguments(&headers, bytes, &["incarnation"])?;
            engine
                .peer_choose(&id, body::text(&arguments, "incarnation")?, by)
                .await?
        }
        other => return Err(no_such_verb(other)),
    };
    Ok(Json(json::peer(&peer)))
}

pub(crate) async fn look(
    State(shared): State<Arc<Shared>>,
    Path((id, what)): Path<(String, String)>,
) -> Result<Json<serde_json::Value>, ApiError> {
    if what != "scope" {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "no_such_address",
            format!("a peer has no {what:?} to look at; there is scope"),
        ));
    }
    Ok(Json(json::scope(&shared.engine.peer_scope(&id)?)))
}

/// A list of texts; none if it is not there.
fn texts(arguments: &serde_json::Value, name: &str) -> Result<Vec<String>, ApiError> {
    let wrong = || ApiError::malformed(format!("`{name}` is not a list of texts"));
    match arguments.get(name) {
        None | Some(serde_json::Value::Null) => Ok(Vec::new()),
        Some(serde_json::Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

fn listed(peers: &[PeerView]) -> serde_json::Value {
    json::page(&peers.iter().map(json::peer).collect::<Vec<_>>(), None)
}

fn no_such_verb(verb: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "no_such_address",
        format!(
            "a peer cannot be told to {verb:?}; allowed are approve, reject, confirm, suspend, resume, revoke, scope, choose, verify"
        ),
    )
}
