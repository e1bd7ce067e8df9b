//! The JSON API: one file a family of routes, each handler one call of the engine.

pub(super) mod events;
pub(super) mod exchange;
pub(super) mod health;
pub(super) mod local;
pub(super) mod openapi;
pub(super) mod overview;
pub(super) mod peers;
pub(super) mod people;
pub(super) mod records;
pub(super) mod subjects;
pub(super) mod transfers;
pub(super) mod trust;

use axum::http::{Method, StatusCode, Uri};
use raccordo_crdt_model::Kind;

use crate::http::problem::ApiError;

/// Answers an address under the API that does not exist.
pub(super) async fn no_such_address(uri: Uri) -> ApiError {
    ApiError::no_such_address(uri.path())
}

/// Answers a method that an address does not have.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    ApiError::no_such_method(method.as_str(), uri.path())
}

/// The kind named in an address, plural.
fn kind(plural: &str) -> Result<Kind, ApiError> {
    Kind::from_plural(plural).ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown_kind",
            format!(
                "there is no kind of record called {plural:?}; this node knows: {}",
                Kind::all().map(Kind::plural).join(", ")
            ),
        )
    })
}
