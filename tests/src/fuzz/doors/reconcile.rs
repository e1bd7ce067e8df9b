//! A reconciliation with a peer that says what it likes.
//!
//! The first byte of an input chooses the two sides' items, the second who begins. Then, a byte for
//! each of the peer's messages: 0 says what an honest peer would, 1 bends that by the eight bytes that
//! follow, 2 says the frame that follows instead.

use std::collections::BTreeSet;

use raccordo_tests::chance::Chance;
use raccordo_transport::reconcile::{
    Answer as Said, Differences, Item, Message, ROUNDS_MAX, Reconciler,
};
use raccordo_transport::wire::frame::{CONTROL_FRAME_BYTES_MAX, FrameBuffer};
use raccordo_transport::wire::kind;
use raccordo_transport::wire::repair::{Word, encode_recon, parse_recon};

use crate::mutate::scramble;
use crate::target::{Answer, Target};
use crate::wire;

const HONEST: u8 = 0;
const BENT: u8 = 1;
const RAW: u8 = 2;

const KEY: [u8; 32] = [9; 32];

/// Messages after which a run of these few items is endless, full ones counted too.
const MESSAGES_MAX: u32 = 4 * ROUNDS_MAX;

/// The door of reconciliations.
pub(crate) struct Runs;

impl Target for Runs {
    fn name(&self) -> &'static str {
        "reconcile"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let sides = (0..64).flat_map(|sides| [[sides, 0], [sides, 1]]);
        sides.map(Vec::from).collect()
    }

    fn input(&self, chance: &mut Chance) -> Vec<u8> {
        let mut input = vec![
            chance.number().to_le_bytes()[0],
            chance.number().to_le_bytes()[0],
        ];
        for _ in 0..chance.index(7) {
            match chance.index(5) {
                0 | 1 => input.push(HONEST),
                2 | 3 => {
                    input.push(BENT);
                    input.extend(chance.number().to_be_bytes());
                }
                _ => {
                    input.push(RAW);
                    let mut frame = encode_recon(1, &wire::word(chance));
                    if chance.percent(30) {
                        scramble(chance, &mut frame);
                    }
                    input.extend(frame);
                }
            }
        }
        input
    }

    fn feed(&self, input: &[u8]) -> Answer<'_> {
        let [sides, begins, rest @ ..] = input else {
            return Answer::Refused("too short to choose sides".to_owned());
        };
        let (here, there) = items(*sides);
        match run(&here, &there, begins & 1 == 0, rest) {
            Ok((found, honest)) => Answer::is_in(move || fits(&found, &here, &there, honest)),
            Err(Ended::Broken(why)) => Answer::Refused(why),
            Err(Ended::Endless(what)) => Answer::is_in(move || Err(what)),
        }
    }
}

enum Ended {
    Broken(String),
    Endless(String),
}

/// Few items to many, the same on both sides but for some.
fn items(sides: u8) -> (Vec<Item>, Vec<Item>) {
    let mut chance = Chance::new(u64::from(sides));
    let count = *chance.pick(&[0, 1, 5, 33, 70, 600, 3_000]);
    let mut here = Vec::new();
    let mut there = Vec::new();
    let rare = chance.between(2, 200);
    for number in 0..count {
        let mut id = [0; 16];
        let spread = u32::wrapping_mul(number, 0x9e37_79b1).to_be_bytes();
        id[..4].copy_from_slice(&spread);
        match chance.between(0, rare) {
            0 => here.push((id, [1; 32])),
            1 => there.push((id, [1; 32])),
            2 => {
                here.push((id, [1; 32]));
                there.push((id, [2; 32]));
            }
            _ => {
                here.push((id, [3; 32]));
                there.push((id, [3; 32]));
            }
        }
    }
    (here, there)
}

/// What this side finds, and whether the peer was honest throughout.
fn run(
    here: &[Item],
    there: &[Item],
    begins: bool,
    mut script: &[u8],
) -> Result<(Differences, bool), Ended> {
    let mut side = Reconciler::new(here.to_vec(), KEY);
    let mut peer = Reconciler::new(there.to_vec(), KEY);
    let mut honest = true;
    let mut asked = begins.then(|| side.start());
    for _ in 0..MESSAGES_MAX {
        let meant = match &asked {
            None if peer.rounds() == 0 => Some(peer.start()),
            None => None,
            // A peer that was bent before may be lost.
            Some(message) => peer.step(message).ok().and_then(|step| step.reply),
        };
        let said = said(meant.clone(), &mut script)?;
        honest &= said == meant;
        let Some(said) = said else {
            return Err(Ended::Broken("the peer has nothing to say".to_owned()));
        };
        let step = side.step(&said);
        let step = step.map_err(|broken| Ended::Broken(broken.to_string()))?;
        if let Some(reply) = &step.reply {
            let bytes = reply.encode();
            if Message::parse(&bytes).as_ref() != Ok(reply) {
                let what = format!("its own message of {} bytes does not read", bytes.len());
                return Err(Ended::Endless(what));
            }
        }
        if step.finished {
            return Ok((side.into_differences(), honest));
        }
        asked = step.reply;
        if asked.is_none() {
            return Err(Ended::Broken("this side waits for more".to_owned()));
        }
    }
    Err(Ended::Endless(format!(
        "no end after {MESSAGES_MAX} messages"
    )))
}

