//! Stopped logs in words: whose move it is, and what it is.

use raccordo_transport::{LogId, StopCode, Stopped};

use super::inbox::Waits;
use super::quarantine::LogStop;
use super::view::StopView;

const HERE: &str = "here";
const PEER: &str = "peer";

/// A log that stopped here.
pub(crate) fn here(log: LogId, stop: &LogStop) -> StopView {
    StopView {
        by: HERE,
        log: log.to_string(),
        seq: stop.seq,
        code: word(stop.code),
        detail: stop.detail.clone(),
    }
}

/// A log that waits here.
pub(crate) fn waits(log: LogId, waits: &Waits) -> StopView {
    StopView {
        by: HERE,
        log: log.to_string(),
        seq: waits.seq,
        code: word(StopCode::Waiting),
        detail: waits.detail.clone(),
    }
}

/// A log that a peer stopped, as it told.
pub(crate) fn there(stop: &Stopped) -> StopView {
    StopView {
        by: PEER,
        log: stop.cursor.log.to_string(),
        seq: stop.cursor.seq + 1,
        code: word(stop.code),
        detail: stop.detail.clone(),
    }
}

/// Whether it goes on only when a person decides; else it goes on by itself.
pub(crate) fn needs_a_person(stop: &StopView) -> bool {
    stop.code != word(StopCode::Waiting)
}

/// What happened and whose move it is.
pub(crate) fn sentence(stop: &StopView) -> String {
    let StopView {
        by,
        log,
        seq,
        code,
        detail,
    } = stop;
    match (*by, *code) {
        (HERE, "refused") => {
            let id = format!("{log}/{seq}");
            format!(
                "its log {log} stopped here: {detail}; an administrator of this node decides: `raccordo quarantine show {id}`, then retry or discard it"
            )
        }
        (HERE, "equivocation") => format!(
            "its log {log} stopped here: {detail}; the proof is kept, and nothing more of this node is taken until it is revoked"
        ),
        (HERE, "waiting") => {
            format!("its log {log} waits here before entry {seq}: {detail}; it goes on by itself")
        }
        (HERE, _) => format!("its log {log} stopped here: {detail}"),
        (_, "waiting") => {
            format!("it takes no more of log {log} for now: {detail}; it goes on by itself")
        }
        (_, _) => format!(
            "it takes no more of log {log}: {detail}; its administrator decides there with `raccordo quarantine`"
        ),
    }
}

/// The word for a reason to stop.
pub(crate) fn word(code: StopCode) -> &'static str {
    match code {
        StopCode::Refused => "refused",
        StopCode::Waiting => "waiting",
        StopCode::Equivocation => "equivocation",
        StopCode::Cloned => "cloned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::quarantine::Place;
    use raccordo_transport::Cursor;

    #[test]
    fn every_stop_says_whose_move_it_is() {
        let log = LogId::new([0xab; 8], 0);
        let stop = |code| LogStop {
            seq: 7,
            code,
            detail: "entry 7 was refused: it is no change".to_owned(),
        };
        let refused = here(log, &stop(StopCode::Refused));
        assert!(needs_a_person(&refused));
        let place = Place { log, seq: 7 }.id();
        assert!(sentence(&refused).contains(&format!("quarantine show {place}")));
        assert!(sentence(&here(log, &stop(StopCode::Equivocation))).contains("revoked"));
        let told = |code| {
            there(&Stopped {
                cursor: Cursor {
                    log,
                    seq: 6,
                    hash: [0; 32],
                },
                code,
                detail: "entry 7 was refused".to_owned(),
            })
        };
        assert_eq!(told(StopCode::Refused).seq, 7);
        assert!(sentence(&told(StopCode::Refused)).contains("its administrator"));
        assert!(!needs_a_person(&told(StopCode::Waiting)));
        assert!(sentence(&told(StopCode::Waiting)).contains("by itself"));
    }
}
