//! What the node says of itself: status, peers, overview; from memory, but for the age of a queue.
//!
//! Freshness is added here, at the moment of asking: counts are as fresh as their last entry.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use data_encoding::HEXLOWER;
use raccordo_config::Role;
use raccordo_crdt_model::UnixMillis;
use raccordo_transport::{Cursor, LogId, PeerId};

use crate::store::Condition;

use super::between::Between;
use super::core::{Core, LANE_SHARED};
use super::ledger::Ledger;
use super::links::{Link, Proof, shown};
use super::queues::Queues;
use super::roster::{Member, PINNED, REJECTED};
use super::rows::Counts;
use super::scope;
use super::stops;
use super::view::{
    Freshness, MemberState, OverviewView, PeerView, ProofView, ScrubView, StatusView, StopView,
    TerritoryView, TotalsView,
};
use super::{clones, confirming, overview, put_back, recovery, transfer};

/// The merged view (a district's: its own territory alone).
pub(crate) fn overview(core: &Core) -> OverviewView {
    let ledger = core.ledger();
    let now_ms = core.clock.unix_millis();
    let territories: Vec<TerritoryView> = if core.config().node.role == Role::Coordination {
        members_by_territory(&ledger)
            .iter()
            .map(|(path, members)| part(core, &ledger, now_ms, path, members))
            .collect()
    } else {
        vec![own_part(core, &ledger, now_ms)]
    };
    let listed = territories
        .iter()
        .filter_map(|part| ledger.counts.get(&part.territory));
    OverviewView {
        as_of: UnixMillis(now_ms),
        digest: overview::digest_over(listed).finish(),
        totals: totals(core, &ledger, &territories),
        territories,
    }
}

/// The node at a glance.
pub(crate) fn status(core: &Core) -> StatusView {
    let ledger = core.ledger();
    let config = core.config();
    let stats = core.store.stats().ok();
    let bound = core
        .bound
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    StatusView {
        id: core.id.to_string(),
        territory: config.node.territory.clone(),
        role: config.node.role,
        name: config.node.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        incarnation: HEXLOWER.encode(&core.incarnation()),
        lineage: HEXLOWER.encode(&core.lineage),
        listen: bound.0,
        http: bound.1,
        engine: stats
            .as_ref()
            .map_or("unknown", |stats| stats.engine)
            .to_owned(),
        documents: ledger.totals.documents,
        entries: ledger.totals.entries,
        disk_bytes: stats.map_or(0, |stats| stats.disk_bytes),
        store_problem: store_problem(core),
        scrub: scrub(core, &ledger),
        writes_problem: writes_problem(core, &ledger).map(|(_, problem)| problem),
        held_back: put_back::problem(&ledger),
        stopped: stops_here(core, &ledger, |_| true),
        peers: peers(core),
    }
}

fn scrub(core: &Core, ledger: &Ledger) -> ScrubView {
    let report = core.scrub.report();
    ScrubView {
        damaged: ledger.damaged.len() as u64,
        read: report.documents,
        found: report.damaged,
        passed_at: report.passed_at,
    }
}

fn proof(proof: Proof) -> ProofView {
    ProofView {
        at: UnixMillis(proof.at_ms),
        documents: proof.documents as u64,
        differing: proof.differing as u64,
        rounds: proof.rounds,
        bytes: proof.bytes as u64,
    }
}

/// Why the store takes no writes, if so.
pub(crate) fn store_problem(core: &Core) -> Option<String> {
    if !core.writing.load(Ordering::Acquire) {
        return Some(
            "the writer has ended: stop the node, read its log and start it again".to_owned(),
        );
    }
    match core.store.condition() {
        Condition::Healthy => None,
        Condition::Degraded { reason } | Condition::Poisoned { reason } => Some(reason),
    }
}

/// Why nothing is written for now although the store could: a stable code and one sentence.
pub(crate) fn writes_problem(core: &Core, ledger: &Ledger) -> Option<(&'static str, String)> {
    let rolled_back = recovery::problem(core, ledger).map(|problem| ("rolled_back", problem));
    rolled_back.or_else(|| clones::problem(ledger).map(|problem| ("cloned", problem)))
}

