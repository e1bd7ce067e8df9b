//! What a newcomer needs to know: where the pages are, how to sign in, what to try.

use super::children::Node;
use super::folder::Folder;
use super::guided::{self, WHOLE};
use super::{Story, Tokens, accounts, program};
use crate::cli::table::{Table, short};

/// All of it, to be printed once.
pub(super) async fn text(
    folder: &Folder,
    nodes: &[Node],
    tokens: &[Tokens],
    story: &Story,
) -> anyhow::Result<String> {
    let path = folder.path.display();
    let raccordo =
        program().map_or_else(|_| "raccordo".to_owned(), |path| path.display().to_string());
    Ok(format!(
        "\nThe federation runs. Open a page and sign in with the token of its row, which may do everything:\n\n{}\n\n\
         or with a name and the password {}\n\
         \x20 at a district       {}\n\
         \x20 at the coordination {}\n\n\
         To try:\n{}{}\n\
         Programs find all this in {path}/demo.json.\n\
         Ctrl-C ends the demo; the same command goes on where it was. The offices' edits follow.",
        table(nodes, tokens),
        story.password,
        names(&accounts::DISTRICT),
        names(&accounts::COORDINATION),
        of_the_network(nodes, &raccordo, &path.to_string()).await?,
        of_people(story, &raccordo, &path.to_string()),
    ))
}

fn table(nodes: &[Node], tokens: &[Tokens]) -> String {
    let mut table = Table::new(["node", "page", "token", "process"]);
    for (node, tokens) in nodes.iter().zip(tokens) {
        table.row([
            node.member.name.to_owned(),
            format!("http://{}/", node.member.http),
            tokens.visitor.clone(),
            node.pid()
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
        ]);
    }
    table.show("")
}

fn names(accounts: &[(&str, &str, Option<&str>)]) -> String {
    let names: Vec<&str> = accounts.iter().map(|(name, ..)| *name).collect();
    names.join(", ")
}

/// Links cut and nodes frozen.
async fn of_the_network(nodes: &[Node], raccordo: &str, path: &str) -> anyhow::Result<String> {
    let node = nodes.get(3);
    let sora = match node {
        Some(node) => short(&node.api().read("/api/v1/status").await?["node"]["id"]),
        None => String::new(),
    };
    let pid = node
        .and_then(Node::pid)
        .map_or_else(|| "PID".to_owned(), |pid| pid.to_string());
    let coordination = format!("--data {path}/coordination");
    Ok(format!(
        "- On the coordination's page: four territories, each with its age; the figures move as the offices work.\n\
         - On a district's page: its projects and how far each has travelled; two people edited some at once, and \
         both values are there.\n\
         - Cut the district of Sora off; it works on, and its changes wait as queued:\n\
         \x20   {raccordo} peer suspend {sora} {coordination}\n\
         \x20 Let it back in; within half a minute its changes are delivered by themselves:\n\
         \x20   {raccordo} peer resume {sora} {coordination}\n\
         - Freeze its node; after 30 s the overview shows it as stale, with its date. Then let it go on:\n\
         \x20   kill -STOP {pid}\n\
         \x20   kill -CONT {pid}\n\
         - The merged view in a terminal:\n\
         \x20   {raccordo} overview {coordination}\n"
    ))
}

/// People, their projects and what became of them.
fn of_people(story: &Story, raccordo: &str, path: &str) -> String {
    let project = guided::reference(WHOLE, story.today);
    let person = guided::person(WHOLE);
    let of = |name: &str| short(&story.shown[name]);
    let (offered, order, published) = (of("offered"), of("order"), of("published"));
    format!(
        "- {project} at Alatri has three signed plans, a voucher spent in part and a decision that waits for the DSM. \
         Read it as dsm, and as cpi, who sees nothing of the health plan and not who it is; \
         Frosinone follows the same person, and both offices are warned without a name:\n\
         \x20   {raccordo} record show project {project} --data {path}/a\n\
         \x20   {raccordo} record show person {person} --data {path}/a\n\
         - One project went from Alatri to Frosinone; another one is offered to Cassino. See it without a name, take it over:\n\
         \x20   {raccordo} transfer show {offered} --data {path}/d\n\
         \x20   {raccordo} transfer accept {offered} --data {path}/d\n\
         - Somebody was forgotten at Cassino; who answered:\n\
         \x20   {raccordo} erase status {order} --data {path}/d\n\
         - Sora publishes counts alone from now on, the small ones withheld:\n\
         \x20   {raccordo} record show publication {published} --data {path}/coordination\n"
    )
}
