//! `transfer …`: hand a project over to another district, or take one over.

use std::path::Path;

use clap::{Args, Subcommand};
use raccordo_config::Territory;
use serde_json::{Value, json};

use super::api::{Api, escape};
use super::table::{Table, cell, short};
use super::{Format, meant, print};

/// Where transfers are.
const TRANSFERS: &str = "/api/v1/transfers";

/// `transfer …`
#[derive(Debug, Subcommand)]
pub enum TransferCommand {
    /// Offer a project of this district; it is locked until there is an answer
    Offer {
        /// The project's id (or a unique beginning of at least 8 digits), or its ref
        project: String,
        /// To which district
        #[arg(long, value_parser = meant::territory)]
        to: Territory,
        /// Why: residence, competence, `service_nearer`, `request_of_person`, protection, other
        #[arg(long, value_name = "CODE")]
        reason: String,
        /// For the receiver alone; without names
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Last day on which it can be accepted [default: in 30 days]
        #[arg(long, value_name = "DATE")]
        expires: Option<String>,
        /// How to print it.
        #[command(flatten)]
        format: Format,
    },
    /// All transfers from and to this district
    List(Format),
    /// One of them, with what may be seen before accepting it
    Show(TransferArguments),
    /// Take the project over
    Accept {
        /// Which transfer, and how to print it.
        #[command(flatten)]
        one: TransferArguments,
        /// Who arrives is the person of this record: its id or ref
        #[arg(long, value_name = "REF", conflicts_with = "new_person")]
        person: Option<String>,
        /// Who arrives has no record here, also if somebody has the same fiscal code
        #[arg(long)]
        new_person: bool,
    },
    /// Refuse it
    Refuse {
        /// Which transfer, and how to print it.
        #[command(flatten)]
        one: TransferArguments,
        /// Why; the coordination reads it too
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Ask it back; the project is open again once the receiver has confirmed
    Withdraw(TransferArguments),
}

/// One transfer.
#[derive(Debug, Args)]
pub struct TransferArguments {
    /// Its id, or a unique beginning of at least 8 digits
    pub id: String,
    /// How to print it.
    #[command(flatten)]
    pub format: Format,
}

/// `transfer …`
pub(super) async fn transfer(data: &Path, command: TransferCommand) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = match &command {
        TransferCommand::List(_) => api.read(TRANSFERS).await,
        TransferCommand::Show(one) => api.read(&place(one, "")).await,
        TransferCommand::Accept {
            one,
            person,
            new_person,
        } => {
            let body = json!({"person": person, "new_person": new_person});
            api.post(&place(one, "/accept"), &body).await
        }
        TransferCommand::Withdraw(one) => api.post(&place(one, "/withdraw"), &json!({})).await,
        TransferCommand::Refuse { one, reason } => {
            let body = json!({"reason": reason});
            api.post(&place(one, "/refuse"), &body).await
        }
        TransferCommand::Offer {
            project,
            to,
            reason,
            note,
            expires,
            ..
        } => {
            let body = json!({
                "project": project, "to": to.to_string(), "reason": reason, "note": note,
                "expires_on": expires,
            });
            api.post(TRANSFERS, &body).await
        }
    };
    api.close().await;
    let answer = answer?;
    match command {
        TransferCommand::List(format) if !format.json => print::line(&listed(&answer)),
        TransferCommand::Offer { format, .. } if !format.json => print::line(&shown(&answer)),
        TransferCommand::Show(one)
        | TransferCommand::Withdraw(one)
        | TransferCommand::Accept { one, .. }
        | TransferCommand::Refuse { one, .. }
            if !one.format.json =>
        {
            print::line(&shown(&answer))
        }
        _ => print::json(&answer),
    }
}

fn place(one: &TransferArguments, verb: &str) -> String {
    format!("{TRANSFERS}/{}{verb}", escape(&one.id))
}

fn listed(page: &Value) -> String {
    let mut table = Table::new(["id", "from", "to", "state", "reason", "offered", "until"]);
    for transfer in page["items"].as_array().into_iter().flatten() {
        table.row([
            short(&transfer["_meta"]["id"]),
            cell(&transfer["from"]),
            cell(&transfer["to"]),
            cell(&transfer["state"]),
            cell(&transfer["reason"]),
            cell(&transfer["offered_on"]),
            cell(&transfer["expires_on"]),
        ]);
    }
    table.show("no transfers")
}

/// A transfer: where it stands, whom it waits for, and what may be seen of the project.
fn shown(transfer: &Value) -> String {
    let mut lines = vec![format!(
        "{}  {} -> {}  {}\nproject   {}\nreason    {}, offered {}, until {}",
        cell(&transfer["_meta"]["id"]),
        cell(&transfer["from"]),
        cell(&transfer["to"]),
        cell(&transfer["state"]),
        cell(&transfer["project"]),
        cell(&transfer["reason"]),
        cell(&transfer["offered_on"]),
        cell(&transfer["expires_on"]),
    )];
    for (name, word) in [("new_project", "now in"), ("refusal", "refused")] {
        if transfer[name].is_string() {
            lines.push(format!("{word:<9} {}", cell(&transfer[name])));
        }
    }
    let unconfirmed = transfer["not_confirmed"].as_array().into_iter().flatten();
    let unconfirmed: Vec<String> = unconfirmed.map(cell).collect();
    if !unconfirmed.is_empty() {
        lines.push(format!(
            "not confirmed, so not sealed to: {}; `raccordo peer list` says whose move it is",
            unconfirmed.join(", ")
        ));
    }
    let waits = transfer["waits_for"].as_array().into_iter().flatten();
    let waits: Vec<String> = waits.map(cell).collect();
    if !waits.is_empty() {
        let waits = waits.join(", ");
        lines.push(format!("waits for the confirmation of {waits}"));
    }
    if transfer["erasure_held_by"].is_string() {
        let code = cell(&transfer["erasure_held_by"]);
        lines.push(format!(
            "is to be erased, asked by the receiver; {code} forbids it for now"
        ));
    }
    for here in transfer["already_here"].as_array().into_iter().flatten() {
        let why = here["why"].as_array().into_iter().flatten();
        let why = why.map(|why| cell(why).replace('_', " "));
        lines.push(format!(
            "may be    {} {} (same {})",
            cell(&here["ref"]),
            short(&here["person"]),
            why.collect::<Vec<_>>().join(", ")
        ));
    }
    for (name, value) in transfer["preview"].as_object().into_iter().flatten() {
        if !value.is_null() {
            lines.push(format!("{name:<11} {}", cell(value)));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_shown_with_whom_it_waits_for_and_without_empty_lines() {
        let transfer = json!({
            "_meta": {"id": "00aa"}, "from": "f/a", "to": "f/b", "state": "withdrawing", "project": "11bb",
            "reason": "residence", "offered_on": "2026-03-04", "expires_on": "2026-04-03",
            "already_here": [{"person": "22cc22cc22cc", "ref": "P-7", "why": ["fiscal_code", "name_and_year"]}],
            "waits_for": ["Laptop B"], "erasure_held_by": "legal_hold", "preview": {"age_class": "30-44", "note": null},
        });
        expect_test::expect![[r"
            00aa  f/a -> f/b  withdrawing
            project   11bb
            reason    residence, offered 2026-03-04, until 2026-04-03
            waits for the confirmation of Laptop B
            is to be erased, asked by the receiver; legal_hold forbids it for now
            may be    P-7 22cc22cc22cc (same fiscal code, name and year)
            age_class   30-44"]]
        .assert_eq(&shown(&transfer));
    }
}
