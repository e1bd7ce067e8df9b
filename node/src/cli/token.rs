//! `token …`: programs that may use this node.

use std::path::Path;

use serde_json::json;

use super::api::{Api, escape};
use super::table::{Table, cell};
use super::{TokenCommand, print, user};

/// Where tokens are administered: on the local socket only.
const TOKENS: &str = "/api/v1/local/tokens";

/// `token …`
pub(super) async fn token(data: &Path, command: TokenCommand) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = match &command {
        TokenCommand::Create {
            name,
            roles,
            body,
            scopes,
            ..
        } => {
            let mut arguments = json!({"name": name, "scopes": scopes});
            if !roles.is_empty() {
                arguments["roles"] = user::roles(roles, body.as_deref());
            }
            api.post(TOKENS, &arguments).await
        }
        TokenCommand::List(_) => api.read(TOKENS).await,
        TokenCommand::Revoke { name } => api.delete(&format!("{TOKENS}/{}", escape(name))).await,
    };
    api.close().await;
    let answer = answer?;
    match command {
        TokenCommand::Create { format, .. } if format.json => print::json(&answer),
        TokenCommand::Create { .. } => print::line(&cell(&answer["token"])),
        TokenCommand::List(format) if format.json => print::json(&answer),
        TokenCommand::List(_) => {
            let mut table = Table::new(["name", "roles", "scopes", "made"]);
            for token in answer["items"].as_array().into_iter().flatten() {
                let scopes: Vec<String> = token["scopes"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(cell)
                    .collect();
                table.row([
                    cell(&token["name"]),
                    user::said(&token["roles"]),
                    scopes.join(", "),
                    cell(&token["created_at"]),
                ]);
            }
            print::line(
                &table.show("no tokens yet: make one with `raccordo token create --name NAME`"),
            )
        }
        TokenCommand::Revoke { name } => print::line(&format!("token {name} is revoked")),
    }
}
