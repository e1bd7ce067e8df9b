//! Style, script and fonts, all from inside the program.
//!
//! Addresses carry a tag of the content, so browsers keep a file until it changes.

use std::sync::OnceLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use xxhash_rust::xxh3::xxh3_64;

include!(concat!(env!("OUT_DIR"), "/kit.rs"));

/// A file of ours or of the kit: name, media type, bytes.
type Asset = (&'static str, &'static str, &'static [u8]);

const OWN: &[Asset] = &[
    (
        "app.css",
        "text/css; charset=utf-8",
        include_bytes!("../../../assets/app.css"),
    ),
    (
        "live.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../assets/live.js"),
    ),
    (
        "mark.svg",
        "image/svg+xml",
        include_bytes!("../../../assets/mark.svg"),
    ),
];

/// Whether the fonts of the design kit are in this program.
pub(crate) fn has_kit() -> bool {
    !KIT.is_empty()
}

/// The address of an asset, with its content's tag.
pub(crate) fn address(name: &str) -> String {
    format!("/assets/{name}?v={:08x}", *tag() & 0xffff_ffff)
}

pub(crate) async fn show(Path(name): Path<String>) -> Response {
    match all().find(|(known, ..)| *known == name) {
        Some((_, media_type, bytes)) => (
            [
                (header::CONTENT_TYPE, *media_type),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            *bytes,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn all() -> impl Iterator<Item = &'static Asset> {
    OWN.iter().chain(KIT)
}

/// One tag for all: they change together, with the program.
fn tag() -> &'static u64 {
    static TAG: OnceLock<u64> = OnceLock::new();
    TAG.get_or_init(|| all().fold(0, |tag, (_, _, bytes)| tag.rotate_left(1) ^ xxh3_64(bytes)))
}
