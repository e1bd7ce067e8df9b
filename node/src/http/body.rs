//! Request bodies and parameters, with refusals in the API's own form.
//!
//! A body is read whole up to the limit, its declared type is checked, and what cannot be parsed
//! is refused with the place where reading stopped.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::http::BODY_BYTES_MAX;
use crate::http::problem::ApiError;

/// Parses a JSON body of the given media type.
pub(crate) fn json(
    headers: &HeaderMap,
    media_type: &'static str,
    body: Result<Bytes, BytesRejection>,
) -> Result<Value, ApiError> {
    let declared = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = declared
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case(media_type)) {
        let seen = declared.unwrap_or("no content type");
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "unsupported_content_type",
            format!("the body comes as {seen}, this needs {media_type}"),
        ));
    }
    let bytes = whole(body)?;
    serde_json::from_slice(&bytes)
        .map_err(|problem| ApiError::malformed(format!("the body is not JSON: {problem}")))
}

/// The fields of an optional JSON object, for verbs with few arguments: these and no other, since a
/// misspelt one would be passed over.
pub(crate) fn arguments(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
    allowed: &[&str],
) -> Result<Value, ApiError> {
    if body.as_ref().is_ok_and(Bytes::is_empty) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let value = json(headers, "application/json", body)?;
    only(&value, allowed)?;
    Ok(value)
}

/// Refuses what is no object, or one that says anything besides these names.
pub(crate) fn only(value: &Value, allowed: &[&str]) -> Result<(), ApiError> {
    let Some(fields) = value.as_object() else {
        return Err(ApiError::malformed("the body is not a JSON object"));
    };
    let unknown = fields.keys().find(|name| !allowed.contains(&name.as_str()));
    let Some(unknown) = unknown else {
        return Ok(());
    };
    let allowed = allowed.join(", ");
    Err(ApiError::malformed(format!(
        "the body says {unknown:?}, which this request does not know; it knows {allowed}"
    )))
}

/// A text argument that must be there.
pub(crate) fn text<'a>(arguments: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    arguments
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| ApiError::malformed(format!("`{name}` is missing: a text is needed")))
}

/// The query, or a refusal that says what is wrong with it.
pub(crate) fn query<T>(
    query: Result<axum::extract::Query<T>, QueryRejection>,
) -> Result<T, ApiError> {
    query
        .map(|axum::extract::Query(value)| value)
        .map_err(|rejection| {
            ApiError::malformed(format!(
                "the query cannot be read: {}",
                rejection.body_text()
            ))
        })
}

/// The refusal of a body over the limit.
pub(crate) fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        format!("the body is larger than {BODY_BYTES_MAX} bytes, the most that is accepted"),
    )
}

fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, ApiError> {
    body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            too_large()
        } else {
            ApiError::malformed("the body ended before it was complete")
        }
    })
}
