//! What follows by itself from a transfer as it stands: one pure function.
//!
//! The same from the same facts, at every start and however often it is asked; a step that was
//! taken is not due any more. Does not know stores, drafts or clocks.

use raccordo_crdt_model::DocumentId;

use super::terms::{Origin, Terms};

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The sender gives the offer up: nobody answered in time.
    Expire,
    /// The sender gives the offer up: it offered the same project elsewhere too.
    Withdraw,
    /// This node of the receiver gives its word that it did not accept and never will.
    Decline,
    /// The sender's project ends in this one.
    Complete { new: DocumentId },
    /// The sender's project is opened again as it was.
    Release,
    /// A second project made of the same transfer is locked in favour of the one that counts.
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
    /// Whether this node takes the steps of its territory where one of them is enough.
    pub(super) acts: bool,
    /// The day, as this node's clock says.
    pub(super) today: &'a str,
    pub(super) is_revoked: &'a dyn Fn(Origin) -> bool,
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
        let new = given.and_then(|project| project.next).unwrap_or(winner);
        let told = terms.state == "completed" && terms.new_project == Some(new);
        let done = told && (given.is_some() || project.is_none());
        return (!done).then_some(Step::Complete { new });
    }
    match terms.state.as_str() {
        "offered" if sight.today > terms.expires_on.as_str() => Some(Step::Expire),
        "offered" => {
            let holder = project.and_then(|project| project.transfer);
            let elsewhere = holder.is_some_and(|holder| holder != sight.transfer);
            elsewhere.then_some(Step::Withdraw)
        }
        _ if terms.is_ending() && !terms.released => {
            let gave_word =
                |node: &Origin| terms.words.contains_key(node) || (sight.is_revoked)(*node);
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
    let (_, winner) = terms.winner()?;
    let counts = terms.new_project.filter(|_| terms.state == "completed");
    let to = counts.unwrap_or(winner);
    let yields = |project: &DocumentId| {
        let standing = (sight.project)(*project);
        let is_open = |standing: Standing| !standing.state.starts_with("transfer");
        *project != to && standing.is_some_and(is_open)
    };
    let project = terms.accepted().map(|(_, made)| made).find(yields)?;
    Some(Step::Yield { project, to })
}
