//! The parts of a record that access rules speak of, by kind and JSON pointer.
//!
//! Which field belongs to which part stands in the one table of kinds and fields; here it is read
//! by pointer. Does not know who may see what.

use raccordo_crdt_model::Kind;
pub(crate) use raccordo_crdt_model::Section;

/// Whether records of a kind tell who somebody is: their reading is written to the audit log.
pub(crate) fn is_personal(kind: &str) -> bool {
    Kind::from_singular(kind).is_none_or(Kind::is_personal)
}

/// The section that a pointer stands in, and the pointer where that section starts.
///
/// A pointer above several sections stands in the one that it would be without them: ask
/// [`touched`] before something is written there.
pub(crate) fn section_of<'a>(kind: &str, pointer: &'a str) -> (Section, &'a str) {
    let Some(kind) = Kind::from_singular(kind) else {
        return (Section::Frame, "");
    };
    let (section, keys) = kind.section_start(pointer.split('/').skip(1));
    (section, &pointer[..segments(pointer, keys)])
}

/// Every section that a change at a pointer reaches: those below it, and its own.
pub(crate) fn touched(kind: &str, pointer: &str) -> Vec<(Section, String)> {
    let starts = Kind::from_singular(kind).map_or_else(Vec::new, Kind::section_starts);
    let mut found: Vec<(Section, String)> = starts
        .into_iter()
        .map(|(section, keys)| (section, format!("/{}", keys.join("/"))))
        .filter(|(_, root)| root.len() > pointer.len() && is_under(root, pointer))
        .collect();
    // Of the whole record: what the table does not know is reached too.
    let (own, root) = section_of(kind, pointer);
    found.push((own, root.to_owned()));
    found
}

/// The sections of a kind.
pub(crate) fn of_kind(kind: &str) -> Vec<Section> {
    let Some(kind) = Kind::from_singular(kind) else {
        return vec![Section::Frame];
    };
    let starts = kind.section_starts();
    let used = |section: &Section| {
        *section == kind.unknown_section() || starts.iter().any(|(known, _)| known == section)
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
    let mut slashes = pointer.match_indices('/').map(|(at, _)| at);
    slashes.nth(wanted).unwrap_or(pointer.len())
}

#[cfg(test)]
mod tests {
    use Section::{Frame, Health, Identity, Social, Work};

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
        assert_eq!(section_of("organisation", "/title"), (Frame, "/title"));
        assert_eq!(section_of("project", ""), (Social, ""));
    }

    #[test]
    fn a_change_above_sections_reaches_each_of_them() {
        let reached = |pointer| -> Vec<Section> {
            touched("project", pointer)
                .into_iter()
                .map(|(section, _)| section)
                .collect()
        };
        assert_eq!(reached("/plans"), [Health, Social, Work, Health]);
        assert_eq!(reached("/plans/health/goals"), [Health]);
        assert_eq!(reached("/state"), [Frame]);
        for section in of_kind("project") {
            assert!(reached("").contains(&section), "{}", section.word());
        }
    }
}
