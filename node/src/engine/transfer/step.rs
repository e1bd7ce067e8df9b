//! What follows by itself from a transfer as it stands: one pure function.
//!
//! The same from the same facts, at every start and however often it is asked; a step that was
//! taken is not due any more. Does not know stores, drafts or clocks.

use raccordo_crdt_model::DocumentId;

use super::terms::{Origin, Terms};
#[cfg(feature = "testing")]
use crate::planted::{Planted, planted};

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The sender gives the offer up: nobody answered in time.
    Expire,
    /// The sender gives the offer up: it offered the same project elsewhere too.
    Withdraw,
    /// The sender's project is locked again: its lock went with a newer disk, or with another offer.
    Lock,
    /// This node of the receiver gives its word that it did not accept and never will.
    Decline,
    /// Another node of the receiver is revoked, and did not accept in what it had said before.
    DeclineFor { node: Origin },
    /// The sender's project ends in this one.
    Complete { new: DocumentId },
    /// The sender's project is opened again as it was.
    Release,
    /// What was appended while it was offered is put into the records that this node made.
    Add { node: Origin, project: DocumentId },
    /// The sender erases the transfer: the receiver has forgotten whom it was about.
    Forget,
    /// A second project made of the same transfer ends in favour of the one that counts.
    Yield { project: DocumentId, to: DocumentId },
}

/// A project as far as a step asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Standing {
    pub(super) state: String,
    pub(super) next: Option<DocumentId>,
    pub(super) transfer: Option<DocumentId>,
}

/// What a node sees beside the transfer itself.
pub(super) struct Sight<'a> {
    pub(super) transfer: DocumentId,
    pub(super) territory: &'a str,
    pub(super) own: Origin,
    /// Whether this node takes the steps of its territory where one of them is enough: at the sender
    /// the one that offered, at the receiver the one whose acceptance counts.
    pub(super) acts: bool,
    /// Whether this node made the offer, and so its lock.
    pub(super) offered_here: bool,
    /// The day, as this node's clock says.
    pub(super) today: &'a str,
    /// Whether a node is revoked, and all that it had said to this territory is here.
    pub(super) is_out: &'a dyn Fn(Origin) -> bool,
    /// A project, if it is here.
    pub(super) project: &'a dyn Fn(DocumentId) -> Option<Standing>,
}

/// The next step, if one is due here.
pub(super) fn next(terms: &Terms, sight: &Sight<'_>) -> Option<Step> {
    if sight.territory == terms.from && sight.acts {
        return of_the_sender(terms, sight);
    }
    if sight.territory == terms.to {
        return of_the_receiver(terms, sight);
    }
    None
}

fn of_the_sender(terms: &Terms, sight: &Sight<'_>) -> Option<Step> {
    let project = (sight.project)(terms.project);
    if let Some((_, winner)) = terms.winner() {
        let given = project.as_ref().filter(|p| p.state == "transferred");
        // Where the project was taken over through another offer, that one stands.
        let next = given.and_then(|project| project.next);
        let elsewhere = next.filter(|next| !terms.has_made(*next));
        let new = elsewhere.unwrap_or(winner);
        let told = terms.state == "completed" && terms.new_project == Some(new);
        let done = told && (project.is_none() || next == Some(new));
        if !done {
            return Some(Step::Complete { new });
        }
        return terms.forgotten.then_some(Step::Forget);
    }
    let is_open = |project: &Standing| !project.state.starts_with("transfer");
    if sight.offered_here && !terms.released && project.as_ref().is_some_and(is_open) {
        return Some(Step::Lock);
    }
    match terms.state.as_str() {
        "offered" if sight.today > terms.expires_on.as_str() => Some(Step::Expire),
        "offered" => {
            let holder = project.and_then(|project| project.transfer);
            let elsewhere = holder.is_some_and(|holder| holder != sight.transfer);
            elsewhere.then_some(Step::Withdraw)
        }
        _ if terms.is_ending() && !terms.released => {
            let gave_word = |node: &Origin| terms.words.contains_key(node) || (sight.is_out)(*node);
            #[cfg(feature = "testing")]
            let gave_word =
                |node: &Origin| gave_word(node) || planted(Planted::ReleasedUnconfirmed);
            terms.keys.iter().all(gave_word).then_some(Step::Release)
        }
        _ => None,
    }
}

