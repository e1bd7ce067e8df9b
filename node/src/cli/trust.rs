//! `quarantine …` and `erase …`: what was refused, what is to be forgotten.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::api::{Api, escape};
use super::table::{Table, cell, short};
use super::{
    EraseArguments, EraseCommand, EraseStatusArguments, Format, QuarantineCommand,
    RecoverArguments, print,
};

/// `quarantine …`
pub(super) async fn quarantine(data: &Path, command: QuarantineCommand) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = match &command {
        QuarantineCommand::List(_) => api.read("/api/v1/quarantine").await,
        QuarantineCommand::Show { id, .. } => api.read(&place(id, "")).await,
        QuarantineCommand::Retry { id } => api.post(&place(id, "/retry"), &json!({})).await,
        QuarantineCommand::Discard { id, reason } => {
            api.post(&place(id, "/discard"), &json!({"reason": reason}))
                .await
        }
    };
    api.close().await;
    let answer = answer?;
    match command {
        QuarantineCommand::List(format) if !format.json => print::line(&listed(&answer)),
        QuarantineCommand::Show { format, .. } if !format.json => print::line(&shown(&answer)),
        QuarantineCommand::Retry { id } => {
            print::line(&format!("{id} was admitted: its log goes on"))
        }
        QuarantineCommand::Discard { id, .. } => print::line(&format!(
            "{id} was discarded: its log goes on without its content"
        )),
        QuarantineCommand::List(_) | QuarantineCommand::Show { .. } => print::json(&answer),
    }
}

/// `recover`
pub(super) async fn recover(data: &Path, arguments: RecoverArguments) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let RecoverArguments {
        without_peers,
        reason,
    } = arguments;
    let body = json!({"without_peers": without_peers, "reason": reason});
    let answer = api.post("/api/v1/recovery", &body).await;
    api.close().await;
    answer?;
    print::line("records of people are shown again, as this copy remembers them")
}

/// `erase …`
pub(super) async fn erase(data: &Path, arguments: EraseArguments) -> anyhow::Result<()> {
    match arguments.command {
        Some(EraseCommand::Status(arguments)) => status(data, &arguments).await,
        Some(EraseCommand::Proposals(format)) => proposals(data, format).await,
        None => order(data, &arguments).await,
    }
}

async fn order(data: &Path, record: &EraseArguments) -> anyhow::Result<()> {
    let (Some(id), Some(reason)) = (&record.id, &record.reason) else {
        bail!("name a record and a reason, or see what was erased with `raccordo erase status`");
    };
    let mut order = json!({"subject": id, "reason": reason});
    if let Some(kind) = record.kind {
        order["kind"] = json!(kind.singular());
    }
    if let Some(territory) = &record.territory {
        order["territory"] = json!(territory.to_string());
    }
    let api = Api::open(data).await?;
    let answer = api.post("/api/v1/erasures", &order).await;
    api.close().await;
    let erased = answer?;
    if record.format.json {
        return print::json(&erased);
    }
    let more = erased["covered"].as_array().map_or(0, Vec::len);
    let with = if more > 0 {
        format!(" with {more} records of the same subject")
    } else {
        String::new()
    };
    print::line(&format!(
        "erased {}{with}; `raccordo erase status` shows the receipts of the peers",
        cell(&erased["id"])
    ))
}

async fn status(data: &Path, arguments: &EraseStatusArguments) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = match &arguments.id {
        None => api.read("/api/v1/erasures").await,
        Some(id) => {
            api.read(&format!("/api/v1/erasures/{}/certificate", escape(id)))
                .await
        }
    };
    api.close().await;
    let mut erasures = answer?;
    let complete = erasures["complete"].as_bool();
    let keys_replaced = erasures["keys_replaced"] == true;
    if arguments.id.is_some() {
        if let Some(file) = &arguments.certificate {
            let text = erasures["text"].as_str().unwrap_or_default();
            std::fs::write(file, text)
                .with_context(|| format!("cannot write the certificate to {}", file.display()))?;
        }
        if !arguments.format.json {
            erasures = json!({"items": erasures["records"]});
        }
    }
    if arguments.format.json {
        return print::json(&erasures);
    }
    print::line(&receipts(&erasures))?;
    for line in held(&erasures) {
        print::line(&line)?;
    }
    match complete {
        Some(true) => print::line(
            "\ncomplete: every node that held any of it has answered, and this one has replaced its key",
        ),
        Some(false) if !keys_replaced => print::line(
            "\nnot complete: wait for every receipt to be delivered, and for this node to replace the key that wrapped the keys",
        ),
        Some(false) => print::line("\nnot complete: wait for every receipt to be delivered"),
        None => Ok(()),
    }
}