/// What the peer says instead of what it would.
fn said(meant: Option<Message>, script: &mut &[u8]) -> Result<Option<Message>, Ended> {
    let Some((how, rest)) = script.split_first() else {
        return Ok(meant);
    };
    *script = rest;
    match (*how, meant) {
        (BENT, Some(meant)) => {
            let (seed, rest) = rest.split_at(rest.len().min(8));
            *script = rest;
            let mut number = [0; 8];
            number[..seed.len()].copy_from_slice(seed);
            bent(&mut Chance::new(u64::from_be_bytes(number)), meant).map(Some)
        }
        (RAW, _) => {
            let mut buffer = FrameBuffer::new(CONTROL_FRAME_BYTES_MAX);
            buffer.push(rest);
            let frame = buffer.next_frame();
            let frame = frame.map_err(|bad| Ended::Broken(bad.to_string()))?;
            let Some(frame) = frame.filter(|frame| frame.kind == kind::RECON) else {
                return Err(Ended::Broken("no whole frame of its kind".to_owned()));
            };
            let end = rest
                .windows(frame.body.len().max(1))
                .position(|window| window == &frame.body[..]);
            *script = &rest[end.map_or(rest.len(), |start| start + frame.body.len())..];
            match parse_recon(&frame.body) {
                Ok((_, Word::Say(message))) => Ok(Some(message)),
                Ok(_) => Err(Ended::Broken("a word of the session".to_owned())),
                Err(bad) => Err(Ended::Broken(bad.to_string())),
            }
        }
        (_, meant) => Ok(meant),
    }
}

/// An honest message with something wrong in it that still reads.
fn bent(chance: &mut Chance, message: Message) -> Result<Message, Ended> {
    let Message::Answers(mut answers) = message else {
        return Ok(Message::Begin(wire::bytes(chance)));
    };
    for _ in 0..=chance.index(3) {
        let at = chance.index(answers.len() + 1);
        match chance.index(4) {
            0 => answers.insert(at, wire::answer(chance)),
            1 if at < answers.len() => drop(answers.remove(at)),
            2 if at < answers.len() => answers.insert(at, answers[at].clone()),
            _ => {
                if let Some(answer) = answers.get_mut(at) {
                    alter(chance, answer);
                }
            }
        }
    }
    let bytes = Message::Answers(answers).encode();
    Message::parse(&bytes).map_err(|bad| Ended::Broken(bad.to_string()))
}

fn alter(chance: &mut Chance, answer: &mut Said) {
    match answer {
        Said::Same(count) => *count = crate::mutate::number(chance, *count),
        Said::Split { first, rest } => {
            let place = chance.index(rest.len() + 1);
            match rest.get_mut(place) {
                None => *first = wire::bytes(chance),
                Some((bound, _)) if chance.percent(40) => *bound ^= 1 << chance.index(128),
                Some((_, fingerprint)) if chance.percent(60) => fingerprint[0] ^= 1,
                Some(_) => drop(rest.remove(place)),
            }
        }
        Said::List(items) => {
            let place = chance.index(items.len() + 1);
            match items.get_mut(place) {
                Some((_, tag)) if chance.percent(40) => tag[0] ^= 1,
                Some((id, _)) if chance.percent(40) => *id ^= 1 << chance.index(128),
                Some(_) => drop(items.remove(place)),
                None => {
                    let last = items.last().map_or(0, |(id, _)| *id);
                    items.push((last.saturating_add(1), wire::bytes(chance)));
                }
            }
        }
        Said::Differing { here, absent, more } => {
            let ids = if chance.percent(50) { here } else { absent };
            let place = chance.index(ids.len() + 1);
            match ids.get_mut(place) {
                Some(id) if chance.percent(50) => *id ^= 1 << chance.index(128),
                Some(_) => drop(ids.remove(place)),
                None if chance.percent(50) => {
                    let last = ids.last().copied().unwrap_or(0);
                    ids.push(last.saturating_add(1));
                }
                None => *more = !*more,
            }
        }
    }
}

/// What was found is of this side's items where it says so, nothing twice; and with an honest peer
/// it is what differs.
fn fits(found: &Differences, here: &[Item], there: &[Item], honest: bool) -> Result<(), String> {
    let known: BTreeSet<&[u8; 16]> = here.iter().map(|(id, _)| id).collect();
    let lists = [&found.missing_here, &found.missing_there, &found.different];
    for list in lists {
        if !list.is_sorted_by(|one, other| one < other) {
            return Err("what was found is not in order, or is there twice".to_owned());
        }
    }
    let of_here = |list: &[[u8; 16]]| list.iter().all(|id| known.contains(id));
    if !of_here(&found.missing_there) || !of_here(&found.different) {
        return Err("it finds items of its own that it does not have".to_owned());
    }
    if found.missing_here.iter().any(|id| known.contains(id)) {
        return Err("it misses what it has".to_owned());
    }
    let twice = |id: &[u8; 16]| found.different.binary_search(id).is_ok();
    if found.missing_there.iter().any(twice) {
        return Err("an item is missing there and different there".to_owned());
    }
    if honest {
        let differing = |one: &[Item], other: &[Item]| -> Vec<[u8; 16]> {
            let lacks = |id: &[u8; 16]| !other.iter().any(|(known, _)| known == id);
            let mut ids: Vec<_> = one.iter().map(|(id, _)| *id).filter(lacks).collect();
            ids.sort_unstable();
            ids
        };
        let found = (&found.missing_here, &found.missing_there);
        if found != (&differing(there, here), &differing(here, there)) {
            return Err("an honest run finds something else than what differs".to_owned());
        }
    }
    Ok(())
}
