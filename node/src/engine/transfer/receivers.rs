//! To whom of another district something may be sealed, and whether this node is heard there.

use std::collections::BTreeMap;

use raccordo_config::Role;
use raccordo_crdt_model::Filled;
use raccordo_crdt_model::field_rules::transfer as rules;

use super::super::confirming;
use super::super::draft::Draft;
use super::super::roster::Member;
use super::super::view::{CommandFailed, MemberState};
use super::terms::Origin;
use super::{refused, refused_as};

/// The nodes of a territory that may be sealed to, and of those the ones whose sealing key is known.
pub(super) fn receivers(draft: &Draft<'_>, territory: &str) -> BTreeMap<Origin, [u8; 32]> {
    let ledger = &draft.ledger;
    let nodes = approved(draft, territory).filter(|node| ledger.roster.counts_here(&node.key));
    nodes
        .filter_map(|member| {
            let origin = member.key.origin();
            Some((origin, *ledger.sealing.get(&origin)?))
        })
        .collect()
}

/// Why nothing can be offered to a territory.
pub(super) fn no_receiver(draft: &Draft<'_>, to: &str) -> CommandFailed {
    let waiting = approved(draft, to).filter(|node| !draft.ledger.roster.counts_here(&node.key));
    let waiting: Vec<String> = waiting
        .map(|node| format!("{} ({})", node.name, node.key.short()))
        .collect();
    if to == draft.core.territory() || waiting.is_empty() {
        let detail = format!(
            "no node of {to} is known that could open the transfer: it must have joined, be approved and have been connected"
        );
        return refused("/to", rules::NO_RECEIVER, detail);
    }
    let names = waiting.join(", ");
    let detail = format!(
        "{to} has only nodes that a coordination alone let in, and who else could open the transfer is not certain: \
         {names}; {}",
        confirming::WHOSE_MOVE
    );
    let filled = [("nodes", Filled::Text(names))];
    refused_as("/to", rules::NO_RECEIVER, "unconfirmed", &filled, detail)
}

/// Whether what this node says to another district is heard there.
pub(super) fn is_heard(draft: &Draft<'_>, with: &str) -> Result<(), CommandFailed> {
    let roster = &draft.ledger.roster;
    let own = &draft.core.id;
    if roster.counts_for(own, with) {
        return Ok(());
    }
    let detail = format!(
        "this node is not confirmed, so {with} would not hear it: {}",
        confirming::WHOSE_MOVE
    );
    let filled = [("territory", Filled::text(with))];
    Err(refused_as("", rules::NOT_CONFIRMED, "", &filled, detail))
}

fn approved<'a>(draft: &'a Draft<'_>, territory: &'a str) -> impl Iterator<Item = &'a Member> {
    draft.ledger.roster.iter().filter(move |member| {
        member.territory == territory
            && member.state == MemberState::Approved
            && member.role == Role::District
    })
}