/// The logs that stopped or wait here, among those that count.
fn stops_here(core: &Core, ledger: &Ledger, counts: impl Fn(&LogId) -> bool) -> Vec<StopView> {
    let stopped = ledger.stopped.iter().filter(|(log, _)| counts(log));
    let mut views: Vec<StopView> = stopped.map(|(log, stop)| stops::here(*log, stop)).collect();
    let waits = core.waits.lock().unwrap_or_else(PoisonError::into_inner);
    let waits = waits.iter().filter(|(log, _)| counts(log));
    views.extend(waits.map(|(log, waits)| stops::waits(*log, waits)));
    views
}

/// The members with which this node has links, by territory.
pub(crate) fn peers(core: &Core) -> Vec<PeerView> {
    views_of(core, |ledger, key| ledger.roster.is_peer(key))
}

/// Those, the members about which this node decides though others took them in, and those that wait
/// to be confirmed.
pub(crate) fn members(core: &Core) -> Vec<PeerView> {
    views_of(core, |ledger, key| {
        let (roster, own) = (&ledger.roster, core.id == *key);
        let mut member = roster.member(key).filter(|_| !own).into_iter();
        roster.is_peer(key)
            || roster.decides_about(key)
            || member.any(|member| confirming::is_confirmed(core, ledger, member) == Some(false))
    })
}

fn views_of(core: &Core, counts: impl Fn(&Ledger, &PeerId) -> bool) -> Vec<PeerView> {
    let ledger = core.ledger();
    let counting = ledger
        .roster
        .iter()
        .filter(|member| counts(&ledger, &member.key));
    let mut queues = Queues::new(core);
    let mut views: Vec<PeerView> = counting
        .map(|member| with_age(glance(core, &ledger, member), &mut queues, &ledger, member))
        .collect();
    views.sort_by(|a, b| (&a.territory, &a.id).cmp(&(&b.territory, &b.id)));
    views
}

/// The word for one peer's state.
pub(crate) fn peer_state(core: &Core, key: &PeerId) -> &'static str {
    let ledger = core.ledger();
    ledger
        .roster
        .member(key)
        .map_or("unreachable", |member| glance(core, &ledger, member).state)
}

/// One peer, with the age of its queue.
pub(crate) fn peer(core: &Core, ledger: &Ledger, member: &Member) -> PeerView {
    let mut queues = Queues::new(core);
    with_age(glance(core, ledger, member), &mut queues, ledger, member)
}

/// With the age of the queue towards it; towards a member without a link there is none.
fn with_age(view: PeerView, queues: &mut Queues<'_>, ledger: &Ledger, member: &Member) -> PeerView {
    let queued_since = match view.through {
        Some(_) => None,
        None => queues.oldest(ledger, &member.key),
    };
    PeerView {
        queued_since,
        ..view
    }
}

/// One peer, from memory alone.
fn glance(core: &Core, ledger: &Ledger, member: &Member) -> PeerView {
    let link = core.links.link(&member.key);
    let own = core.own_log(LANE_SHARED);
    let acked_seq = link.acked.get(&own).copied().unwrap_or(0);
    let through = ledger.roster.sponsor_of(&member.key);
    let (to_send, to_receive) = match through {
        Some(_) => (0, 0),
        None => queues(core, ledger, &link, &member.key),
    };
    let mut stopped = stops_here(core, ledger, |log| log.origin == member.key.origin());
    stopped.extend(link.refused.values().map(stops::there));
    let state = match member.state {
        MemberState::Approved if through.is_some() && stopped.is_empty() => "relayed",
        MemberState::Approved if stopped.iter().any(stops::needs_a_person) => "quarantined",
        MemberState::Approved => link.state(to_receive, to_send),
        other => other.word(),
    };
    let live = core
        .endpoint()
        .and_then(|endpoint| endpoint.statistics(&member.key));
    let bytes = live.unwrap_or(link.statistics);
    let confirmed = confirming::is_confirmed(core, ledger, member);
    PeerView {
        id: member.key.to_string(),
        territory: member.territory.clone(),
        role: role_word(member.role).to_owned(),
        through: through.map(|sponsor| sponsor.to_string()),
        above: ledger.roster.fact(&member.key, PINNED).is_some(),
        name: member.name.clone(),
        confirmed,
        not_confirmed: (confirmed == Some(false)).then(|| confirming::why_not(ledger, member)),
        state,
        since: shown(link.since_ms).or(Some(UnixMillis(member.since_ms))),
        last_contact: shown(link.last_contact_ms),
        to_send,
        queued_since: None,
        acked_seq,
        to_receive,
        stream_bytes_sent: bytes.stream_sent,
        stream_bytes_received: bytes.stream_received,
        udp_bytes_sent: bytes.udp_sent,
        udp_bytes_received: bytes.udp_received,
        rtt_ms: link.connected.then(|| millis(bytes.rtt_us)),
        clock_offset_ms: link.clock_offset_ms,
        equal: link.equal,
        proof: link.proof.map(proof),
        repaired: link.repaired as u64,
        seen_ignored: link.seen_ignored,
        problem: membership_problem(member)
            .or_else(|| core.clones.of(&member.key).problem())
            .or_else(|| stopped.first().map(stops::sentence))
            .or_else(|| link.problem()),
        stopped,
        next_try_at: shown(link.next_try_ms),
    }
}

