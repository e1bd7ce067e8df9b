//! The states of a project: which may follow which, and which is shown when several compete.
//!
//! Source: `docs/architecture.md`, "The record". Does not know documents.

/// Which states may follow a state.
const PASSAGES: &[(&str, &[&str])] = &[
    ("reported", &["taken_in_charge", "closed", "transferring"]),
    ("taken_in_charge", &["assessment", "closed", "transferring"]),
    ("assessment", &["planning", "closed", "transferring"]),
    ("planning", &["approval", "closed", "transferring"]),
    (
        "approval",
        &["active", "planning", "closed", "transferring"],
    ),
    ("active", &["review", "suspended", "closed", "transferring"]),
    ("review", &["active", "suspended", "closed", "transferring"]),
    ("suspended", &["active", "closed", "transferring"]),
    ("closed", &["reopened", "archived"]),
    (
        "reopened",
        &["assessment", "planning", "active", "closed", "transferring"],
    ),
    // A transfer that is not accepted gives the record back as it was.
    (
        "transferring",
        &[
            "transferred",
            "reported",
            "taken_in_charge",
            "assessment",
            "planning",
            "approval",
            "active",
            "review",
            "suspended",
            "reopened",
        ],
    ),
    ("transferred", &["archived"]),
    ("archived", &[]),
];

/// States in which an office may enter a case that it already follows.
pub const FIRST_STATES: &[&str] = &[
    "reported",
    "taken_in_charge",
    "assessment",
    "planning",
    "approval",
    "active",
];

/// Of competing states the one shown is the first in this order.
const SHOWN_FIRST: &[&str] = &[
    "transferring",
    "suspended",
    "reopened",
    "review",
    "active",
    "approval",
    "planning",
    "assessment",
    "taken_in_charge",
    "reported",
    "closed",
    "transferred",
    "archived",
];

/// The states that may follow `state`; `None` if it is none of ours.
pub fn followers(state: &str) -> Option<&'static [&'static str]> {
    PASSAGES
        .iter()
        .find(|(from, _)| *from == state)
        .map(|(_, to)| *to)
}

/// Whether `to` may follow `from`; staying is no passage.
pub fn may_follow(from: &str, to: &str) -> bool {
    from == to || followers(from).is_some_and(|states| states.contains(&to))
}

/// Place of a state among competing ones, the smallest is shown; unknown states come last.
pub fn precedence(state: &str) -> usize {
    SHOWN_FIRST
        .iter()
        .position(|known| *known == state)
        .unwrap_or(SHOWN_FIRST.len())
}

#[cfg(test)]
#[allow(
    clippy::needless_raw_string_hashes,
    reason = "the form in which snapshots are updated"
)]
mod tests {
    use super::*;
    use crate::schema::STATES;
    use expect_test::expect;

    #[test]
    fn every_state_has_its_passages_and_its_place() {
        for state in STATES {
            assert!(followers(state).is_some(), "{state}");
            assert!(precedence(state) < STATES.len(), "{state}");
        }
        assert_eq!(PASSAGES.len(), STATES.len());
        let known = |state: &&str| STATES.contains(state);
        assert!(PASSAGES.iter().all(|(_, to)| to.iter().all(known)));
        assert!(FIRST_STATES.iter().all(known));
    }

    #[test]
    fn states_follow_as_the_field_says() {
        let mut table = String::new();
        for from in STATES {
            let states: Vec<_> = STATES
                .iter()
                .filter(|to| may_follow(from, to))
                .copied()
                .collect();
            table += from;
            table += " → ";
            table += &states.join(" ");
            table += "\n";
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
            transferred → transferred archived
            archived → archived
        "#]].assert_eq(&table);
        assert!(!may_follow("invented", "active"));
    }
}
