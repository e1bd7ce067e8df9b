//! What districts do with one another: a transfer accepted and one offered, an erasure with its
//! receipts, counts published. By the commands that offices have; what is done already stays.

use std::time::Duration;

use anyhow::Context;
use jiff::civil::Date;
use serde_json::{Value, json};
use tokio::time::{interval, timeout};

use super::children::Node;
use super::guided::{self, ERASED, HANDED_ON, OFFERED};
use crate::cli::api::Api;

/// How long something may take that needs another node.
const ANSWER_MAX: Duration = Duration::from_mins(1);

const TRANSFERS: &str = "/api/v1/transfers";

/// Does all of it; what a newcomer is to look at, by name.
pub(super) async fn told(nodes: &[Node], today: Date) -> anyhow::Result<Value> {
    let api = |district: &str| {
        let mut nodes = nodes.iter();
        let node = nodes.find(|node| node.member.district == Some(district));
        node.map(Node::api)
            .with_context(|| format!("there is no district {district}"))
    };
    let (alatri, frosinone) = (api("A")?, api("B")?);
    let accepted = offered(&alatri, &guided::reference(HANDED_ON, today), "frosinone/b").await?;
    let sora = api("C")?;
    let waiting = offered(&sora, &guided::reference(OFFERED, today), "frosinone/d").await?;
    accept(&frosinone, &accepted).await?;
    let order = erased(&api("D")?).await?;
    // Not at Cassino: what is taken over there is to be seen at the coordination.
    let published = sora
        .post("/api/v1/publish", &json!({"level": "aggregates"}))
        .await
        .context("the counts cannot be published")?;
    let published = &published["_meta"]["id"];
    Ok(json!({"accepted": accepted, "offered": waiting, "order": order, "published": published}))
}

/// Offers a project; the transfer's number.
async fn offered(from: &Api, project: &str, to: &str) -> anyhow::Result<String> {
    let offer = json!({"project": project, "to": to, "reason": "residence",
        "note": "Nuova residenza: contattare il mattino."});
    let transfer = until("a transfer is offered", async || {
        let known = from.read(TRANSFERS).await?;
        let mut items = known["items"].as_array().into_iter().flatten();
        let own = items.find(|item| item["to"] == to);
        match own {
            Some(transfer) => Ok(transfer.clone()),
            // The receiver must be known here, which takes a moment.
            None => from.post(TRANSFERS, &offer).await,
        }
    });
    let transfer = transfer.await?;
    let id = transfer["_meta"]["id"].as_str();
    Ok(id.context("a transfer has an id")?.to_owned())
}

async fn accept(at: &Api, id: &str) -> anyhow::Result<()> {
    let place = format!("{TRANSFERS}/{id}");
    until("a transfer is accepted", async || {
        let transfer = at.read(&place).await?;
        if transfer["state"] == "offered" {
            at.post(&format!("{place}/accept"), &json!({})).await?;
        }
        Ok(())
    })
    .await
}

/// Forgets a person and all that is theirs; the order's number.
async fn erased(at: &Api) -> anyhow::Result<String> {
    let order =
        json!({"subject": guided::person(ERASED), "reason": "su richiesta dell'interessata"});
    let known = at.read("/api/v1/erasure_orders").await?;
    let id = match known["items"].as_array().and_then(|items| items.first()) {
        Some(order) => order["_meta"]["id"].clone(),
        None => at.post("/api/v1/erasures", &order).await?["order"].clone(),
    };
    Ok(id.as_str().context("an order has a number")?.to_owned())
}

/// Tries until it works, or says after a while why it does not.
async fn until<T>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut why = None;
    let trying = async {
        let mut every = interval(Duration::from_millis(100));
        loop {
            every.tick().await;
            match attempt().await {
                Ok(done) => return done,
                Err(failed) => why = Some(failed),
            }
        }
    };
    if let Ok(done) = timeout(ANSWER_MAX, trying).await {
        return Ok(done);
    }
    let why = why.unwrap_or_else(|| anyhow::anyhow!("nothing answered"));
    Err(why.context(format!("{what}: not within {ANSWER_MAX:?}")))
}
