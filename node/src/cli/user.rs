//! `user …` and `audit …`: people who may use this node, and what they did and read.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use super::api::{Api, escape};
use super::table::{Table, cell};
use super::{AuditCommand, Format, UserCommand, print};

/// Where accounts are administered: on the local socket only.
const USERS: &str = "/api/v1/local/users";
/// Longest password line read, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4_096;

/// `user …`
pub(super) async fn user(data: &Path, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add {
            name,
            roles: given,
            body,
            password_stdin,
            format,
        } => {
            let roles = roles(&given, body.as_deref());
            let mut arguments = json!({"name": name, "roles": roles});
            arguments["password"] = password(password_stdin)?;
            let answer = asked(data, Ask::Post(USERS, &arguments)).await?;
            told(&answer, format, &format!("account {name} is made"))
        }
        UserCommand::List(format) => listed(&asked(data, Ask::Read(USERS)).await?, format),
        UserCommand::Passwd {
            name,
            password_stdin,
            format,
        } => {
            let path = format!("{USERS}/{}/passwd", escape(&name));
            let arguments = json!({"password": password(password_stdin)?});
            let answer = asked(data, Ask::Post(&path, &arguments)).await?;
            told(
                &answer,
                format,
                &format!("account {name} has another password"),
            )
        }
        UserCommand::Disable { name } => {
            let path = format!("{USERS}/{}/disable", escape(&name));
            asked(data, Ask::Post(&path, &json!({}))).await?;
            print::line(&format!("account {name} lets nobody in any more"))
        }
    }
}

/// `audit …`
pub(super) async fn audit(data: &Path, command: AuditCommand) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::Show {
            record,
            limit,
            format,
        } => {
            let record = record.unwrap_or_default();
            let path = format!("/api/v1/audit?limit={limit}&record={}", escape(&record));
            shown(&asked(data, Ask::Read(&path)).await?, format)?;
            Ok(ExitCode::SUCCESS)
        }
        AuditCommand::Verify(format) => {
            let verdict = asked(data, Ask::Read("/api/v1/audit/verify")).await?;
            let sound = verdict["sound"] == true;
            if format.json {
                print::json(&verdict)?;
            } else if sound {
                print::line(&format!("{} events, the chain is whole", verdict["events"]))?;
            } else {
                print::remark(&format!(
                    "raccordo: event {} of {}: {}; keep this folder as it is and look at a backup",
                    verdict["broken_at"],
                    verdict["events"],
                    cell(&verdict["problem"])
                ));
            }
            Ok(if sound {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}

/// Roles as typed, for the API.
pub(super) fn roles(given: &[String], body: Option<&str>) -> Value {
    // Among several roles the body is the referent's; a single one has it whatever it is.
    let whose = |role: &str| role == "referent" || given.len() == 1;
    let one = |role: &String| match role.split_once(':') {
        Some((role, body)) => json!({"role": role, "body": body}),
        None => json!({"role": role, "body": body.filter(|_| whose(role))}),
    };
    given.iter().map(one).collect()
}

/// Roles as the API gives them, in a cell.
pub(super) fn said(roles: &Value) -> String {
    let words = roles.as_array().into_iter().flatten().map(|one| {
        let role = cell(&one["role"]);
        one["body"]
            .as_str()
            .map_or_else(|| role.clone(), |body| format!("{role}:{body}"))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// One request.
enum Ask<'a> {
    Read(&'a str),
    Post(&'a str, &'a Value),
}

async fn asked(data: &Path, ask: Ask<'_>) -> anyhow::Result<Value> {
    let api = Api::open(data).await?;
    let answer = match ask {
        Ask::Read(path) => api.read(path).await,
        Ask::Post(path, arguments) => api.post(path, arguments).await,
    };
    api.close().await;
    answer
}

/// The first line of standard input, or nothing: then the node makes one.
fn password(from_stdin: bool) -> anyhow::Result<Value> {
    if !from_stdin {
        return Ok(Value::Null);
    }
    let mut text = String::new();
    std::io::stdin()
        .take(PASSWORD_BYTES_MAX)
        .read_to_string(&mut text)
        .context("cannot read the password from standard input")?;
    Ok(json!(text.lines().next().unwrap_or_default()))
}

fn told(answer: &Value, format: Format, done: &str) -> anyhow::Result<()> {
    match answer["password"].as_str() {
        _ if format.json => print::json(answer),
        Some(made) => print::line(made),
        None => print::line(done),
    }
}

fn listed(answer: &Value, format: Format) -> anyhow::Result<()> {
    if format.json {
        return print::json(answer);
    }
    let mut table = Table::new(["name", "roles", "made", "disabled"]);
    for account in answer["items"].as_array().into_iter().flatten() {
        table.row([
            cell(&account["name"]),
            said(&account["roles"]),
            cell(&account["created_at"]),
            cell(&account["disabled_at"]),
        ]);
    }
    print::line(&table.show("no accounts yet: make one with `raccordo user add NAME --role ROLE`"))
}

fn shown(answer: &Value, format: Format) -> anyhow::Result<()> {
    if format.json {
        return print::json(answer);
    }
    let mut table = Table::new(["number", "at", "who", "action", "what", "detail"]);
    for event in answer["items"].as_array().into_iter().flatten() {
        let columns = ["seq", "at", "who", "action", "what", "detail"];
        table.row(columns.map(|name| cell(&event[name])));
    }
    print::line(&table.show("nothing is in the log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_brings_its_body_or_takes_the_one_that_is_said_for_referents() {
        let given = [
            "referent".to_owned(),
            "referent:CPI".to_owned(),
            "auditor".to_owned(),
        ];
        let roles = roles(&given, Some("DSM"));
        assert_eq!(said(&roles), "referent:DSM, referent:CPI, auditor");
    }
}
