//! `kill -9` at random moments, openings included: what was acknowledged is there, in whole.
//!
//! The test starts itself again as a child that commits numbered batches and says so after
//! each. `RACCORDO_STORE_KILLS` sets how often an engine's child is killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::model::{Chance, assert_equals_replay, batch_number};
use super::*;
use crate::store::Condition;

const FOLDER: &str = "RACCORDO_STORE_KILL_FOLDER";
const ENGINE: &str = "RACCORDO_STORE_KILL_ENGINE";
const KILLS: &str = "RACCORDO_STORE_KILLS";

/// Kills per engine where nothing else is said.
const KILLS_USUAL: u64 = 30;

#[test]
fn sled_keeps_what_it_acknowledged_through_kills() {
    kill_again_and_again(StoreEngine::Sled);
}

#[test]
fn redb_keeps_what_it_acknowledged_through_kills() {
    kill_again_and_again(StoreEngine::Redb);
}

/// Not a test of its own: the process that is killed.
#[test]
fn child_commits_until_it_is_killed() {
    let (Some(folder), Ok(engine)) = (std::env::var_os(FOLDER), std::env::var(ENGINE)) else {
        return;
    };
    let engine = StoreEngine::from_name(&engine).unwrap();
    let store = Store::open(folder.as_ref(), &options(engine)).unwrap();
    let mut out = std::io::stdout();
    loop {
        let seq = store.commit(batch_number(store.last_seq() + 1)).unwrap();
        writeln!(out, "acknowledged {seq}").unwrap();
        out.flush().unwrap();
    }
}

fn kill_again_and_again(engine: StoreEngine) {
    let kills = std::env::var(KILLS)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(KILLS_USUAL);
    let seed = 20_260_801;
    let mut chance = Chance(seed);
    let mut site = Site::new(Some(engine));
    let (mut acknowledged, mut while_opening) = (0, 0);
    for round in 0..kills {
        // From time to time from nothing, so that the founding is hit too.
        if round % 10 == 0 {
            site = Site::new(Some(engine));
            acknowledged = 0;
        }
        let seen = kill_once(&site, &mut chance);
        while_opening += u64::from(seen.is_none());
        acknowledged = seen.unwrap_or(acknowledged);
        // Every other time a killed opening is followed by another one.
        if round % 2 == 1 {
            let store = site.open();
            let last = store.last_seq();
            let case = format!("{engine} seed {seed} round {round}");
            assert!(
                last >= acknowledged,
                "{case}: have {last}, acknowledged {acknowledged}"
            );
            assert_eq!(store.condition(), Condition::Healthy, "{case}");
            assert_equals_replay(&store, last);
            assert!(store.verify().unwrap().is_sound(), "{case}");
        }
    }
    println!("{engine}: {kills} kills, {while_opening} before the first commit");
}

/// Starts a child, kills it, returns the last number it acknowledged.
fn kill_once(site: &Site, chance: &mut Chance) -> Option<u64> {
    let (mut child, lines) = start(site);
    let wait = chance.below(24);
    let mut last = None;
    if chance.below(3) == 0 {
        // By time: mostly inside the opening.
        let deadline = Duration::from_millis(1 + wait);
        while let Ok(seq) = lines.recv_timeout(deadline / 2) {
            last = Some(seq);
        }
    } else {
        // By count, then a little later, so somewhere inside a commit.
        for _ in 0..=wait {
            last = Some(lines.recv().unwrap());
        }
        for _ in 0..chance.below(200_000) {
            std::hint::spin_loop();
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    lines.iter().last().or(last)
}

fn start(site: &Site) -> (Child, Receiver<u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::tests::kill::child_commits_until_it_is_killed",
            "--nocapture",
        ])
        .env(FOLDER, site.path())
        .env(ENGINE, site.engine.unwrap().name())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            // The harness prints words before the first one on the same line.
            let said = line
                .rsplit_once("acknowledged ")
                .and_then(|(_, seq)| seq.parse().ok());
            if said.is_some_and(|seq| sender.send(seq).is_err()) {
                break;
            }
        }
    });
    (child, lines)
}
