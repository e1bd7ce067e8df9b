//! `demo`: a whole federation on this machine, from nothing to pages that move by themselves.
//!
//! Founds a coordination and four districts, runs each as a process of its own, lets them join,
//! fills them with invented projects and people, and keeps editing until Ctrl-C. Started again on the same
//! folder it goes on where it was.

mod accounts;
mod chance;
mod children;
mod folder;
mod guided;
mod invent;
mod life;
mod passages;
mod people;
mod places;
mod welcome;
mod words;
mod work;

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::civil::Date;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use self::chance::Chance;
use self::children::Node;
use self::folder::{Folder, fact};
use self::life::Office;
use super::api::{Api, escape};
use super::{DemoArguments, import, print, socket};
use crate::clock::{Clock, Entropy, SystemClock, SystemEntropy, draw};

/// What the federation is invented from.
const SEED: u64 = 2009;

/// Records a district that two people have edited at once when the demo begins.
const COLLISIONS: usize = 3;

/// Shortest and longest pause between two edits, in milliseconds.
const PAUSE_MS: (i64, i64) = (2_500, 6_500);

/// How long the overview may take to become whole at the start.
const WHOLE_MAX: Duration = Duration::from_mins(1);

/// Names of the invented operators that have a token.
const OPERATORS: [&str; 2] = ["op-003", "op-011"];

/// Name of the token for the person at the screen.
const VISITOR: &str = "demo";

/// Tokens of one node: the visitor's and the operators'.
struct Tokens {
    visitor: String,
    operators: Vec<(String, String)>,
}

/// `demo`
pub(super) async fn demo(data: &Path, arguments: DemoArguments) -> anyhow::Result<()> {
    let folder = Folder::open(data, &arguments)?;
    for member in &folder.members {
        if socket::connect(&member.data).await?.is_some() {
            bail!(
                "{} runs already in {}: end that demo first, or name another folder with --data and other ports \
                 with --http-base and --listen-base",
                member.territory,
                folder.path.display()
            );
        }
    }
    folder.ports_are_free()?;
    folder.found()?;
    let mut nodes = Vec::new();
    let outcome = tokio::select! {
        outcome = lived(&folder, &arguments, &mut nodes) => outcome,
        outcome = told_to_end() => outcome,
    };
    print::remark("ending the nodes …");
    let mut ends = tokio::task::JoinSet::new();
    for node in nodes {
        ends.spawn(node.end());
    }
    ends.join_all().await;
    outcome
}

async fn told_to_end() -> anyhow::Result<()> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// The demo from its first process to the last edit; only an error or a signal ends it.
async fn lived(
    folder: &Folder,
    arguments: &DemoArguments,
    nodes: &mut Vec<Node>,
) -> anyhow::Result<()> {
    let program = program()?;
    print::remark(&format!(
        "starting five nodes in {} …",
        folder.path.display()
    ));
    for member in &folder.members {
        nodes.push(Node::start(&program, member)?);
    }
    for node in nodes.iter_mut() {
        node.ready().await?;
    }
    let mut tokens = Vec::new();
    for node in nodes.iter() {
        tokens.push(tokens_of(node, &folder.before).await?);
    }
    let mut story = Story::of(folder, arguments);
    folder.write(&story.facts(nodes, &tokens))?;
    joined(nodes).await?;
    let today = story.today;
    if !story.is_told || folder.before["password"].is_null() {
        accounts::made(nodes, &story.password).await?;
    }
    if !story.is_told {
        print::remark(&format!(
            "inventing {} projects a district, and people …",
            story.records
        ));
        filled(nodes, &story).await?;
        guided::told(nodes, today).await?;
        let mut chance = Chance::part(SEED, 0);
        for (node, tokens) in nodes.iter().zip(&tokens).skip(1) {
            Office::new(&node.member, &tokens.operators)
                .collide(&mut chance, today, COLLISIONS)
                .await?;
        }
        whole(nodes).await;
        story.shown = passages::told(nodes, today).await?;
        story.is_told = true;
        folder.write(&story.facts(nodes, &tokens))?;
    }
    whole(nodes).await;
    print::line(&welcome::text(folder, nodes, &tokens, &story).await?)?;
    live(nodes, &tokens).await
}

/// What the federation was invented from, and whether all of it is there.
struct Story {
    records: u32,
    today: Date,
    is_told: bool,
    /// Of every account.
    password: String,
    /// What a newcomer is to look at, by name: transfers and an order of erasure.
    shown: Value,
}

impl Story {
    /// As `demo.json` says, or new.
    fn of(folder: &Folder, arguments: &DemoArguments) -> Self {
        let before = &folder.before["story"];
        let day = before["day"].as_str().and_then(|day| day.parse().ok());
        Self {
            records: before["records"]
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(arguments.records),
            today: day.unwrap_or_else(today),
            is_told: before["told"].as_bool().unwrap_or(false),
            password: folder.before["password"]
                .as_str()
                .map_or_else(accounts::password, str::to_owned),
            shown: before["shown"].clone(),
        }
    }

    fn facts(&self, nodes: &[Node], tokens: &[Tokens]) -> Value {
        let nodes: Vec<Value> = nodes
            .iter()
            .zip(tokens)
            .map(|(node, tokens)| {
                let mut fact = fact(&node.member, node.pid(), &tokens.visitor, &tokens.operators);
                fact["accounts"] = accounts::facts(node);
                fact
            })
            .collect();
        let story = json!({"records": self.records, "day": self.today.to_string(), "told": self.is_told,
            "guided": guided::reference(guided::WHOLE, self.today), "shown": self.shown});
        json!({"nodes": nodes, "story": story, "password": self.password})
    }
}

