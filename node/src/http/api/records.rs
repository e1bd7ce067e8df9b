//! Records: create, list, read, change, history.
//!
//! `{id}` is a document id, a unique prefix of at least 8 digits, or the office's own `ref`
//! (with `?territory=` where several territories use it).

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use raccordo_crdt_model::{DocumentId, Heads, Kind, Patch, Rejected, UnixMillis};
use serde::Deserialize;

use super::{kind, transfers};
use crate::engine::{ListQuery, Principal, RecordView};
use crate::http::guard::ByPerson;
use crate::http::problem::ApiError;
use crate::http::{Shared, body, json, permit};

/// Items a page may have at most.
pub(crate) const LIMIT_MAX: usize = 500;

/// The query of a list, as typed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filters {
    territory: Option<String>,
    state: Option<String>,
    q: Option<String>,
    updated_since: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// Which territory's `ref` is meant.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Where {
    territory: Option<String>,
}

pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path(plural): Path<String>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let kind = kind(&plural)?;
    let mut fields = body::json(&headers, "application/json", bytes)?;
    permit::name_author(&principal, kind, &mut fields);
    permit::create(&shared, &principal, kind, &fields)?;
    let record = match kind {
        Kind::Transfer => transfers::offer(&shared, &principal, &fields).await?,
        kind => shared.engine.create(kind, fields, &principal).await?,
    };
    let location = format!("/api/v1/{}/{}", kind.plural(), record.id);
    let mut response = written(&shared, &principal, StatusCode::CREATED, record);
    response
        .headers_mut()
        .insert(header::LOCATION, header_value(&location));
    Ok(response)
}

pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path(plural): Path<String>,
    query: Result<Query<Filters>, QueryRejection>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let kind = kind(&plural)?;
    let query = body::query(query)?.parse()?;
    let page = permit::list(&shared, &principal, kind, query).await?;
    let items: Vec<_> = page.items.iter().map(permit::Shown::json).collect();
    Ok(Json(json::page(&items, page.next.as_deref())))
}

pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Extension(ByPerson(person)): Extension<ByPerson>,
    Path((plural, id)): Path<(String, String)>,
    query: Result<Query<Where>, QueryRejection>,
) -> Result<Response, ApiError> {
    let kind = kind(&plural)?;
    let id = named(&shared, &principal, kind, &id, &body::query(query)?).await?;
    let record = permit::open(&shared, &principal, kind, id, person).await?;
    let etag = record.view.heads.etag();
    Ok(answered(StatusCode::OK, &etag, record.json()))
}

pub(crate) async fn patch(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path((plural, id)): Path<(String, String)>,
    query: Result<Query<Where>, QueryRejection>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let kind = kind(&plural)?;
    let place = body::query(query)?;
    let mut value = body::json(&headers, "application/json-patch+json", bytes)?;
    permit::name_authors(&principal, kind, &mut value);
    let patch = Patch::parse(&value).map_err(|problems| ApiError::invalid(&problems))?;
    let base = base(&headers)?;
    let id = resolve(&shared, kind, &id, &place).await?;
    permit::patch(&shared, &principal, kind, id, &value).await?;
    let record = shared
        .engine
        .patch(kind, id, patch, base, &principal)
        .await?;
    Ok(written(&shared, &principal, StatusCode::OK, record))
}

pub(crate) async fn history(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    Path((plural, id)): Path<(String, String)>,
    query: Result<Query<Where>, QueryRejection>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let kind = kind(&plural)?;
    let id = named(&shared, &principal, kind, &id, &body::query(query)?).await?;
    let record = permit::with_history(&shared, &principal, kind, id).await?;
    let items = shared.engine.history(kind, id).await?;
    let mut history = json::history(&record.history(&principal, items));
    let left_out = record.left_out();
    if !left_out.is_empty() {
        history["left_out"] = serde_json::json!(left_out);
    }
    Ok(Json(history))
}

impl Filters {
    fn parse(self) -> Result<ListQuery, ApiError> {
        let limit = match self.limit.as_deref() {
            None | Some("") => None,
            Some(text) => Some(
                text.parse()
                    .ok()
                    .filter(|limit| (1..=LIMIT_MAX).contains(limit))
                    .ok_or_else(|| {
                        ApiError::malformed(format!(
                            "limit is {text:?}, allowed is 1 to {LIMIT_MAX}"
                        ))
                    })?,
            ),
        };
        let updated_since = match self.updated_since.as_deref() {
            None | Some("") => None,
            Some(text) => Some(UnixMillis::parse(text).map_err(|_| {
                ApiError::malformed(format!(
                    "updated_since is {text:?}, this needs a time such as 2026-11-22T18:30:00Z"
                ))
            })?),
        };
        let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Ok(ListQuery {
            territory: filled(self.territory),
            state: filled(self.state),
            q: filled(self.q),
            updated_since,
            limit,
            cursor: filled(self.cursor),
            sight: None,
        })
    }
}

/// The record that somebody names in order to read it.
pub(super) async fn named(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    given: &str,
    place: &Where,
) -> Result<DocumentId, ApiError> {
    permit::named(shared, principal, kind, given, place.territory.as_deref()).await
}

pub(super) async fn resolve(
    shared: &Shared,
    kind: Kind,
    given: &str,
    place: &Where,
) -> Result<DocumentId, ApiError> {
    match shared
        .engine
        .resolve(kind, given, place.territory.as_deref())
        .await
    {
        Ok(id) => Ok(id),
        Err(failed) => Err(failed.into()),
    }
}

/// The version that `If-Match` names; `*` names none in particular.
fn base(headers: &HeaderMap) -> Result<Option<Heads>, ApiError> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    // A tag this node never gave out is, to it, an unknown version like any other.
    Heads::parse_etag(text)
        .map(Some)
        .ok_or_else(|| Rejected::UnknownVersion.into())
}

fn written(
    shared: &Shared,
    principal: &Principal,
    status: StatusCode,
    record: RecordView,
) -> Response {
    let etag = record.heads.etag();
    answered(status, &etag, permit::written(shared, principal, record))
}

fn answered(status: StatusCode, etag: &str, record: serde_json::Value) -> Response {
    let mut response = (status, Json(record)).into_response();
    response
        .headers_mut()
        .insert(header::ETAG, header_value(etag));
    response
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("ids, hashes and kinds are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_or_a_time_out_of_form_is_refused_with_what_is_allowed() {
        let limit = |text: &str| {
            Filters {
                limit: Some(text.to_owned()),
                ..Filters::default()
            }
            .parse()
        };
        assert_eq!(limit("500").unwrap().limit, Some(500));
        for wrong in ["0", "501", "-1", "many"] {
            assert!(
                limit(wrong).unwrap_err().detail().contains("1 to 500"),
                "{wrong}"
            );
        }
        let since = Filters {
            updated_since: Some("yesterday".to_owned()),
            ..Filters::default()
        };
        assert_eq!(since.parse().unwrap_err().status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn a_version_nobody_gave_out_is_an_unknown_version() {
        let mut headers = HeaderMap::new();
        assert_eq!(base(&headers).unwrap(), None);
        headers.insert(header::IF_MATCH, HeaderValue::from_static("*"));
        assert_eq!(base(&headers).unwrap(), None);
        headers.insert(header::IF_MATCH, HeaderValue::from_static("\"1\""));
        assert_eq!(
            base(&headers).unwrap_err().status(),
            StatusCode::PRECONDITION_FAILED
        );
    }
}
