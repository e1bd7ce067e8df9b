//! Server-sent events: what moved, never what it contains.
//!
//! `record`, `delivery`, `peer`, `overview`, `overlap` after each is durable; `emergency` when one
//! begins; `resync` where a slow reader missed some and must read again. The stream ends with the
//! session that opened it and with the server.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::response::Sse;
use axum::response::sse::{Event as Sent, KeepAlive};
use serde_json::json;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::{Stream, StreamExt as _};

use crate::access::{Action, Place};
use crate::engine::{Event, Principal};
use crate::http::guard::{BySession, Proof};
use crate::http::serve::Closing;
use crate::http::{Shared, permit};

/// Proxies cut connections that stay silent for about a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) async fn stream(
    State(shared): State<Arc<Shared>>,
    Extension(BySession(session)): Extension<BySession>,
    Extension(principal): Extension<Principal>,
    Extension(proof): Extension<Proof>,
    closing: Option<Extension<Closing>>,
) -> Sse<impl Stream<Item = Result<Sent, Infallible>>> {
    let home = shared.engine.home();
    let mut listener = Some(Listener {
        epoch: shared.engine.rights_epoch(),
        principal,
        proof,
    });
    let events = BroadcastStream::new(shared.engine.events())
        .map_while(move |event| {
            let now_ms = shared.clock.monotonic_millis();
            let lasts = session.is_none_or(|key| shared.sessions.is_alive(&key, now_ms));
            listener = listener
                .take()
                .filter(|_| lasts)
                .and_then(|one| one.now(&shared));
            let listener = listener.as_ref()?;
            // Who missed some is told so, whatever they were.
            let hears = event
                .as_ref()
                .map_or(true, |event| hears(&listener.principal, &home, event));
            Some(hears.then_some(event))
        })
        .filter_map(|event| event.map(|event| Ok(sent(event))));
    let hello = tokio_stream::once(Ok(Sent::default().comment("open")));
    Sse::new(until(hello.chain(events), closing)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// Who listens, as of the last change of rights.
struct Listener {
    principal: Principal,
    proof: Proof,
    epoch: u64,
}

impl Listener {
    /// The same with the rights of now; none where the credential lets nobody in any more.
    fn now(mut self, shared: &Shared) -> Option<Self> {
        let epoch = shared.engine.rights_epoch();
        if epoch != self.epoch {
            self.epoch = epoch;
            if let Proof(Some(credential)) = &self.proof {
                self.principal = shared.engine.standing_now(credential)?;
            }
        }
        Some(self)
    }
}

/// Whether somebody may know that this happened.
fn hears(principal: &Principal, home: &str, event: &Event) -> bool {
    let at = |place| permit::may_at(principal, place, Action::Read);
    match event {
        Event::Record {
            kind, territory, ..
        }
        | Event::Seen {
            kind, territory, ..
        } => permit::may_hear(principal, *kind, territory == home),
        Event::Delivery { .. } | Event::Peer { .. } => at(Place::Status),
        Event::Overview | Event::Overlap { .. } => at(Place::Overview),
        Event::Emergency { .. } => at(Place::Emergency),
    }
}

fn sent(event: Result<Event, BroadcastStreamRecvError>) -> Sent {
    let (name, data) = match event {
        Ok(event) => told(&event),
        Err(BroadcastStreamRecvError::Lagged(missed)) => ("resync", json!({"missed": missed})),
    };
    Sent::default().event(name).data(data.to_string())
}

fn told(event: &Event) -> (&'static str, serde_json::Value) {
    match event {
        Event::Record {
            id,
            kind,
            territory,
        } => (
            "record",
            json!({"id": id.to_string(), "kind": kind.singular(), "territory": territory}),
        ),
        Event::Delivery {
            peer,
            acked_seq,
            to_send,
        } => (
            "delivery",
            json!({"peer": peer, "acked_seq": acked_seq, "to_send": to_send}),
        ),
        Event::Seen {
            id,
            kind,
            territory,
            peer,
        } => (
            "delivery",
            json!({
                "peer": peer, "seen": id.to_string(), "kind": kind.singular(), "territory": territory,
            }),
        ),
        Event::Peer {
            id,
            territory,
            state,
        } => (
            "peer",
            json!({"id": id, "territory": territory, "state": state}),
        ),
        Event::Overlap { territories } => ("overlap", json!({"territories": territories})),
        Event::Overview => ("overview", json!({})),
        Event::Emergency {
            id,
            record,
            by,
            until,
        } => (
            "emergency",
            json!({"id": id, "record": record.to_string(), "by": by, "until": until.to_string()}),
        ),
    }
}

/// Passes `events` on until the server closes.
fn until<S: Stream>(events: S, closing: Option<Extension<Closing>>) -> Until<S> {
    let end = async move {
        match closing {
            Some(Extension(closing)) => closing.wait().await,
            None => std::future::pending().await,
        }
    };
    Until {
        end: Box::pin(end),
        events: Box::pin(events),
    }
}

struct Until<S> {
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    events: Pin<Box<S>>,
}

impl<S: Stream> Stream for Until<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        self.events.as_mut().poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use raccordo_crdt_model::{DocumentId, Kind};

    use super::*;

    #[test]
    fn events_name_what_moved_and_carry_no_content() {
        let delivery = Event::Delivery {
            peer: "ab".to_owned(),
            acked_seq: 7,
            to_send: 2,
        };
        let (name, data) = told(&delivery);
        assert_eq!(
            (name, data.to_string()),
            (
                "delivery",
                r#"{"acked_seq":7,"peer":"ab","to_send":2}"#.to_owned()
            )
        );
        let seen = Event::Seen {
            id: DocumentId::from_bytes([7; 16]),
            kind: Kind::Project,
            territory: "frosinone/a".to_owned(),
            peer: "ab".to_owned(),
        };
        let (name, data) = told(&seen);
        assert_eq!(
            (name, data),
            (
                "delivery",
                json!({"peer": "ab", "seen": "07".repeat(16), "kind": "project", "territory": "frosinone/a"})
            )
        );
        let peer = Event::Peer {
            id: "ab".to_owned(),
            territory: "frosinone".to_owned(),
            state: "connected",
        };
        assert_eq!(told(&peer).0, "peer");
        assert_eq!(told(&Event::Overview).0, "overview");
    }
}
