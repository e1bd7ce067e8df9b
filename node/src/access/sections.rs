//! The parts of a record that access rules speak of, by kind and JSON pointer.
//!
//! A field that no line names belongs to the most guarded section of its kind. Does not know
//! who may see what.

/// A part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    /// Codes, states, dates, team: what everybody sees who sees the record.
    Frame,
    /// Who and where a person is.
    Identity,
    /// What the social service plans, spends and writes.
    Social,
    /// Health plans and assessments.
    Health,
    /// Work, training, and the extract for the employment centre.
    Work,
    /// Diary and attachments.
    Diary,
    /// Placements and other instruments.
    Instruments,
    /// What the team does together: reviews, decisions, referrals.
    Team,
}

impl Section {
    /// Every section.
    pub(crate) const ALL: [Self; 8] = [
        Self::Frame,
        Self::Identity,
        Self::Social,
        Self::Health,
        Self::Work,
        Self::Instruments,
        Self::Diary,
        Self::Team,
    ];

    /// The identifier.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Identity => "identity",
            Self::Social => "social",
            Self::Health => "health",
            Self::Work => "work",
            Self::Instruments => "instruments",
            Self::Diary => "diary",
            Self::Team => "team",
        }
    }
}

/// Which section the fields of a kind belong to.
struct Map {
    kind: &'static str,
    /// Pointers and their sections; the first that fits counts.
    known: &'static [(&'static str, Section)],
    /// What no line names.
    other: Section,
}

use Section::{Diary, Frame, Health, Identity, Instruments, Social, Team, Work};

const MAPS: &[Map] = &[
    Map {
        kind: "project",
        known: &[
            ("/plans/social", Social),
            ("/plans/work", Work),
            ("/plans", Health),
            ("/instruments", Instruments),
            ("/vouchers", Social),
            ("/reviews", Team),
            ("/decisions", Team),
            ("/referrals", Team),
            ("/ref", Frame),
            ("/subject", Frame),
            ("/need_area", Frame),
            ("/sub_areas", Frame),
            ("/opened_on", Frame),
            ("/state", Frame),
            ("/team", Frame),
            ("/case_manager", Frame),
            ("/next_review_on", Frame),
            ("/outcome", Frame),
            ("/sharing", Frame),
            ("/links", Frame),
        ],
        other: Social,
    },
    Map {
        kind: "person",
        known: &[
            ("/ref", Frame),
            ("/state", Frame),
            ("/merged_into", Frame),
            ("/household", Frame),
            ("/protected", Frame),
        ],
        other: Identity,
    },
    Map {
        kind: "household",
        known: &[
            ("/ref", Frame),
            ("/state", Frame),
            ("/municipality", Frame),
            ("/minors", Frame),
        ],
        other: Identity,
    },
    Map {
        kind: "casefile",
        known: &[
            ("/ref", Frame),
            ("/state", Frame),
            ("/subject", Frame),
            ("/consents", Frame),
            ("/projects", Frame),
            ("/legal_hold", Frame),
            ("/work_extract", Work),
            ("/assessments", Health),
            ("/reports", Social),
            ("/diary", Diary),
            ("/attachments", Diary),
        ],
        other: Diary,
    },
];

/// Kinds whose reading is written to the audit log.
const PERSONAL: [&str; 4] = ["person", "household", "casefile", "contact"];

/// Whether records of a kind tell who somebody is.
pub(crate) fn is_personal(kind: &str) -> bool {
    PERSONAL.contains(&kind)
}

/// The section that a pointer stands in, and the pointer where that section starts.
///
/// A pointer above several sections stands in the one that it would be without them: ask
/// [`touched`] before something is written there.
pub(crate) fn section_of<'a>(kind: &str, pointer: &'a str) -> (Section, &'a str) {
    let Some(map) = MAPS.iter().find(|map| map.kind == kind) else {
        return (Frame, "");
    };
    for (root, section) in map.known {
        if is_under(pointer, root) {
            // The plans that no line names are told apart by their own name.
            let whole = if *root == "/plans" {
                segments(pointer, 2)
            } else {
                root.len()
            };
            return (*section, &pointer[..whole]);
        }
    }
    (map.other, &pointer[..segments(pointer, 1)])
}

/// Every section that a change at a pointer reaches: its own, and those below it.
pub(crate) fn touched(kind: &str, pointer: &str) -> Vec<(Section, String)> {
    let Some(map) = MAPS.iter().find(|map| map.kind == kind) else {
        return vec![(Frame, String::new())];
    };
    let mut found: Vec<(Section, String)> = map
        .known
        .iter()
        .filter(|(root, _)| root.len() > pointer.len() && is_under(root, pointer))
        .map(|(root, section)| (*section, (*root).to_owned()))
        .collect();
    let (own, root) = section_of(kind, pointer);
    if pointer.is_empty() {
        // The whole record: what no line names is reached too.
        found.push((map.other, String::new()));
    } else {
        found.push((own, root.to_owned()));
    }
    found
}

/// The sections of a kind.
pub(crate) fn of_kind(kind: &str) -> Vec<Section> {
    let Some(map) = MAPS.iter().find(|map| map.kind == kind) else {
        return vec![Frame];
    };
    let used = |section: &Section| {
        *section == map.other || map.known.iter().any(|(_, known)| known == section)
    };
    Section::ALL.into_iter().filter(used).collect()
}

/// Whether a pointer is `root` or stands below it.
fn is_under(pointer: &str, root: &str) -> bool {
    pointer
        .strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Length of the first so many segments of a pointer.
fn segments(pointer: &str, wanted: usize) -> usize {
    let slashes = pointer.match_indices('/').map(|(at, _)| at);
    slashes.skip(1).nth(wanted - 1).unwrap_or(pointer.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_stands_in_the_section_that_the_map_gives_it() {
        assert_eq!(
            section_of("project", "/plans/health/goals/g1/text"),
            (Health, "/plans/health")
        );
        assert_eq!(section_of("project", "/plans/work"), (Work, "/plans/work"));
        assert_eq!(
            section_of("project", "/plans/new/x"),
            (Health, "/plans/new"),
            "unknown plans are guarded most"
        );
        assert_eq!(
            section_of("project", "/unheard_of/x"),
            (Social, "/unheard_of")
        );
        assert_eq!(
            section_of("project", "/reference"),
            (Social, "/reference"),
            "a name is compared whole"
        );
        assert_eq!(
            section_of("person", "/given_name"),
            (Identity, "/given_name")
        );
        assert_eq!(section_of("organisation", "/title"), (Frame, ""));
    }

    #[test]
    fn a_change_above_sections_reaches_each_of_them() {
        let reached = |pointer| -> Vec<Section> {
            touched("project", pointer)
                .into_iter()
                .map(|(section, _)| section)
                .collect()
        };
        assert_eq!(reached("/plans"), [Social, Work, Health]);
        assert_eq!(reached("/plans/health/goals"), [Health]);
        assert_eq!(reached("/state"), [Frame]);
        for section in of_kind("project") {
            assert!(reached("").contains(&section), "{}", section.word());
        }
    }
}
