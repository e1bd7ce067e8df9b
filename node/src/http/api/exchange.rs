//! Files in and out: import as JSON Lines, export as JSON Lines or CSV, streamed.
//!
//! An import is read line by line and handed to the engine in windows, so a file of any size
//! costs the memory of one window. Windows before a failure stay; each is all or nothing.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use raccordo_crdt_model::{Kind, csv};
use serde::Deserialize;

use crate::engine::{
    Engine, ImportReport, ImportSession, ImportText, Principal, Reject, WINDOW_LINES_MAX,
};
use crate::http::problem::ApiError;
use crate::http::{BODY_BYTES_MAX, Shared, body, json, permit};

/// How many entries an export leaves out because they are kept to others.
const LEFT_OUT: header::HeaderName = header::HeaderName::from_static("raccordo-left-out");
/// Bytes handed to the engine at once.
const WINDOW_BYTES_MAX: usize = 16 << 20;

/// How to import.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportQuery {
    dry_run: Option<String>,
    rejects: Option<String>,
}

/// What to export.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    kind: Option<String>,
    format: Option<String>,
}

pub(crate) async fn import(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    query: Result<Query<ImportQuery>, QueryRejection>,
    mut body: Body,
) -> Result<Response, ApiError> {
    let query = body::query(query)?;
    let shown_max = if query.rejects.as_deref() == Some("all") {
        usize::MAX
    } else {
        json::REJECTS_SHOWN_MAX
    };
    let dry_run = is_on(query.dry_run.as_deref());
    let mut import = Import::new(shared.engine.clone(), principal, dry_run);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::malformed("the file ended before it was complete"));
        let taken = match frame {
            Ok(frame) => import.take(frame.data_ref().unwrap_or(&Bytes::new())).await,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = taken {
            import.note(&shared, &import.report);
            return Err(refusal.member("report", json::import_report(&import.report, shown_max)));
        }
    }
    let finished = import.finish().await;
    import.note(&shared, finished.as_ref().unwrap_or(&import.report));
    match finished {
        Ok(report) => Ok(Json(json::import_report(&report, shown_max)).into_response()),
        Err(refusal) => {
            Err(refusal.member("report", json::import_report(&import.report, shown_max)))
        }
    }
}

pub(crate) async fn export(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    query: Result<Query<ExportQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let query = body::query(query)?;
    let kind = match query.kind.as_deref() {
        None => Kind::Project,
        Some(name) => match Kind::from_singular(name) {
            Some(kind) => kind,
            None => super::kind(name)?,
        },
    };
    let format = match query.format.as_deref() {
        None => Format::Lines,
        Some(name) => Format::from_name(name)?,
    };
    let permit::Exported { lines, left_out } = permit::export(&shared, &principal, kind).await?;
    let head = (format == Format::Table).then(|| csv::header(kind));
    let rows = lines.into_iter().map(move |mut line| match format {
        Format::Lines => {
            line.push('\n');
            line
        }
        Format::Table => row(kind, &line),
    });
    let chunks = tokio_stream::iter(head.into_iter().chain(rows).map(Ok::<_, Infallible>));
    let media_type = match format {
        Format::Lines => "application/jsonl; charset=utf-8",
        Format::Table => "text/csv; charset=utf-8; header=present",
    };
    let media_type = [(header::CONTENT_TYPE, media_type)];
    let mut response = (media_type, Body::from_stream(chunks)).into_response();
    if left_out > 0 {
        response.headers_mut().insert(LEFT_OUT, left_out.into());
    }
    Ok(response)
}

/// How records are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// JSON Lines, one `create` line a record.
    Lines,
    /// CSV for spreadsheets.
    Table,
}

impl Format {
    fn from_name(name: &str) -> Result<Self, ApiError> {
        match name {
            "jsonl" => Ok(Self::Lines),
            "csv" => Ok(Self::Table),
            other => Err(ApiError::malformed(format!(
                "format is {other:?}, this node writes jsonl and csv"
            ))),
        }
    }
}

/// The row of a record that is given as its export line.
fn row(kind: Kind, line: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    csv::row(kind, &line["doc"])
}

/// An import under way.
struct Import {
    engine: Engine,
    principal: Principal,
    dry_run: bool,
    session: ImportSession,
    report: ImportReport,
    partial: Vec<u8>,
    window: Vec<ImportText>,
    window_bytes: usize,
    number: u64,
    /// The line being read is longer than allowed: its rest is passed over.
    overlong: bool,
}

impl Import {
    fn new(engine: Engine, principal: Principal, dry_run: bool) -> Self {
        Self {
            engine,
            principal,
            dry_run,
            session: ImportSession::default(),
            report: ImportReport::default(),
            partial: Vec::new(),
            window: Vec::new(),
            window_bytes: 0,
            number: 0,
            overlong: false,
        }
    }

    async fn take(&mut self, mut bytes: &[u8]) -> Result<(), ApiError> {
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..at]);
            bytes = &bytes[at + 1..];
            self.end_line();
            if self.window.len() >= WINDOW_LINES_MAX || self.window_bytes >= WINDOW_BYTES_MAX {
                self.hand_over().await?;
            }
        }
        self.extend(bytes);
        Ok(())
    }

    async fn finish(&mut self) -> Result<ImportReport, ApiError> {
        if !self.partial.is_empty() || self.overlong {
            self.end_line();
        }
        self.hand_over().await?;
        let mut report = std::mem::take(&mut self.report);
        report.rejects.sort_by_key(|reject| reject.line);
        Ok(report)
    }

    /// Tells the audit log of a file that changed nothing; what it changed stands there already, with
    /// the commits that changed it.
    fn note(&self, shared: &Shared, report: &ImportReport) {
        if report.created + report.changed > 0 && !self.dry_run {
            return;
        }
        let rehearsal = if self.dry_run { "dry run: " } else { "" };
        let detail = format!("{rehearsal}{}", report.counts());
        let who = &self.principal.name;
        shared.engine.observe(who, "import", "", &detail);
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.overlong || self.partial.len() + bytes.len() > BODY_BYTES_MAX {
            self.overlong = true;
            self.partial.clear();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        self.number += 1;
        let line = std::mem::take(&mut self.partial);
        if std::mem::take(&mut self.overlong) {
            self.reject(
                "line_too_long",
                format!("the line is longer than {BODY_BYTES_MAX} bytes, the most allowed"),
            );
            return;
        }
        match String::from_utf8(line) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => {
                if let Some(why) = permit::line_refused(&self.principal, &text) {
                    self.reject("not_allowed", why);
                    return;
                }
                self.window_bytes += text.len();
                self.window.push(ImportText {
                    number: self.number,
                    text,
                });
            }
            Err(_) => self.reject(
                "not_utf8",
                "the line is not UTF-8: save the file in this encoding".to_owned(),
            ),
        }
    }

    fn reject(&mut self, code: &str, message: String) {
        self.report.lines += 1;
        self.report.rejected += 1;
        self.report.rejects.push(Reject {
            line: self.number,
            reference: None,
            code: code.to_owned(),
            pointer: String::new(),
            message,
        });
    }

    async fn hand_over(&mut self) -> Result<(), ApiError> {
        if self.window.is_empty() {
            return Ok(());
        }
        self.window_bytes = 0;
        let window = std::mem::take(&mut self.window);
        let done = self
            .engine
            .import(window, &self.principal, self.dry_run, &mut self.session)
            .await?;
        self.report.add(done);
        Ok(())
    }
}

fn is_on(flag: Option<&str>) -> bool {
    matches!(flag, Some("" | "1" | "true" | "yes"))
}
