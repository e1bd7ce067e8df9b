//! The table as a list: every field of a kind with its path, its privacy class and its section.
//!
//! What is written about the kinds (API description, data dictionary, access rules) reads it.

use super::field::{Field, Node, Privacy, Section};
use super::{Kind, find};

/// One field and what holds of it where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Keys from the root joined by `/`; `*` stands for a sub-entity's id.
    pub path: String,
    /// The table's own line.
    pub field: &'static Field,
    /// How much it tells of a person.
    pub privacy: Privacy,
    /// The part of the record that it belongs to.
    pub section: Section,
}

impl Kind {
    /// Every field, containers before what stands in them, in the order of the table.
    pub fn told(self) -> Vec<Told> {
        let mut out = Vec::new();
        let root = Inherited {
            privacy: Privacy::Coded,
            section: Section::Frame,
            start: 0,
        };
        tell(self.fields(), "", root, &mut out);
        out
    }

    /// The section that a field belongs to, by its keys from the root; what the table does not
    /// know belongs to the section of what it stands in, at the root to the kind's guarded one.
    pub fn section_at<'a>(self, keys: impl IntoIterator<Item = &'a str>) -> Section {
        self.at(keys).section
    }

    /// As [`Kind::section_at`], with the number of keys after which that section starts: a field
    /// of the root, or what stands beside other sections in a group.
    pub fn section_start<'a>(self, keys: impl IntoIterator<Item = &'a str>) -> (Section, usize) {
        let held = self.at(keys);
        (held.section, held.start)
    }

    /// Where the sections start: every field of the root, and what differs from the group that it
    /// stands in, each by its keys.
    pub fn section_starts(self) -> Vec<(Section, Vec<&'static str>)> {
        let mut out = Vec::new();
        for field in self.fields() {
            out.push((field.section.unwrap_or(Section::Frame), vec![field.name]));
            starts_below(field, &mut vec![field.name], &mut out);
        }
        out
    }

    /// The section of a field of the root that the table does not know.
    pub const fn unknown_section(self) -> Section {
        self.table().unknown
    }

    /// Whether any field tells who or where somebody is, or how they are.
    pub fn is_personal(self) -> bool {
        tells(self.fields())
    }

    /// How much what stands at these keys tells of a person. A field that the table does not know
    /// is taken for the worst.
    pub fn privacy_at<'a>(self, keys: impl IntoIterator<Item = &'a str>) -> Privacy {
        self.at(keys).privacy
    }

    fn at<'a>(self, keys: impl IntoIterator<Item = &'a str>) -> Inherited {
        let mut held = Inherited {
            privacy: Privacy::Coded,
            section: self.unknown_section(),
            start: 0,
        };
        let mut fields = self.fields();
        let mut entry = false;
        for (depth, key) in (1..).zip(keys) {
            if std::mem::take(&mut entry) {
                continue;
            }
            let Some(field) = find(fields, key) else {
                held.privacy = Privacy::Health;
                // Beside other sections it stands for itself, else in what holds it.
                if depth == 1 || fields.iter().any(|field| field.section.is_some()) {
                    held.start = depth;
                }
                return held;
            };
            if depth == 1 {
                held.section = Section::Frame;
            }
            if depth == 1 || field.section.is_some() {
                held.start = depth;
            }
            held = held.with(field);
            fields = match field.node {
                Node::Leaf(_) => return held,
                Node::Group(inner) => inner,
                Node::Keyed(entity) => {
                    entry = true;
                    entity.fields
                }
            };
        }
        held
    }
}

#[derive(Clone, Copy)]
struct Inherited {
    privacy: Privacy,
    section: Section,
    /// Number of keys after which the section starts.
    start: usize,
}

impl Inherited {
    fn with(self, field: &Field) -> Self {
        Self {
            privacy: field.privacy.unwrap_or(self.privacy),
            section: field.section.unwrap_or(self.section),
            start: self.start,
        }
    }
}

