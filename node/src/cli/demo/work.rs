//! What an active project is given and asked: vouchers, referrals, decisions, as an office writes them.
//!
//! Guarantees: what is spent lies within the voucher, votes are those that the result needs, states
//! follow one another.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::chance::Chance;
use super::{invent, words};

/// A voucher issued on a day and spent in parts before `today`.
pub(super) fn voucher(chance: &mut Chance, issued: Date, today: Date) -> Value {
    let until = invent::shifted(issued, 90);
    let worth = chance.between(3, 12) * 20;
    let parts = chance.between(0, 3);
    let mut spent = serde_json::Map::new();
    let mut left = parts;
    for number in 1..=parts {
        let on = invent::shifted(issued, number * chance.between(5, 25));
        if on < today && on <= until {
            let part = json!({"on": on.to_string(), "amount_eur": worth / parts});
            spent.insert(format!("p{number}"), part);
            left -= 1;
        }
    }
    let whole = left == 0 && worth % parts.max(1) == 0;
    let state = match (spent.is_empty(), whole, until < today) {
        (false, true, _) => "exhausted",
        (_, _, true) => "expired",
        (false, ..) => "partly_spent",
        (true, ..) => "active",
    };
    json!({"kind": chance.pick(words::VOUCHERS), "provider": invent::provider(chance), "value_eur": worth,
        "issued_on": issued.to_string(), "valid_from": issued.to_string(), "valid_until": until.to_string(),
        "spent": spent, "state": state})
}

/// A referral sent on a day, and what is written of it after, step by step: the answer, and the end.
pub(super) fn referral(
    chance: &mut Chance,
    sent: Date,
    today: Date,
) -> (Value, Vec<Vec<(&'static str, Value)>>) {
    let answered = invent::shifted(sent, chance.between(2, 20));
    let state = *chance.weigh(&[("sent", 2), ("accepted", 3), ("done", 4), ("rejected", 1)]);
    let referral = json!({"to": chance.pick(words::REFERRED_TO), "reason": chance.pick(words::REFERRALS),
        "sent_on": sent.to_string(), "due": invent::shifted(sent, 30).to_string(), "state": "sent"});
    if state == "sent" || answered >= today {
        return (referral, Vec::new());
    }
    let on = ("answered_on", json!(answered.to_string()));
    let steps = if state == "rejected" {
        let reason = json!("Lista d'attesa: riproporre tra tre mesi.");
        vec![vec![
            ("state", json!(state)),
            ("reason_of_refusal", reason),
            on,
        ]]
    } else {
        let mut steps = vec![vec![("state", json!("accepted")), on]];
        if state == "done" {
            let outcome = ("outcome", json!("presa_in_carico"));
            steps.push(vec![("state", json!(state)), outcome]);
        }
        steps
    };
    (referral, steps)
}

/// A question to the bodies of the team; decided where all have voted.
pub(super) fn decision(chance: &mut Chance, on: Date, health: &str, case_manager: &str) -> Value {
    let mut votes = serde_json::Map::new();
    let decided = chance.percent(70);
    for (number, body) in ["SSD", health].into_iter().enumerate() {
        if decided || number == 0 {
            let vote =
                json!({"body": body, "by": case_manager, "option": "o1", "on": on.to_string()});
            votes.insert(format!("v{}", number + 1), vote);
        }
    }
    let mut decision = json!({"question": chance.pick(words::QUESTIONS), "criteria": "Esito della verifica, risorse del piano.",
        "on": on.to_string(), "quorum": ["SSD", health],
        "options": {"o1": {"text": "Sì"}, "o2": {"text": "No"}}, "votes": votes});
    if decided {
        decision["result"] = json!("o1");
    }
    decision
}