/// The words used in JSON and on the command line.
pub(crate) fn role_word(role: Role) -> &'static str {
    match role {
        Role::District => "district",
        Role::Coordination => "coordination",
    }
}

fn membership_problem(member: &Member) -> Option<String> {
    let reason = member
        .reason
        .as_deref()
        .map_or(String::new(), |reason| format!(" ({reason})"));
    match member.state {
        MemberState::Approved => None,
        MemberState::Pending => Some(
            "it has joined and waits: approve it with `raccordo peer approve`, or reject it"
                .to_owned(),
        ),
        MemberState::Suspended => Some(format!(
            "suspended here{reason}: `raccordo peer resume` lets it back"
        )),
        MemberState::Revoked => Some(format!(
            "revoked here{reason}: only a new node with a new invitation leads back"
        )),
    }
}

/// Entries that the peer has not acknowledged, and entries that it announced and are not in.
fn queues(core: &Core, ledger: &Ledger, link: &Link, peer: &PeerId) -> (u64, u64) {
    let Some(between) = Between::of(core, ledger, peer) else {
        return (0, 0);
    };
    let unsent = |head: Cursor| {
        let acked = link.acked.get(&head.log).copied().unwrap_or(0);
        head.seq.saturating_sub(acked)
    };
    let to_send = between.heads().map(unsent).sum();
    let announced = link
        .announced
        .iter()
        .filter(|(log, _)| between.takes(**log));
    let missing = announced.map(|(log, seq)| seq.saturating_sub(ledger.end(*log).seq));
    (to_send, missing.sum())
}

/// Entries of a member that were announced, by whatever peer, and are not in.
fn behind(core: &Core, ledger: &Ledger, member: &Member) -> u64 {
    let log = LogId {
        origin: member.key.origin(),
        lane: LANE_SHARED,
    };
    let links = core.links.lock();
    let announced = links.values().filter_map(|link| link.announced.get(&log));
    let announced = announced.max().copied().unwrap_or(0);
    announced.saturating_sub(ledger.end(log).seq)
}

/// The link through which a member is heard: its own, or that of the peer above it.
fn link_towards(core: &Core, ledger: &Ledger, member: &Member) -> Link {
    if ledger.roster.is_peer(&member.key) {
        return core.links.link(&member.key);
    }
    let above = ledger.roster.iter().filter(|other| {
        let same = other.territory == member.territory;
        ledger.roster.is_peer(&other.key)
            && (same || scope::is_below(&member.territory, &other.territory))
    });
    let nearest = above.max_by_key(|other| scope::depth(&other.territory));
    nearest.map_or_else(Link::default, |other| core.links.link(&other.key))
}

fn members_by_territory(ledger: &Ledger) -> BTreeMap<String, Vec<&Member>> {
    let mut territories: BTreeMap<String, Vec<&Member>> = BTreeMap::new();
    let joined = ledger
        .roster
        .iter()
        .filter(|m| m.role == Role::District && m.state != MemberState::Pending);
    for member in joined {
        territories
            .entry(member.territory.clone())
            .or_default()
            .push(member);
    }
    // A node that was turned away while pending never was a territory.
    territories.retain(|path, members| {
        let was_member =
            |m: &&Member| m.state != MemberState::Revoked || m.reason.as_deref() != Some(REJECTED);
        ledger.counts.contains_key(path) || members.iter().any(was_member)
    });
    territories
}