async fn proposals(data: &Path, format: Format) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = api.read("/api/v1/erasures/proposals").await;
    api.close().await;
    let page = answer?;
    if format.json {
        return print::json(&page);
    }
    let mut table = Table::new([
        "record",
        "kind",
        "ref",
        "why",
        "last change",
        "due since",
        "records",
    ]);
    for item in page["items"].as_array().into_iter().flatten() {
        table.row([
            cell(&item["id"]),
            cell(&item["kind"]),
            cell(&item["ref"]),
            cell(&item["why"]),
            cell(&item["last_change"]),
            cell(&item["due_since"]),
            cell(&item["records"]),
        ]);
    }
    print::line(&table.show("nothing is past its period of retention"))
}

fn place(id: &str, verb: &str) -> String {
    format!("/api/v1/quarantine/{}{verb}", escape(&id.replace('/', "-")))
}

fn listed(page: &Value) -> String {
    let mut table = Table::new(["entry", "of", "from", "since", "what", "why"]);
    for item in page["items"].as_array().into_iter().flatten() {
        table.row([
            cell(&item["id"]),
            cell(&item["territory"]),
            short(&item["peer"]),
            cell(&item["at"]),
            cell(&item["kind"]),
            cell(&item["reason"]),
        ]);
    }
    table.show("nothing was refused")
}

fn shown(item: &Value) -> String {
    let mut lines = vec![format!(
        "entry     {}\nauthor    {} ({})\nfrom      {}\nsince     {}\nwhat      {} of document {}\nwhy       {}",
        cell(&item["id"]),
        cell(&item["author"]),
        cell(&item["territory"]),
        cell(&item["peer"]),
        cell(&item["at"]),
        cell(&item["kind"]),
        cell(&item["document"]),
        cell(&item["reason"]),
    )];
    for entry in item["entries"].as_array().into_iter().flatten() {
        lines.push(format!(
            "\nnumber    {}\nheader    {}\nsignature {}\nbody      {}",
            cell(&entry["seq"]),
            cell(&entry["header"]),
            cell(&entry["signature"]),
            cell(&entry["body"]),
        ));
    }
    lines.join("\n")
}

fn receipts(page: &Value) -> String {
    let mut table = Table::new([
        "record", "kind", "home", "erased", "peer", "receipt", "at", "reason",
    ]);
    for item in page["items"].as_array().into_iter().flatten() {
        let own = |peer: String, state: String, at: String| {
            [
                short(&item["id"]),
                cell(&item["kind"]),
                cell(&item["territory"]),
                cell(&item["erased_at"]),
                peer,
                state,
                at,
                cell(&item["reason"]),
            ]
        };
        let peers = item["receipts"].as_array().map_or(&[][..], Vec::as_slice);
        if peers.is_empty() {
            table.row(own("-".to_owned(), "-".to_owned(), "-".to_owned()));
        }
        for peer in peers {
            table.row(own(
                cell(&peer["territory"]),
                cell(&peer["state"]),
                cell(&peer["at"]),
            ));
        }
    }
    table.show("nothing was erased")
}

/// What others asked to have erased and may not be yet, a line each.
fn held(page: &Value) -> Vec<String> {
    let held = page["held"].as_array().into_iter().flatten();
    let line = |held: &Value| {
        format!(
            "transfer {} waits: {} asked to have it erased, {} forbids it for now",
            cell(&held["transfer"]),
            cell(&held["asked_by"]),
            cell(&held["held_by"])
        )
    };
    held.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_entry_is_addressed_by_log_and_number() {
        assert_eq!(
            place("aabbccddeeff0011/0/17", "/retry"),
            "/api/v1/quarantine/aabbccddeeff0011-0-17/retry"
        );
    }

    #[test]
    fn an_erasure_shows_one_line_a_peer() {
        let page = json!({"items": [{"id": "0011223344556677", "kind": "project", "territory": "frosinone/a",
            "erased_at": "2026-01-01T00:00:00Z", "reason": "su richiesta", "receipts": [
                {"territory": "frosinone", "state": "delivered", "at": "2026-01-02T00:00:00Z"},
                {"territory": "frosinone/a", "state": "queued", "at": null}]}]});
        let text = receipts(&page);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("delivered  2026-01-02"), "{text}");
        assert!(text.contains("su richiesta"), "{text}");
        assert_eq!(receipts(&json!({"items": []})), "nothing was erased");
        let page = json!({"held": [{"transfer": "00aa", "asked_by": "frosinone/d", "held_by": "legal_hold"}]});
        assert_eq!(
            held(&page),
            [
                "transfer 00aa waits: frosinone/d asked to have it erased, legal_hold forbids it for now"
            ]
        );
        assert_eq!(listed(&json!({"items": []})), "nothing was refused");
    }
}
