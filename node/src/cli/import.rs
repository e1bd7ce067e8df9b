//! `import`: records in, one JSON operation a line.
//!
//! The file is streamed to the node; a refused line never stops the rest. Exit status 1 if any
//! line was refused, with the counts printed all the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use axum::body::{Body, Bytes};
use axum::http::{Method, header};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::api::{Api, request, with_query};
use super::table::cell;
use super::{ImportArguments, print};

/// Bytes of the file that travel at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Pieces read ahead of the node.
const PIECES_AHEAD_MAX: usize = 4;

/// Refused lines shown to people; the rest stands in `--rejects`.
const SHOWN_MAX: usize = 20;

/// Refused lines that the JSON output carries, as the interface promises.
const JSON_REJECTS_MAX: usize = 100;

/// `import`
pub(super) async fn import(data: &Path, arguments: ImportArguments) -> anyhow::Result<ExitCode> {
    let from_stdin = arguments.file == Path::new("-");
    if from_stdin && arguments.rejects.is_some() {
        bail!(
            "--rejects reads the file twice and cannot with standard input: save it to a file first"
        );
    }
    let input: Box<dyn AsyncRead + Send + Unpin> = if from_stdin {
        Box::new(standard_input()?)
    } else {
        let file = tokio::fs::File::open(&arguments.file).await;
        Box::new(file.with_context(|| format!("cannot read {}", arguments.file.display()))?)
    };
    let mut rejects = match &arguments.rejects {
        Some(path) => {
            Some(File::create(path).with_context(|| format!("cannot write {}", path.display()))?)
        }
        None => None,
    };
    let api = Api::open(data).await?;
    let answer = sent(
        &api,
        input,
        total(&arguments.file),
        arguments.dry_run,
        rejects.is_some(),
    )
    .await;
    api.close().await;
    let mut report = answer?;
    if let Some(file) = rejects.as_mut() {
        write_rejects(&arguments.file, &report["rejects"], file)
            .context("cannot write the refused lines")?;
    }
    let rejected = report["rejected"].as_u64().unwrap_or(0);
    if arguments.format.json {
        if let Some(all) = report["rejects"].as_array_mut() {
            all.truncate(JSON_REJECTS_MAX);
        }
        print::json(&report)?;
    } else {
        print::line(&counts(&report, arguments.dry_run))?;
        for text in refusals(&report) {
            print::remark(&text);
        }
    }
    Ok(if rejected == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Streams the input to the node and returns its report.
pub(super) async fn sent(
    api: &Api,
    input: impl AsyncRead + Send + Unpin + 'static,
    total: Option<u64>,
    dry_run: bool,
    all_rejects: bool,
) -> anyhow::Result<Value> {
    let (pieces, stream) = mpsc::channel(PIECES_AHEAD_MAX);
    let read = Arc::new(AtomicU64::new(0));
    tokio::spawn(pump(input, pieces, Arc::clone(&read), total));
    let path = with_query(
        "/api/v1/import",
        &[
            ("dry_run", dry_run.then(|| "true".to_owned())),
            ("rejects", all_rejects.then(|| "all".to_owned())),
        ],
    );
    let mut request = request(
        Method::POST,
        &path,
        Body::from_stream(ReceiverStream::new(stream)),
    )?;
    let lines = header::HeaderValue::from_static("application/x-ndjson");
    request.headers_mut().insert(header::CONTENT_TYPE, lines);
    let answer = api.call(request).await;
    print::progress("");
    answer
}

/// Reads the input piece by piece; waits while the node is busy.
async fn pump(
    mut input: impl AsyncRead + Unpin,
    pieces: mpsc::Sender<std::io::Result<Bytes>>,
    read: Arc<AtomicU64>,
    total: Option<u64>,
) {
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let outcome = input.read(&mut piece).await.map(|count| {
            piece.truncate(count);
            Bytes::from(piece)
        });
        let last = outcome.as_ref().map_or(true, Bytes::is_empty);
        if let Ok(piece) = &outcome {
            let done = read.fetch_add(piece.len() as u64, Ordering::Relaxed);
            if let Some(total) = total.filter(|&total| total > 0) {
                print::progress(&format!("{} % of the file sent", done * 100 / total));
            }
        }
        if matches!(&outcome, Ok(piece) if piece.is_empty())
            || pieces.send(outcome).await.is_err()
            || last
        {
            return;
        }
    }
}

/// Standard input as a file that can be read without holding up other work.
pub(super) fn standard_input() -> anyhow::Result<tokio::fs::File> {
    let input = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .context("cannot read standard input")?;
    Ok(tokio::fs::File::from_std(File::from(input)))
}

fn total(file: &Path) -> Option<u64> {
    std::fs::metadata(file)
        .ok()
        .filter(std::fs::Metadata::is_file)
        .map(|facts| facts.len())
}

fn counts(report: &Value, dry_run: bool) -> String {
    let kept = if dry_run {
        " (dry run: nothing was kept)"
    } else {
        ""
    };
    format!(
        "{} lines: {} created, {} changed, {} already present, {} rejected{kept}",
        cell(&report["lines"]),
        cell(&report["created"]),
        cell(&report["changed"]),
        cell(&report["already_present"]),
        cell(&report["rejected"]),
    )
}

/// The first refusals for people, and where to find the rest.
fn refusals(report: &Value) -> Vec<String> {
    let rejects = report["rejects"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut texts: Vec<String> = rejects
        .iter()
        .take(SHOWN_MAX)
        .map(|reject| {
            let place = reject["pointer"]
                .as_str()
                .filter(|pointer| !pointer.is_empty());
            let place = place
                .map(|pointer| format!("{}: ", super::table::plain(pointer)))
                .unwrap_or_default();
            format!(
                "line {} ({}): {place}{}",
                cell(&reject["line"]),
                cell(&reject["ref"]),
                cell(&reject["message"])
            )
        })
        .collect();
    if rejects.len() > SHOWN_MAX {
        texts.push("and more: --rejects FILE writes all of them".to_owned());
    }
    texts
}

/// Writes each refused line as it came, with its reasons, one JSON object a line.
fn write_rejects(source: &Path, rejects: &Value, file: &mut File) -> anyhow::Result<()> {
    let mut by_line: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for reject in rejects.as_array().into_iter().flatten() {
        by_line
            .entry(reject["line"].as_u64().unwrap_or(0))
            .or_default()
            .push(reject);
    }
    let mut lines = BufReader::new(File::open(source)?).split(b'\n');
    let mut out = BufWriter::new(file);
    let mut reached = 0;
    for (line, reasons) in by_line {
        let mut raw = Vec::new();
        while reached < line {
            reached += 1;
            match lines.next() {
                Some(next) => raw = next?,
                None => break,
            }
        }
        let each: Vec<Value> = reasons
            .iter()
            .map(|reason| json!({"code": reason["code"], "pointer": reason["pointer"], "message": reason["message"]}))
            .collect();
        let raw = String::from_utf8_lossy(&raw);
        let text = raw.trim_end_matches('\r');
        writeln!(
            out,
            "{}",
            json!({"line": line, "ref": reasons[0]["ref"], "reasons": each, "raw": text})
        )?;
    }
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_lines_are_written_as_they_came_with_all_their_reasons() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("in.jsonl");
        std::fs::write(&source, "{\"a\":1}\nbad\r\n{\"c\":3}\n").unwrap();
        let rejects = json!([
            {"line": 2, "ref": null, "code": "not_json", "pointer": "", "message": "m"},
            {"line": 3, "ref": "x", "code": "one", "pointer": "/a", "message": "m"},
            {"line": 3, "ref": "x", "code": "two", "pointer": "/b", "message": "m"},
        ]);
        let out = folder.path().join("out.jsonl");
        write_rejects(&source, &rejects, &mut File::create(&out).unwrap()).unwrap();
        let text = std::fs::read_to_string(&out).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["raw"], "bad");
        assert_eq!(lines[1]["raw"], "{\"c\":3}");
        assert_eq!(lines[1]["reasons"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_refusal_names_line_record_and_place() {
        let report = json!({"rejects": [{"line": 7, "ref": "FR-A-1", "pointer": "/doc/state", "message": "seen x"}]});
        assert_eq!(refusals(&report), ["line 7 (FR-A-1): /doc/state: seen x"]);
    }
}
