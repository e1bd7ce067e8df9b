//! A transfer whose nodes are killed while each of its steps is taken: never two copies that can be
//! edited, never none, and in the end exactly one.

use std::time::Duration;

use raccordo_tests::eventually::moment;
use raccordo_tests::federation::Federation;
use raccordo_tests::process::Node;
use serde_json::{Value, json};

use crate::PROGRAM;
use crate::transfer::{a_project, comes_to};

/// How long after it was asked a node is killed, in milliseconds: before, while and after it writes.
const MOMENTS: [u64; 4] = [0, 3, 9, 27];
const TRANSFERS: &str = "/api/v1/transfers";
const A: usize = 0;
const B: usize = 1;

/// How an offer is answered.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Accepted,
    Refused,
    Withdrawn,
    /// Asked back and accepted, neither knowing of the other.
    Both,
}

/// One project on its way.
struct Story {
    federation: Federation,
    reference: &'static str,
    project: String,
}

impl Story {
    async fn begun(reference: &'static str) -> Self {
        let federation = Federation::joined(PROGRAM, 2, &[]).await;
        let path = a_project(&federation.districts[A].node, reference).await;
        let project = path.rsplit('/').next().expect("a path has an end");
        Self {
            project: project.to_owned(),
            reference,
            federation,
        }
    }

    fn node(&self, at: usize) -> &Node {
        &self.federation.districts[at].node
    }

    fn path(&self) -> String {
        format!("/api/v1/projects/{}", self.project)
    }

    /// The transfer as a node has it, if it has.
    async fn transfer(&self, at: usize) -> Option<Value> {
        let page = self.node(at).http().read(TRANSFERS).await;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        assert!(items.len() < 2, "one offer makes one transfer: {page}");
        items.into_iter().next()
    }

    async fn id(&self) -> String {
        let transfer = self.transfer(A).await.expect("it was offered");
        let id = transfer["_meta"]["id"].as_str();
        id.expect("a record has an id").to_owned()
    }

    /// The states of the sender's project and of those of the receiver.
    async fn states(&self) -> (String, Vec<String>) {
        let state = |record: &Value| record["state"].as_str().unwrap_or("none").to_owned();
        // The sender first: whatever opens its project has closed the other before.
        let old = state(&self.node(A).http().read(&self.path()).await);
        let page = self.node(B).http().read("/api/v1/projects").await;
        let made = page["items"].as_array().into_iter().flatten();
        let made = made.filter(|record| record["ref"] == self.reference);
        (old, made.map(state).collect())
    }

    async fn check(&self, what: &str) {
        let (old, made) = self.states().await;
        let open = |state: &str| !state.starts_with("transfer");
        let new = made.iter().any(|state| open(state));
        assert!(!(open(&old) && new), "{what}: two, {old} and {made:?}");
        assert!(
            new || old != "transferred",
            "{what}: none, {old} and {made:?}"
        );
    }

    async fn restart(&mut self, at: usize, after_ms: u64, what: &str) {
        moment(Duration::from_millis(after_ms)).await;
        let node = &mut self.federation.districts[at].node;
        node.kill().await;
        node.start().await;
        self.check(what).await;
    }

    /// Asks a node for a step and kills it meanwhile, again and again, until it has taken it.
    async fn through_kills(&mut self, at: usize, path: &str, body: &Value, from: Option<&str>) {
        for after_ms in MOMENTS {
            let (client, to, sent) = (self.node(at).local(), path.to_owned(), body.clone());
            let asked = tokio::spawn(async move { client.try_post(&to, &sent).await.is_ok() });
            self.restart(at, after_ms, &format!("{path} killed after {after_ms} ms"))
                .await;
            let answered = asked.await.expect("asking ends");
            if self.has_moved(at, from).await {
                return;
            }
            assert!(!answered, "{path}: what was answered is there after a kill");
        }
        let answer = self.node(at).local().post(path, body).await;
        assert!(answer.status < 300, "{path}: {answer}");
    }