fn starts_below(
    field: &Field,
    keys: &mut Vec<&'static str>,
    out: &mut Vec<(Section, Vec<&'static str>)>,
) {
    let Node::Group(fields) = field.node else {
        return;
    };
    for field in fields {
        keys.push(field.name);
        if let Some(section) = field.section {
            out.push((section, keys.clone()));
        }
        starts_below(field, keys, out);
        keys.pop();
    }
}

fn tells(fields: &[Field]) -> bool {
    fields.iter().any(|field| {
        field
            .privacy
            .is_some_and(|class| class >= Privacy::Identity)
            || match field.node {
                Node::Group(inner) => tells(inner),
                Node::Keyed(entity) => tells(entity.fields),
                Node::Leaf(_) => false,
            }
    })
}

fn tell(fields: &'static [Field], above: &str, held: Inherited, out: &mut Vec<Told>) {
    for field in fields {
        let path = match above {
            "" => field.name.to_owned(),
            above => format!("{above}/{}", field.name),
        };
        let held = held.with(field);
        out.push(Told {
            path: path.clone(),
            field,
            privacy: held.privacy,
            section: held.section,
        });
        match field.node {
            Node::Group(inner) => tell(inner, &path, held, out),
            Node::Keyed(entity) => tell(entity.fields, &format!("{path}/*"), held, out),
            Node::Leaf(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Audience;

    #[test]
    fn what_leaves_a_territory_names_nobody_and_tells_of_nobodys_health() {
        for kind in Kind::all() {
            for told in kind.told() {
                let leaves = kind.audience() != Audience::Territory;
                assert!(
                    !leaves || told.privacy <= Privacy::Wording,
                    "{} {}",
                    kind.singular(),
                    told.path
                );
            }
        }
    }

    #[test]
    fn nothing_in_sub_entities_has_a_section_of_its_own() {
        for kind in Kind::all() {
            for told in kind.told() {
                let within = told.path.contains("/*/");
                assert!(!within || told.field.section.is_none(), "{}", told.path);
            }
        }
    }

    #[test]
    fn a_section_starts_at_the_root_or_beside_others_in_a_group() {
        let start = |path: &str| Kind::Project.section_start(path.split('/'));
        for (path, expected) in [
            ("plans/health/goals/g1/text", (Section::Health, 2)),
            ("plans/health/goals/g1/invented", (Section::Health, 2)),
            ("plans/invented/goals", (Section::Health, 2)),
            ("plans", (Section::Health, 1)),
            ("invented/x", (Section::Social, 1)),
            ("subject/sex", (Section::Frame, 1)),
        ] {
            assert_eq!(start(path), expected, "{path}");
        }
        for kind in Kind::all() {
            for (section, keys) in kind.section_starts() {
                let found = kind.section_start(keys.iter().copied());
                assert_eq!(found, (section, keys.len()), "{keys:?}");
            }
        }
    }

    #[test]
    fn a_field_has_the_class_and_the_section_of_what_it_stands_in() {
        let at = |kind: Kind, path: &str| {
            let keys = || path.split('/');
            (kind.privacy_at(keys()), kind.section_at(keys()))
        };
        for (kind, path, expected) in [
            (
                Kind::Project,
                "plans/health/goals/g1/text",
                (Privacy::Wording, Section::Health),
            ),
            (
                Kind::Project,
                "plans/work/employability",
                (Privacy::Coded, Section::Work),
            ),
            (
                Kind::Casefile,
                "diary/d1/text",
                (Privacy::Health, Section::Diary),
            ),
            (
                Kind::Person,
                "residence/address",
                (Privacy::Identity, Section::Identity),
            ),
            (
                Kind::Project,
                "invented/x",
                (Privacy::Health, Section::Social),
            ),
        ] {
            assert_eq!(at(kind, path), expected, "{path}");
        }
        let told = Kind::Project.told();
        let text = told
            .iter()
            .find(|told| told.path == "plans/health/goals/*/text");
        let text = text.expect("goals have texts");
        assert_eq!(
            (text.privacy, text.section),
            (Privacy::Wording, Section::Health)
        );
    }
}