fn part(
    core: &Core,
    ledger: &Ledger,
    now_ms: i64,
    path: &str,
    members: &[&Member],
) -> TerritoryView {
    // A territory is called as its office is: the member that joined here, not one of its devices.
    let newest = members.iter().copied().max_by_key(|m| {
        let here = ledger.roster.is_peer(&m.key);
        (m.state != MemberState::Revoked, here, m.since_ms)
    });
    let logs = members.iter().map(|m| LogId {
        origin: m.key.origin(),
        lane: LANE_SHARED,
    });
    let links = members.iter().map(|m| link_towards(core, ledger, m));
    let links: Vec<Link> = links.collect();
    let behind = members.iter().map(|m| behind(core, ledger, m)).sum();
    let last_contact = links.iter().filter_map(|link| link.last_contact_ms).max();
    let state = freshness(core, now_ms, &links, last_contact, behind);
    let as_of = if state == Freshness::Current {
        Some(now_ms)
    } else {
        last_contact
    };
    let name = newest.map_or(String::new(), |m| m.name.clone());
    let member = newest.map_or(MemberState::Revoked, |m| m.state);
    let seq = logs.map(|log| ledger.end(log).seq).sum();
    let counts = ledger.counts.get(path).cloned().unwrap_or_default();
    let part = TerritoryView {
        name,
        state,
        member,
        as_of: shown(as_of),
        seq,
        behind,
        ..of_counts(path, &counts)
    };
    TerritoryView {
        local_projects: None,
        ..part
    }
}

fn freshness(
    core: &Core,
    now_ms: i64,
    links: &[Link],
    last_contact: Option<i64>,
    behind: u64,
) -> Freshness {
    let Some(last_contact) = last_contact else {
        return Freshness::NeverSeen;
    };
    let stale_after_ms = i64::from(core.config().overview.stale_after_s) * 1_000;
    let connected = links.iter().any(|link| link.connected);
    match (
        now_ms - last_contact <= stale_after_ms,
        connected && behind == 0,
    ) {
        (false, _) => Freshness::Stale,
        (true, true) => Freshness::Current,
        // Just gone, and all that it announced is in: still current until it counts as stale.
        (true, false) if behind == 0 => Freshness::Current,
        (true, false) => Freshness::CatchingUp,
    }
}

fn own_part(core: &Core, ledger: &Ledger, now_ms: i64) -> TerritoryView {
    let path = core.territory();
    let counts = ledger.counts.get(&path).cloned().unwrap_or_default();
    TerritoryView {
        name: core.config().node.name.clone(),
        state: Freshness::Current,
        member: ledger
            .roster
            .member(&core.id)
            .map_or(MemberState::Approved, |m| m.state),
        as_of: Some(UnixMillis(now_ms)),
        seq: ledger.end(core.own_log(LANE_SHARED)).seq,
        ..of_counts(&path, &counts)
    }
}

fn of_counts(path: &str, counts: &Counts) -> TerritoryView {
    TerritoryView {
        territory: path.to_owned(),
        name: String::new(),
        state: Freshness::NeverSeen,
        member: MemberState::Approved,
        as_of: None,
        seq: 0,
        behind: 0,
        digest: overview::digest_of(counts).finish(),
        projects: counts.projects,
        by_state: counts.by_state.clone(),
        by_need_area: counts.by_need_area.clone(),
        persons: counts.persons,
        households: counts.households,
        contacts: 0,
        conflicts: counts.conflicts,
        local_projects: Some(counts.local_projects),
        published: None,
    }
}

fn totals(core: &Core, ledger: &Ledger, territories: &[TerritoryView]) -> TotalsView {
    let current = territories
        .iter()
        .filter(|part| part.state == Freshness::Current)
        .count();
    let oldest = territories.iter().map(|part| part.as_of).min().flatten();
    let own = core.config().node.role == Role::District;
    let sole = territories.first().filter(|_| own);
    TotalsView {
        projects: territories
            .iter()
            .map(|part| part.projects)
            .sum::<u64>()
            .saturating_sub(transfer::counted_twice(core, ledger)),
        persons: sole.map_or(ledger.totals.persons, |part| part.persons),
        households: sole.map_or(ledger.totals.households, |part| part.households),
        territories_current: u64::try_from(current).unwrap_or(u64::MAX),
        territories: u64::try_from(territories.len()).unwrap_or(u64::MAX),
        oldest_as_of: oldest,
    }
}

fn millis(micros: u64) -> f64 {
    f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1_000.0
}
