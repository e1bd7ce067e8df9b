//! Is the node alive, does it serve, and its figures in the Prometheus text format.
//!
//! Open to everyone who reaches the address: counts and states only, never content.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::engine::StatusView;
use crate::http::problem::ApiError;
use crate::http::{Shared, json};

pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

pub(crate) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.engine.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", why).into_response()
        }
    }
}

pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let text = exposition(&shared.engine.status());
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

fn exposition(status: &StatusView) -> String {
    let mut out = String::new();
    family(
        &mut out,
        "raccordo_build_info",
        "gauge",
        "The version that runs.",
    );
    let labels = format!(
        "version=\"{}\",role=\"{}\",territory=\"{}\",engine=\"{}\"",
        escaped(status.version),
        json::role(status.role),
        escaped(&status.territory.to_string()),
        escaped(&status.engine)
    );
    sample(&mut out, "raccordo_build_info", &labels, 1);
    let whole: [(&str, &str, u64); 4] = [
        ("raccordo_documents", "Documents held.", status.documents),
        (
            "raccordo_entries",
            "Log entries held, of all origins.",
            status.entries,
        ),
        (
            "raccordo_store_disk_bytes",
            "Bytes of the store on disk.",
            status.disk_bytes,
        ),
        (
            "raccordo_store_writable",
            "1 while the store takes writes.",
            u64::from(status.store_problem.is_none()),
        ),
    ];
    for (name, says, value) in whole {
        family(&mut out, name, "gauge", says);
        sample(&mut out, name, "", value);
    }
    for (name, kind, says, of) in PEER_FIGURES {
        family(&mut out, name, kind, says);
        for peer in &status.peers {
            let labels = format!(
                "peer=\"{}\",territory=\"{}\"",
                escaped(&peer.id),
                escaped(&peer.territory)
            );
            sample(&mut out, name, &labels, of(peer));
        }
    }
    family(
        &mut out,
        "raccordo_peer_round_trip_seconds",
        "gauge",
        "Round trip of the present connection.",
    );
    for peer in &status.peers {
        if let Some(rtt_ms) = peer.rtt_ms {
            let labels = format!(
                "peer=\"{}\",territory=\"{}\"",
                escaped(&peer.id),
                escaped(&peer.territory)
            );
            sample(
                &mut out,
                "raccordo_peer_round_trip_seconds",
                &labels,
                rtt_ms / 1000.0,
            );
        }
    }
    out
}

type PeerFigure = (
    &'static str,
    &'static str,
    &'static str,
    fn(&crate::engine::PeerView) -> u64,
);

const PEER_FIGURES: &[PeerFigure] = &[
    (
        "raccordo_peer_connected",
        "gauge",
        "1 while the peer is in contact.",
        |peer| u64::from(matches!(peer.state, "connected" | "catching_up")),
    ),
    (
        "raccordo_peer_to_send_entries",
        "gauge",
        "Entries the peer has not acknowledged.",
        |peer| peer.to_send,
    ),
    (
        "raccordo_peer_to_receive_entries",
        "gauge",
        "Entries the peer announced and that are not in.",
        |peer| peer.to_receive,
    ),
    (
        "raccordo_peer_acknowledged_seq",
        "gauge",
        "Last number the peer acknowledged.",
        |peer| peer.acked_seq,
    ),
    (
        "raccordo_peer_stream_sent_bytes",
        "gauge",
        "Frames sent on the present connection.",
        |peer| peer.stream_bytes_sent,
    ),
    (
        "raccordo_peer_stream_received_bytes",
        "gauge",
        "Frames received on the present connection.",
        |peer| peer.stream_bytes_received,
    ),
    (
        "raccordo_peer_udp_sent_bytes",
        "gauge",
        "UDP payloads sent on the present connection.",
        |peer| peer.udp_bytes_sent,
    ),
    (
        "raccordo_peer_udp_received_bytes",
        "gauge",
        "UDP payloads received on the present connection.",
        |peer| peer.udp_bytes_received,
    ),
];

fn family(out: &mut String, name: &str, kind: &str, says: &str) {
    writeln!(out, "# HELP {name} {says}\n# TYPE {name} {kind}").expect("a String takes any text");
}

fn sample(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let labels = if labels.is_empty() {
        String::new()
    } else {
        format!("{{{labels}}}")
    };
    writeln!(out, "{name}{labels} {value}").expect("a String takes any text");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
