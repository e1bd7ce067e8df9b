//! A person as the district's office knows them: names, codes, residence, contacts.
//!
//! Never leaves the territory. Two records of one person are merged by a state that can be taken
//! back, not by deleting one.

use super::codes::SEXES;
use super::{Audience, Field, Lifecycle, Rule, Section, Table, Writer, group, leaf};

/// What the table says of persons.
pub(super) const TABLE: Table = Table {
    code: 4,
    singular: "person",
    plural: "persons",
    audience: Audience::Territory,
    writer: Writer::District,
    fields: FIELDS,
    unknown: Section::Identity,
    order: &[],
    opening: None,
    closed: None,
    lifecycle: &LIFECYCLE,
    title: None,
    // Rows are stored in the plain: names are found another way.
    search: &["ref"],
};

const STATES: &[&str] = &["registered", "merged", "deceased", "archived"];

const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[
        ("registered", &["merged", "deceased", "archived"]),
        ("merged", &["registered"]),
        // A death noted by mistake is taken back.
        ("deceased", &["registered", "archived"]),
        ("archived", &["registered"]),
    ],
    first: &["registered"],
    // Whoever is still registered is not to disappear from view.
    shown_first: &["registered", "deceased", "merged", "archived"],
};

const RESIDENCE: &[Field] = &[
    leaf("address", Rule::Text(200)),
    leaf("homeless", Rule::Flag),
    leaf("municipality", Rule::Municipality),
    leaf("since", Rule::Date),
];

const CONTACTS: &[Field] = &[
    leaf("email", Rule::Text(128)),
    leaf("notes", Rule::Text(1_000)),
    leaf("phone", Rule::Text(64)),
];

const OTHER_CODE: &[Field] = &[
    leaf("kind", Rule::Closed(&["STP", "ENI", "other"])),
    leaf("number", Rule::Text(64)),
];

const FIELDS: &[Field] = &[
    leaf("birth_place", Rule::Text(128))
        .identity()
        .section(Section::Identity),
    leaf("born_on", Rule::Date)
        .identity()
        .section(Section::Identity),
    leaf("citizenship", Rule::Open(&[]))
        .identity()
        .section(Section::Identity),
    group("contacts", CONTACTS)
        .identity()
        .section(Section::Identity),
    leaf("family_name", Rule::Text(128))
        .required()
        .identity()
        .section(Section::Identity),
    leaf("fiscal_code", Rule::FiscalCode)
        .identity()
        .section(Section::Identity),
    leaf("former_names", Rule::Codes(&[]))
        .identity()
        .section(Section::Identity),
    leaf("given_name", Rule::Text(128))
        .required()
        .identity()
        .section(Section::Identity),
    // Of a protected person it would lead to the family's name.
    leaf("household", Rule::Text(64))
        .identity()
        .section(Section::Identity),
    leaf("language", Rule::Open(&[]))
        .identity()
        .section(Section::Identity),
    leaf("merged_into", Rule::Text(64)),
    group("other_code", OTHER_CODE)
        .identity()
        .section(Section::Identity),
    // Whoever may not know that somebody is protected may not end it either.
    leaf("protected", Rule::Flag)
        .identity()
        .section(Section::Identity),
    leaf("ref", Rule::Text(64)),
    group("residence", RESIDENCE)
        .identity()
        .section(Section::Identity),
    leaf("sex", Rule::Closed(SEXES))
        .identity()
        .section(Section::Identity),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
];
