//! The states of a record: which may follow which, and which is shown when several compete.
//!
//! Each kind has its own table. Source: `docs/architecture.md`, "The record". Does not know
//! documents.

/// The states of one kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifecycle {
    /// Which states may follow a state; every state of the kind has its line.
    pub passages: &'static [(&'static str, &'static [&'static str])],
    /// States in which a record may begin; the first is taken where nothing is said.
    pub first: &'static [&'static str],
    /// Of competing states the one shown is the first in this order.
    pub shown_first: &'static [&'static str],
}

impl Lifecycle {
    /// The states that may follow `state`; `None` if it is none of the kind's.
    pub fn followers(&self, state: &str) -> Option<&'static [&'static str]> {
        let line = self.passages.iter().find(|(from, _)| *from == state);
        line.map(|(_, to)| *to)
    }

    /// Whether `to` may follow `from`; staying is no passage.
    pub fn may_follow(&self, from: &str, to: &str) -> bool {
        from == to
            || self
                .followers(from)
                .is_some_and(|states| states.contains(&to))
    }

    /// Place of a state among competing ones, the smallest is shown; unknown states come last.
    pub fn precedence(&self, state: &str) -> usize {
        let place = self.shown_first.iter().position(|known| *known == state);
        place.unwrap_or(self.shown_first.len())
    }
}

#[cfg(test)]
#[allow(
    clippy::needless_raw_string_hashes,
    reason = "the form in which snapshots are updated"
)]
mod tests {
    use crate::schema::{Kind, Node, Rule, find};
    use expect_test::expect;

    fn states(kind: Kind) -> &'static [&'static str] {
        match find(kind.fields(), "state").map(|field| field.node) {
            Some(Node::Leaf(Rule::Closed(states))) => states,
            other => panic!("{other:?} where a closed list of states is expected"),
        }
    }

    #[test]
    fn every_state_has_its_passages_and_its_place() {
        for kind in Kind::all() {
            let (states, life) = (states(kind), kind.lifecycle());
            for state in states {
                assert!(life.followers(state).is_some(), "{state}");
                assert!(life.precedence(state) < states.len(), "{state}");
            }
            assert_eq!(life.passages.len(), states.len());
            assert_eq!(life.shown_first.len(), states.len());
            let known = |state: &&str| states.contains(state);
            assert!(life.passages.iter().all(|(_, to)| to.iter().all(known)));
            assert!(!life.first.is_empty() && life.first.iter().all(known));
        }
    }

    #[test]
    fn states_follow_as_the_field_says() {
        let mut table = String::new();
        for kind in Kind::all() {
            for from in states(kind) {
                let follow = |to: &&&str| kind.lifecycle().may_follow(from, to);
                let states: Vec<_> = states(kind).iter().filter(follow).copied().collect();
                table += from;
                table += " → ";
                table += &states.join(" ");
                table += "\n";
            }
        }
        expect![[r#"
            reported → reported taken_in_charge closed transferring
            taken_in_charge → taken_in_charge assessment closed transferring
            assessment → assessment planning closed transferring
            planning → planning approval closed transferring
            approval → planning approval active closed transferring
            active → active review suspended closed transferring
            review → active review suspended closed transferring
            suspended → active suspended closed transferring
            closed → closed reopened archived
            reopened → assessment planning active closed reopened transferring
            transferring → reported taken_in_charge assessment planning approval active review suspended reopened transferring transferred
            transferred → transferred
            archived → archived
            draft → draft consultation published
            consultation → draft consultation published
            published → published superseded
            superseded → superseded
            identified → identified contacted presented member withdrawn
            contacted → contacted presented member withdrawn
            presented → presented member withdrawn
            member → member withdrawn
            withdrawn → contacted presented member withdrawn
            registered → registered merged deceased archived
            merged → registered merged
            deceased → registered deceased archived
            archived → registered archived
            active → active dissolved
            dissolved → active dissolved
            open → open closed
            closed → open closed
            open → open closed
            closed → open closed
            offered → offered paused withdrawn
            paused → offered paused withdrawn
            withdrawn → offered withdrawn
            recorded → recorded corrected
            corrected → corrected
            offered → offered accepted refused withdrawing expired
            accepted → accepted completed
            refused → refused completed
            withdrawing → withdrawing withdrawn completed
            expired → expired withdrawn completed
            withdrawn → withdrawn completed
            completed → completed
            ordered → ordered completed
            completed → completed
            records → records aggregates
            aggregates → records aggregates
            open → open ended
            ended → open ended
        "#]].assert_eq(&table);
        assert!(!Kind::Project.lifecycle().may_follow("invented", "active"));
    }
}