fn today() -> Date {
    let now =
        jiff::Timestamp::from_millisecond(SystemClock::start().unix_millis()).unwrap_or_default();
    now.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// The tokens that `demo.json` knows, or new ones.
async fn tokens_of(node: &Node, before: &Value) -> anyhow::Result<Tokens> {
    let known = before["nodes"].as_array().into_iter().flatten();
    let known = known
        .into_iter()
        .find(|known| known["territory"] == node.member.territory);
    let operators = known
        .map(|known| &known["operators"])
        .and_then(Value::as_array);
    let operator = |name: &str| {
        let mut all = operators.into_iter().flatten();
        all.find(|known| known["name"] == name)
            .and_then(|known| known["token"].as_str())
    };
    let visitor = known.and_then(|known| known["token"].as_str());
    let mut tokens = Tokens {
        visitor: token(node, VISITOR, visitor).await?,
        operators: Vec::new(),
    };
    if node.member.district.is_some() {
        for name in OPERATORS {
            tokens
                .operators
                .push((name.to_owned(), token(node, name, operator(name)).await?));
        }
    }
    Ok(tokens)
}

/// A token that is known already, or a fresh one of that name in place of a forgotten one.
async fn token(node: &Node, name: &str, known: Option<&str>) -> anyhow::Result<String> {
    const TOKENS: &str = "/api/v1/local/tokens";
    if let Some(known) = known {
        return Ok(known.to_owned());
    }
    let api = node.api();
    let listed = api.read(TOKENS).await?;
    if listed["items"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|token| token["name"] == name)
    {
        api.delete(&format!("{TOKENS}/{}", escape(name))).await?;
    }
    let made = api.post(TOKENS, &json!({"name": name})).await?;
    Ok(made["token"]
        .as_str()
        .context("a new token has a text")?
        .to_owned())
}

/// Lets every district that has no peer yet join the coordination.
async fn joined(nodes: &[Node]) -> anyhow::Result<()> {
    let Some((coordination, districts)) = nodes.split_first() else {
        return Ok(());
    };
    for district in districts {
        let peers = district.api().read("/api/v1/peers").await?;
        if peers["items"]
            .as_array()
            .is_some_and(|peers| !peers.is_empty())
        {
            continue;
        }
        let asked =
            json!({"territory": district.member.territory, "role": "district", "approved": true});
        let invitation = coordination
            .api()
            .post("/api/v1/local/invite", &asked)
            .await?;
        let redeemed = json!({"invitation": invitation["invitation"]});
        let outcome = district.api().post("/api/v1/local/join", &redeemed).await;
        outcome.with_context(|| format!("{} cannot join", district.member.territory))?;
    }
    Ok(())
}

/// Imports the invented projects and people, all districts at once.
async fn filled(nodes: &[Node], story: &Story) -> anyhow::Result<()> {
    let mut imports = tokio::task::JoinSet::new();
    for node in nodes {
        let Some(district) = node.member.district else {
            continue;
        };
        let mut lines = invent::lines(district, story.records, SEED, story.today);
        lines.extend(people::lines(district, &lines, SEED, story.today));
        imports.spawn(sent(node.api(), node.member.territory, lines));
    }
    while let Some(outcome) = imports.join_next().await {
        outcome.context("an import broke off")??;
    }
    Ok(())
}

/// Imports lines at a node, all of which it must take.
async fn sent(api: Api, territory: &str, lines: Vec<String>) -> anyhow::Result<()> {
    let mut text = lines.join("\n");
    text.push('\n');
    let text = Cursor::new(text.into_bytes());
    let report = import::sent(&api, text, None, false, false).await?;
    let rejects = &report["rejects"][0];
    anyhow::ensure!(
        rejects.is_null(),
        "{territory} refused what was invented: {rejects}"
    );
    Ok(())
}

/// Returns when the coordination shows every district as the district shows itself, or after a
/// while anyway.
async fn whole(nodes: &[Node]) {
    let complete = async {
        let mut every = tokio::time::interval(Duration::from_millis(100));
        loop {
            every.tick().await;
            if is_whole(nodes).await.unwrap_or(false) {
                return;
            }
        }
    };
    if tokio::time::timeout(WHOLE_MAX, complete).await.is_err() {
        print::remark(
            "not everything has arrived at the coordination yet; the overview shows what is missing",
        );
    }
}

async fn is_whole(nodes: &[Node]) -> anyhow::Result<bool> {
    let Some((coordination, districts)) = nodes.split_first() else {
        return Ok(true);
    };
    let overview = coordination.api().read("/api/v1/overview").await?;
    for district in districts {
        let own = district.api().read("/api/v1/overview").await?;
        let mut parts = overview["territories"].as_array().into_iter().flatten();
        let arrived =
            parts.any(|part| part["digest"] == own["digest"] && part["state"] == "current");
        if !arrived {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Edits now and then, at a pace that a newcomer can follow.
async fn live(nodes: &mut [Node], tokens: &[Tokens]) -> anyhow::Result<()> {
    let offices: Vec<Office> = nodes
        .iter()
        .zip(tokens)
        .skip(1)
        .map(|(node, tokens)| Office::new(&node.member, &tokens.operators))
        .collect();
    let mut chance = Chance::part(u64::from_be_bytes(draw(&SystemEntropy as &dyn Entropy)), 0);
    loop {
        let pause = chance.between(PAUSE_MS.0, PAUSE_MS.1).unsigned_abs();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        nodes.iter_mut().for_each(Node::look);
        // An office that cannot work now is no reason to end: its node may be paused on purpose.
        if let Ok(done) = chance.pick(&offices).act(&mut chance, today()).await {
            print::remark(&done);
        }
    }
}

/// This program's own file, which the nodes run too.
fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find this program's own file")
}