fn of_the_receiver(terms: &Terms, sight: &Sight<'_>) -> Option<Step> {
    let could = terms.keys.contains(&sight.own) && !terms.words.contains_key(&sight.own);
    if could && terms.is_ending() {
        return Some(Step::Decline);
    }
    // The sender may not know whether the revoked node has said all that it will: here it is known.
    let silent = |node: &&Origin| !terms.words.contains_key(*node) && (sight.is_out)(**node);
    if let Some(node) = terms.keys.iter().find(silent).filter(|_| terms.is_ending()) {
        return Some(Step::DeclineFor { node: *node });
    }
    let (node, winner) = terms.winner()?;
    let told = terms.new_project.filter(|_| terms.state == "completed");
    let opens = sight.acts && terms.later_keys.contains(&sight.own);
    if told == Some(winner) && opens && terms.awaits_addition() && !terms.forgotten {
        let project = winner;
        return Some(Step::Add { node, project });
    }
    let to = told.filter(|new| !terms.has_made(*new)).unwrap_or(winner);
    let yields = |project: &DocumentId| {
        let standing = (sight.project)(*project);
        let is_open = |standing: Standing| !standing.state.starts_with("transfer");
        *project != to && standing.is_some_and(is_open)
    };
    let project = terms.accepted().map(|(_, made)| made).find(yields)?;
    Some(Step::Yield { project, to })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::engine::transfer::terms::Word;

    fn id(byte: u8) -> DocumentId {
        DocumentId::from_bytes([byte; 16])
    }

    fn terms(state: &str, words: &[(u8, Word)]) -> Terms {
        Terms {
            from: "f/a".to_owned(),
            to: "f/b".to_owned(),
            project: id(1),
            former_state: "active".to_owned(),
            state: state.to_owned(),
            expires_on: "2026-12-01".to_owned(),
            pieces: 1,
            keys: BTreeSet::from([[2; 8], [3; 8]]),
            words: words
                .iter()
                .map(|(node, word)| ([*node; 8], *word))
                .collect::<BTreeMap<_, _>>(),
            later_keys: BTreeSet::new(),
            added: BTreeSet::new(),
            released: false,
            new_project: None,
            forgotten: false,
        }
    }

    fn at(terms: &Terms, territory: &str, own: u8, project: &Standing) -> Option<Step> {
        let sight = Sight {
            transfer: id(9),
            territory,
            own: [own; 8],
            acts: true,
            offered_here: own == 1,
            today: "2026-11-23",
            is_out: &|node| node == [3; 8] && own == 7,
            project: &|_| Some(project.clone()),
        };
        next(terms, &sight)
    }

    fn locked() -> Standing {
        Standing {
            state: "transferring".to_owned(),
            next: None,
            transfer: Some(id(9)),
        }
    }

    #[test]
    fn the_sender_opens_its_project_only_when_every_node_that_could_accept_has_declined() {
        let declined = Word::Declined;
        for state in ["refused", "withdrawing", "expired"] {
            let of = |words: &[_], own| at(&terms(state, words), "f/a", own, &locked());
            assert_eq!(of(&[], 1), None);
            assert_eq!(of(&[(2, declined)], 1), None);
            assert_eq!(
                of(&[(2, declined)], 7),
                Some(Step::Release),
                "the other is revoked"
            );
            assert_eq!(of(&[(2, declined), (3, declined)], 1), Some(Step::Release));
            let taken = [(2, declined), (3, Word::Accepted(id(5)))];
            assert_eq!(of(&taken, 1), Some(Step::Complete { new: id(5) }));
        }
        assert_eq!(at(&terms("offered", &[]), "f/a", 1, &locked()), None);
        let unlocked = Standing {
            state: "active".to_owned(),
            ..Standing::default()
        };
        for state in ["offered", "withdrawing"] {
            let of = |own| at(&terms(state, &[]), "f/a", own, &unlocked);
            assert_eq!(of(1), Some(Step::Lock));
            assert_ne!(of(7), Some(Step::Lock), "the lock may still be on its way");
        }
        let elsewhere = Standing {
            transfer: Some(id(8)),
            ..locked()
        };
        assert_eq!(
            at(&terms("offered", &[]), "f/a", 1, &elsewhere),
            Some(Step::Withdraw)
        );
    }

    #[test]
    fn of_several_acceptances_the_lowest_nodes_counts_whenever_it_is_heard_of() {
        let accepted = |node: u8| (node, Word::Accepted(id(node + 10)));
        let given = |next| Standing {
            state: "transferred".to_owned(),
            next: Some(next),
            transfer: Some(id(9)),
        };
        let mut late = terms("completed", &[accepted(2), accepted(3)]);
        late.new_project = Some(id(13));
        let again = at(&late, "f/a", 1, &given(id(13)));
        assert_eq!(again, Some(Step::Complete { new: id(12) }));
        let open = Standing {
            state: "active".to_owned(),
            ..Standing::default()
        };
        let yields = Step::Yield {
            project: id(13),
            to: id(12),
        };
        assert_eq!(at(&late, "f/b", 3, &open), Some(yields));
        late.new_project = Some(id(12));
        assert_eq!(at(&late, "f/a", 1, &given(id(12))), None, "done once");
    }

    #[test]
    fn what_came_later_is_added_once_by_a_node_that_opens_it_when_its_acceptance_counts() {
        let mut late = terms("completed", &[(2, Word::Accepted(id(12)))]);
        late.new_project = Some(id(12));
        let open = Standing::default();
        assert_eq!(at(&late, "f/b", 2, &open), None);
        assert!(late.is_at_rest());
        late.later_keys = BTreeSet::from([[2; 8]]);
        let add = Step::Add {
            node: [2; 8],
            project: id(12),
        };
        assert_eq!(at(&late, "f/b", 2, &open), Some(add));
        assert_eq!(at(&late, "f/b", 3, &open), None, "it cannot open it");
        assert!(!late.is_at_rest());
        late.new_project = Some(id(13));
        let given = Standing {
            state: "transferred".to_owned(),
            ..Standing::default()
        };
        assert_eq!(at(&late, "f/b", 2, &given), None, "another one counts");
        late.new_project = Some(id(12));
        late.added = BTreeSet::from([[2; 8]]);
        assert_eq!(at(&late, "f/b", 2, &open), None);
        assert!(late.is_at_rest());
    }

    #[test]
    fn a_node_gives_its_word_once_and_only_when_the_offer_is_given_up() {
        let of = |state: &str, words: &[_], own| at(&terms(state, words), "f/b", own, &locked());
        assert_eq!(of("offered", &[], 2), None);
        assert_eq!(of("withdrawing", &[], 2), Some(Step::Decline));
        assert_eq!(of("withdrawing", &[(2, Word::Declined)], 2), None);
        let node = [3; 8];
        let instead = Some(Step::DeclineFor { node });
        let said = [(2, Word::Declined)];
        assert_eq!(of("withdrawing", &said, 7), instead, "it is revoked");
        assert_eq!(of("offered", &[], 7), None);
        assert_eq!(of("withdrawing", &[(2, Word::Accepted(id(5)))], 2), None);
        assert_eq!(
            of("withdrawing", &[], 4),
            None,
            "it could not have accepted"
        );
        assert_eq!(at(&terms("withdrawing", &[]), "f/c", 2, &locked()), None);
    }
}
