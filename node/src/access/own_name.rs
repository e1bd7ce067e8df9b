//! What is given in somebody's own name: votes, signatures and answers of a body, notes, reviews and
//! questions of a person.
//!
//! Whoever may edit the section that they stand in gives and changes their own alone. Pure: compares
//! a record before and after a change, however the change reaches it. The office is not asked.

use raccordo_crdt_model::{HistoryChange, Kind};
use serde_json::{Map, Value, json};

use super::entries::{self, Step, is_at_or_below, pointer};
use super::{Principal, Reason};

/// What the body that a referral goes to says of it, beside its state.
const ANSWER: [&str; 3] = ["answered_on", "outcome", "reason_of_refusal"];
/// The states that it gives.
const ANSWERED: [&str; 3] = ["accepted", "rejected", "done"];
/// What of a decision the whole team writes, beside who asked the question.
const OF_THE_TEAM: [&str; 2] = ["votes", "result"];

/// A record as these steps leave it, as far as it is needed to compare: what they do not find is
/// made, and what the engine will refuse is left alone.
pub(crate) fn after(fields: &Value, steps: &[Step<'_>]) -> Value {
    let mut record = fields.clone();
    for step in steps {
        match step.op {
            "remove" => write(&mut record, &step.keys(), None),
            "add" | "replace" => write(&mut record, &step.keys(), step.value),
            _ => {}
        }
    }
    record
}

/// Where a change gives or alters what another body's or person's is, and why not.
pub(crate) fn anothers(
    principal: &Principal,
    kind: Kind,
    own: bool,
    before: &Value,
    after: &Value,
) -> Option<(String, Reason)> {
    if kind == Kind::Casefile {
        let mut notes = changed(before, after, "diary");
        let note = notes.find(|(_, was, is)| !is_authors(principal, was, is))?;
        return Some((pointer(&["diary", &note.0]), Reason::Author));
    }
    if kind != Kind::Project {
        return None;
    }
    let bodies = entries::answering(principal, kind.singular(), own);
    let at = vote(&bodies, before, after)
        .or_else(|| signature(&bodies, before, after))
        .or_else(|| answer(&bodies, before, after))?;
    Some((at, Reason::Voice))
}

/// Reviews and questions that were there and that a change rewrites or takes away: who wrote them is
/// in the history.
pub(crate) fn rewritten(kind: Kind, before: &Value, after: &Value) -> Vec<String> {
    if kind != Kind::Project {
        return Vec::new();
    }
    let reviews = changed(before, after, "reviews")
        .filter(|(_, was, _)| !was.is_null())
        .map(|(id, ..)| pointer(&["reviews", &id]));
    let asked = |decision: &Value| {
        let mut decision = decision.clone();
        if let Value::Object(members) = &mut decision {
            members.retain(|name, _| !OF_THE_TEAM.contains(&name.as_str()));
        }
        decision
    };
    let decisions = changed(before, after, "decisions")
        .filter(|(_, was, is)| !was.is_null() && asked(was) != asked(is))
        .map(|(id, ..)| pointer(&["decisions", &id]));
    reviews.chain(decisions).collect()
}

/// Who began the entry at a pointer that is there now; `history`: who changed what, oldest first.
pub(crate) fn author<'a>(
    history: impl Iterator<Item = (Option<&'a str>, &'a [HistoryChange])>,
    entry: &str,
) -> Option<&'a str> {
    let mut author = None;
    for (by, changes) in history {
        for change in changes {
            let below = is_at_or_below(&change.path, entry);
            let inside = entry.strip_prefix(&change.path);
            let holds = |value: &Value| inside.is_some_and(|rest| value.pointer(rest).is_some());
            match (&change.value, change.op) {
                (_, "remove") if is_at_or_below(entry, &change.path) => author = None,
                (Some(value), _) if below || holds(value) => author = author.or(Some(by)),
                _ => {}
            }
        }
    }
    author.flatten()
}

/// A vote that is not of one of these bodies, before or after.
fn vote(bodies: &[&str], before: &Value, after: &Value) -> Option<String> {
    changed(before, after, "decisions").find_map(|(id, was, is)| {
        let decision = if was.is_null() { is } else { was };
        let own = |vote: &Value| {
            let mut bodies = bodies.iter().filter(|body| entries::awaits(decision, body));
            bodies.any(|body| vote["body"] == *body)
        };
        let foreign = changed(was, is, "votes")
            .find(|(_, was, is)| !(own(is) && (was.is_null() || own(was))));
        foreign.map(|(vote, ..)| pointer(&["decisions", &id, "votes", &vote]))
    })
}

