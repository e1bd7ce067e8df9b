//! The merged view and the node's own state.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use crate::http::problem::ApiError;
use crate::http::{Shared, body, json};

/// Narrows the overview to one territory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    territory: Option<String>,
}

pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Part>, QueryRejection>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let Some(path) = body::query(query)?.territory else {
        return Ok(Json(json::overview(&shared.engine.overview())));
    };
    let found = shared.engine.territory(&path).ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown_territory",
            format!("this node has no overview of the territory {path:?}; /api/v1/overview lists those it has"),
        )
    })?;
    Ok(Json(json::territory(&found)))
}

pub(crate) async fn status(State(shared): State<Arc<Shared>>) -> Json<serde_json::Value> {
    Json(json::status(&shared.engine.status()))
}