    async fn has_moved(&self, at: usize, from: Option<&str>) -> bool {
        let transfer = self.transfer(at).await;
        let state = transfer.as_ref().map(|transfer| &transfer["state"]);
        state.and_then(Value::as_str) != from
    }

    async fn answer(&mut self, answer: Answer) {
        let place = format!("{TRANSFERS}/{}", self.id().await);
        let verb = |verb: &str| format!("{place}/{verb}");
        let (none, offered) = (json!({}), Some("offered"));
        if answer == Answer::Both {
            self.federation.districts[B].relay.cut();
        }
        match answer {
            Answer::Accepted => self.through_kills(B, &verb("accept"), &none, offered).await,
            Answer::Refused => {
                let why = json!({"reason": "risiede altrove"});
                self.through_kills(B, &verb("refuse"), &why, offered).await;
            }
            Answer::Withdrawn => {
                self.through_kills(A, &verb("withdraw"), &none, offered)
                    .await;
            }
            Answer::Both => {
                self.through_kills(A, &verb("withdraw"), &none, offered)
                    .await;
                self.through_kills(B, &verb("accept"), &none, offered).await;
                assert_eq!(self.states().await.0, "transferring");
                self.federation.districts[B].relay.heal();
            }
        }
    }

    /// The projects that take an edit, tried at both.
    async fn edited(&self) -> usize {
        let mut taken = 0;
        let edit = json!([{"op": "add", "path": "/team/m9", "value": {"body": "SSD"}}]);
        for at in [A, B] {
            let page = self.node(at).http().read("/api/v1/projects").await;
            for record in page["items"].as_array().into_iter().flatten() {
                let id = record["_meta"]["id"].as_str().expect("a record has an id");
                let path = format!("/api/v1/projects/{id}");
                let answer = self.node(at).http().patch(&path, None, &edit).await;
                taken += usize::from(answer.status == 200);
            }
        }
        taken
    }
}

async fn told(reference: &'static str, answer: Answer) {
    let mut story = Story::begun(reference).await;
    let offer = json!({"project": reference, "to": "frosinone/b", "reason": "residence",
        "note": "chiamare il mattino"});
    story.through_kills(A, TRANSFERS, &offer, None).await;
    // While the offer is on its way.
    for (at, after_ms) in [(B, 5), (A, 5)] {
        story.restart(at, after_ms, "on its way").await;
    }
    let place = format!("{TRANSFERS}/{}", story.id().await);
    comes_to(story.node(B), &place, "offered").await;
    story.answer(answer).await;
    // While the answer is on its way and what follows from it is done.
    for (round, after_ms) in MOMENTS.into_iter().enumerate() {
        for at in [A, B] {
            story.restart(at, 10 * after_ms, "what follows").await;
        }
        if round == 1 {
            story.federation.coordination.kill().await;
            story.federation.start_coordination().await;
        }
    }
    let (state, ends) = match answer {
        Answer::Accepted | Answer::Both => ("transferred", "completed"),
        Answer::Refused => ("reported", "refused"),
        Answer::Withdrawn => ("reported", "withdrawn"),
    };
    comes_to(story.node(A), &story.path(), state).await;
    for at in [A, B] {
        comes_to(story.node(at), &place, ends).await;
    }
    story.check("at the end").await;
    assert_eq!(story.edited().await, 1, "{:?}", story.states().await);
    comes_to(&story.federation.coordination, &place, ends).await;
    let counted = story
        .federation
        .coordination
        .local()
        .read("/api/v1/overview")
        .await;
    assert_eq!(counted["totals"]["projects"], 1, "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_transfer_killed_at_each_step_leaves_one_copy() {
    told("FR-K-1", Answer::Accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_transfer_killed_at_each_step_leaves_one_copy() {
    told("FR-K-2", Answer::Refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_transfer_killed_at_each_step_leaves_one_copy() {
    told("FR-K-3", Answer::Withdrawn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_asked_back_and_accepted_at_once_killed_at_each_step_leaves_one_copy() {
    told("FR-K-4", Answer::Both).await;
}