/// A signature that is not new, or of another body; the person's is written by who writes the plan.
fn signature(bodies: &[&str], before: &Value, after: &Value) -> Option<String> {
    changed(before, after, "plans").find_map(|(plan, was, is)| {
        let own =
            |one: &Value| one["person"] == true || bodies.iter().any(|body| one["body"] == *body);
        let foreign =
            changed(was, is, "signatures").find(|(_, was, is)| !was.is_null() || !own(is));
        foreign.map(|(id, ..)| pointer(&["plans", &plan, "signatures", &id]))
    })
}

/// The answer to a referral that was sent to none of these bodies. What went to a service outside the
/// list of bodies is answered by whoever sent it.
fn answer(bodies: &[&str], before: &Value, after: &Value) -> Option<String> {
    let own = |referral: &Value| {
        let to = &referral["to"];
        to.is_null() || bodies.iter().any(|body| to == *body)
    };
    let foreign = changed(before, after, "referrals").find(|(_, was, is)| {
        let (then, now) = (answered(was), answered(is));
        // Who sent it may take it back when it was accepted.
        let withdrawn =
            is["state"] == "withdrawn" && told(was) == told(is) && was["to"] == is["to"];
        let moved = was["to"] != is["to"];
        let given = now != Value::Null && (now != then || moved);
        let taken = then != Value::Null && (now != then || moved) && !withdrawn;
        (given && !withdrawn && !own(is)) || (taken && !own(was))
    });
    foreign.map(|(id, ..)| pointer(&["referrals", &id]))
}

/// What of a referral is its answer; nothing where none was given.
fn answered(referral: &Value) -> Value {
    let state = &referral["state"];
    let state = Some(state).filter(|state| ANSWERED.iter().any(|one| *state == one));
    let told = told(referral);
    if state.is_none() && told == json!({}) {
        return Value::Null;
    }
    json!({"state": state, "told": told})
}

fn told(referral: &Value) -> Value {
    let told = ANSWER
        .iter()
        .filter(|name| !referral[**name].is_null())
        .map(|name| ((*name).to_owned(), referral[*name].clone()));
    Value::Object(told.collect())
}

/// A note before and after is its author's, who is the one that writes.
fn is_authors(principal: &Principal, was: &Value, is: &Value) -> bool {
    let own = |note: &Value| note.is_null() || note["author"] == *principal.name;
    own(was) && own(is)
}

/// The entries of a container that differ: their key, before and after; null where there is none.
fn changed<'a>(
    before: &'a Value,
    after: &'a Value,
    container: &'a str,
) -> impl Iterator<Item = (String, &'a Value, &'a Value)> {
    let of = |record: &'a Value| record.get(container).and_then(Value::as_object);
    let (before, after) = (of(before), of(after));
    let gone = before.into_iter().flatten().map(|(id, _)| id);
    let kept = after.into_iter().flatten().map(|(id, _)| id);
    let new = kept.filter(move |id| before.is_none_or(|before| !before.contains_key(*id)));
    gone.chain(new).filter_map(move |id| {
        let at = |members: Option<&'a Map<String, Value>>| {
            members
                .and_then(|members| members.get(id))
                .unwrap_or(&Value::Null)
        };
        let (was, is) = (at(before), at(after));
        (was != is).then(|| (id.clone(), was, is))
    })
}

/// Sets or takes away what stands at these keys; containers on the way are made.
fn write(target: &mut Value, keys: &[String], value: Option<&Value>) {
    let Some((first, rest)) = keys.split_first() else {
        *target = value.cloned().unwrap_or_default();
        return;
    };
    match target {
        Value::Object(members) if rest.is_empty() => {
            match value {
                Some(value) => members.insert(first.clone(), value.clone()),
                None => members.remove(first),
            };
        }
        Value::Object(members) => write(
            members.entry(first).or_insert_with(|| json!({})),
            rest,
            value,
        ),
        // Into a list: which place does not matter to who may do it.
        Value::Array(list) => list.push(value.cloned().unwrap_or_default()),
        Value::Null => {
            *target = json!({});
            write(target, keys, value);
        }
        _ => {}
    }
}
