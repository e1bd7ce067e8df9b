//! `export`: what this node may show, one `create` line a record, or one row of a table.
//!
//! A file takes its name only when it is whole.

use std::path::{Path, PathBuf};

use anyhow::Context;
use axum::body::Body;
use axum::http::Method;
use http_body_util::BodyExt;
use raccordo_crdt_model::Kind;
use tokio::io::AsyncWriteExt;

use super::api::{Api, request, success, with_query};
use super::{ExportArguments, print};

/// `export`
pub(super) async fn export(data: &Path, arguments: ExportArguments) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let outcome = copied(&api, &arguments).await;
    api.close().await;
    outcome
}

async fn copied(api: &Api, arguments: &ExportArguments) -> anyhow::Result<()> {
    let kind = arguments.kind.unwrap_or(Kind::Project);
    let path = with_query(
        "/api/v1/export",
        &[
            ("kind", Some(kind.singular().to_owned())),
            ("format", Some(arguments.format.clone())),
        ],
    );
    let response = api
        .send(request(Method::GET, &path, Body::empty())?)
        .await?;
    if !response.status().is_success() {
        return success(response).await.map(drop);
    }
    if arguments.kind.is_none() {
        let others = Kind::all().into_iter().filter(|other| *other != kind);
        let others: Vec<&str> = others.map(Kind::singular).collect();
        let others = others.join(", ");
        print::remark(&format!(
            "these are the projects alone; --kind gives the others: {others}"
        ));
    }
    let mut body = response.into_body();
    let Some(out) = &arguments.out else {
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the node broke off the export")?;
            print::raw(&frame.into_data().unwrap_or_default())?;
        }
        return Ok(());
    };
    let partial = partial_name(out);
    let written = write_all(&mut body, &partial).await;
    if written.is_err() {
        // What is unfinished must not look like an export.
        tokio::fs::remove_file(&partial).await.ok();
    }
    written?;
    tokio::fs::rename(&partial, out)
        .await
        .with_context(|| format!("cannot write {}", out.display()))
}

fn partial_name(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

async fn write_all(body: &mut Body, path: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let mut file = tokio::fs::File::create(path).await.with_context(cannot)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.context("the node broke off the export")?;
        file.write_all(&frame.into_data().unwrap_or_default())
            .await
            .with_context(cannot)?;
    }
    file.sync_all().await.with_context(cannot)
}
