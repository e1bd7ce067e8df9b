//! The rights of every role: kind of record × section × action, and the node's own places.
//!
//! Letters: `r` read and list, `t` title, state and dates alone, `c` create, `e` edit, `x` erase,
//! `v` vote, answer and sign in the own body's name, `p` write occupational profiles,
//! `o` export, `i` import; at places `r` look, `a` administer, `u` invoke, `i` import, `x` erase. A small letter counts in the
//! node's own territory, a capital in every territory. What is not here is denied.

use super::sections::Section;
use super::{Grant, Role};
use Section::{Circumstances, Diary, Frame, Health, Identity, Instruments, Social, Team, Work};

/// A column of the table: a role, for referents with the class of their body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seat {
    Office,
    AccessOperator,
    SocialWorker,
    CaseManager,
    ReferentHealth,
    ReferentWork,
    ReferentSocial,
    ReferentOther,
    UnitCoordinator,
    DistrictManager,
    PrivacyReferent,
    GcpMember,
    PoliticalTable,
    OperativeTable,
    Evaluator,
    PackCurator,
    NodeAdmin,
    FederationAdmin,
    Auditor,
}

/// Bodies of the health service.
const HEALTH_BODIES: [&str; 4] = ["DSM", "D3D", "DISS", "DPREV"];
/// Bodies that bring into work.
const WORK_BODIES: [&str; 2] = ["CPI", "SIL"];
/// Bodies of the social service.
const SOCIAL_BODIES: [&str; 1] = ["SSD"];

/// Bodies of neither health, work nor the social service.
const OTHER_BODIES: [&str; 7] = ["COR", "FP", "SCU", "ETS", "IMP", "PROV", "COM"];

/// Whether it tells nothing of somebody's health that a body follows them; of one that is not
/// known here it might.
pub(crate) fn tells_no_health(body: &str) -> bool {
    let known = [&WORK_BODIES[..], &SOCIAL_BODIES, &OTHER_BODIES];
    known.iter().any(|bodies| bodies.contains(&body))
}

impl Seat {
    /// Every seat, in the order of the table's columns.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 19] = [
        Self::Office,
        Self::AccessOperator,
        Self::SocialWorker,
        Self::CaseManager,
        Self::ReferentHealth,
        Self::ReferentWork,
        Self::ReferentSocial,
        Self::ReferentOther,
        Self::UnitCoordinator,
        Self::DistrictManager,
        Self::PrivacyReferent,
        Self::GcpMember,
        Self::PoliticalTable,
        Self::OperativeTable,
        Self::Evaluator,
        Self::PackCurator,
        Self::NodeAdmin,
        Self::FederationAdmin,
        Self::Auditor,
    ];

    /// The seat that a grant gives.
    pub(crate) fn of(grant: &Grant) -> Self {
        match grant.role {
            Role::Office => Self::Office,
            Role::AccessOperator => Self::AccessOperator,
            Role::SocialWorker => Self::SocialWorker,
            Role::CaseManager => Self::CaseManager,
            Role::Referent => match grant.body.as_deref() {
                Some(body) if HEALTH_BODIES.contains(&body) => Self::ReferentHealth,
                Some(body) if WORK_BODIES.contains(&body) => Self::ReferentWork,
                Some(body) if SOCIAL_BODIES.contains(&body) => Self::ReferentSocial,
                _ => Self::ReferentOther,
            },
            Role::UnitCoordinator => Self::UnitCoordinator,
            Role::DistrictManager => Self::DistrictManager,
            Role::PrivacyReferent => Self::PrivacyReferent,
            Role::GcpMember => Self::GcpMember,
            Role::PoliticalTable => Self::PoliticalTable,
            Role::OperativeTable => Self::OperativeTable,
            Role::Evaluator => Self::Evaluator,
            Role::PackCurator => Self::PackCurator,
            Role::NodeAdmin => Self::NodeAdmin,
            Role::FederationAdmin => Self::FederationAdmin,
            Role::Auditor => Self::Auditor,
        }
    }

    /// Whether its rights to write end where another body answers.
    pub(crate) const fn is_of_one_body(self) -> bool {
        matches!(
            self,
            Self::ReferentHealth | Self::ReferentWork | Self::ReferentSocial | Self::ReferentOther
        )
    }

    /// Whether it may see who a specially protected person is.
    pub(crate) const fn serves_protected(self) -> bool {
        matches!(
            self,
            Self::Office | Self::SocialWorker | Self::CaseManager | Self::DistrictManager
        )
    }

    /// The name in the documentation.
    #[cfg(test)]
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Office => "office",
            Self::AccessOperator => "access_operator",
            Self::SocialWorker => "social_worker",
            Self::CaseManager => "case_manager",
            Self::ReferentHealth => "referent DSM, D3D, DISS, DPREV",
            Self::ReferentWork => "referent CPI, SIL",
            Self::ReferentSocial => "referent SSD",
            Self::ReferentOther => "referent of another body",
            Self::UnitCoordinator => "unit_coordinator",
            Self::DistrictManager => "district_manager",
            Self::PrivacyReferent => "privacy_referent",
            Self::GcpMember => "gcp_member",
            Self::PoliticalTable => "political_table",
            Self::OperativeTable => "operative_table",
            Self::Evaluator => "evaluator",
            Self::PackCurator => "pack_curator",
            Self::NodeAdmin => "node_admin",
            Self::FederationAdmin => "federation_admin",
            Self::Auditor => "auditor",
        }
    }
}

/// Something of the node that is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The merged view and its page.
    Overview,
    /// The node and its store.
    Status,
    /// The event stream; what comes through it is decided event by event.
    Events,
    /// The description of the API.
    Description,
    /// Peers and what they are sent.
    Peers,
    /// Refused entries, without their content.
    Quarantine,
    /// The content of refused entries.
    Evidence,
    /// Erasures and their receipts.
    Erasures,
    /// The audit log.
    Audit,
    /// Emergency access.
    Emergency,
    /// Importing files; what is in them is decided line by line.
    Import,
    /// Accounts, tokens, invitations: on the socket of this machine alone.
    Machine,
}

impl Place {
    /// Every place.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 12] = [
        Self::Overview,
        Self::Status,
        Self::Events,
        Self::Description,
        Self::Peers,
        Self::Quarantine,
        Self::Evidence,
        Self::Erasures,
        Self::Audit,
        Self::Emergency,
        Self::Import,
        Self::Machine,
    ];

    /// The name in refusals and the documentation.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Status => "status",
            Self::Events => "events",
            Self::Description => "description",
            Self::Peers => "peers",
            Self::Quarantine => "quarantine",
            Self::Evidence => "evidence",
            Self::Erasures => "erasures",
            Self::Audit => "audit",
            Self::Emergency => "emergency",
            Self::Import => "import",
            Self::Machine => "machine",
        }
    }
}

/// Rights by seat, in the order of `Seat::ALL`.
type Rights = [&'static str; 19];

/// A row of the table.
type Row = (&'static str, Section, Rights);

// office, access_operator, social_worker, case_manager, referents (health, work, social, other),
// unit_coordinator, district_manager, privacy_referent | gcp_member, political_table, operative_table,
// evaluator, pack_curator | node_admin, federation_admin, auditor
#[rustfmt::skip]
pub(crate) const TABLE: &[Row] = &[
    ("project",      Frame,    ["RCEXOI", "r",  "rceo", "rceo", "r",  "r",  "r",  "r", "rce",  "rcexoi", "", "RO", "",  "",  "",  "",      "", "", ""]),
    ("project",      Social,   ["RCEXOI", "",   "re" ,  "re" ,  "r",  "t",  "re", "",  "r",    "ri" ,    "", "R" , "",  "",  "",  "",      "", "", ""]),
    ("project",      Health,   ["RCEXOI", "",   "t",    "t",    "re", "",   "t",  "",  "t",    "ti" ,    "", "T",  "",  "",  "",  "",      "", "", ""]),
    ("project",      Work,     ["RCEXOI", "",   "r",    "re" ,  "r",  "re", "r",  "",  "r",    "ri" ,    "", "R" , "",  "",  "",  "",      "", "", ""]),
    ("project",      Instruments, ["RCEXOI", "", "re",  "re",   "re", "re", "re", "",  "r",    "ri",    "", "R",  "",  "",  "",  "",      "", "", ""]),
    ("project",      Team,     ["RCEXOI", "",   "re" ,  "re" ,  "rev","tv", "rev","rv","re",   "ri" ,    "", "R" , "",  "",  "",  "",      "", "", ""]),
    ("project",      Circumstances, ["RCEXOI", "r", "re", "re",  "r",  "",   "re", "",  "re",   "ri",    "", "R",  "",  "",  "",  "",      "", "", ""]),
    ("person",       Frame,    ["RCEXOI", "rce","rce",  "rce",  "r",  "",   "r",  "",  "r",    "rcexoi", "", "",   "",  "",  "",  "",      "", "", ""]),
    ("person",       Identity, ["RCEXOI", "re", "re",   "re",   "r",  "",   "r",  "",  "r",    "rei",   "", "",   "",  "",  "",  "",      "", "", ""]),
    ("household",    Frame,    ["RCEXOI", "rce","rce",  "rce",  "r",  "",   "r",  "",  "r",    "rcexoi", "", "",   "",  "",  "",  "",      "", "", ""]),
    ("household",    Identity, ["RCEXOI", "re", "re",   "re",   "r",  "",   "r",  "",  "r",    "rei",   "", "",   "",  "",  "",  "",      "", "", ""]),
    ("casefile",     Frame,    ["RCEXOI", "",   "rce",  "rce",  "r",  "t",  "r",  "",  "t",    "rxoi",   "", "",   "",  "",  "",  "",      "", "", ""]),
    ("casefile",     Social,   ["RCEXOI", "",   "re",   "re",   "r",  "",   "re", "",  "",     "ri" ,    "", "",   "",  "",  "",  "",      "", "", ""]),
    ("casefile",     Health,   ["RCEXOI", "",   "t",    "t",    "re", "",   "t",  "",  "",     "ti" ,    "", "",   "",  "",  "",  "",      "", "", ""]),
    ("casefile",     Work,     ["RCEXOI", "",   "re",   "re",   "re", "rp", "r",  "",  "r",    "ri" ,    "", "",   "",  "",  "",  "",      "", "", ""]),
    ("casefile",     Diary,    ["RCEXOI", "",   "re",   "re",   "",   "",   "",   "",  "",     "i" ,     "", "",   "",  "",  "",  "",      "", "", ""]),
    ("contact",      Frame,    ["RCEXOI", "rce","rce",  "rce",  "",   "",   "r",  "",  "r",    "rcexoi", "", "",   "",  "",  "",  "",      "", "", ""]),
    ("resource",     Frame,    ["RCEXOI", "Rce","Rce",  "Rce",  "R",  "R",  "R",  "R", "Rcex", "Rcexoi", "R","RO", "R", "R", "R", "R",     "", "", ""]),
    ("activity",     Frame,    ["RCEXOI", "r",  "rce",  "rce",  "r",  "r",  "r",  "r", "rce",  "rcexoi", "", "RO", "",  "",  "R", "",      "", "", ""]),
    ("transfer",     Frame,    ["RCEXOI", "",   "R",    "Rce",  "",   "",   "",   "",  "R",    "Rceo",   "", "",   "",  "",  "",  "",      "", "", ""]),
    ("erasure_order", Frame,   ["RCEXOI", "",   "",     "",     "",   "",   "",   "",  "",     "ro",     "r", "R", "",  "",  "",  "",      "", "", ""]),
    ("publication",  Frame,    ["RCEXOI", "r",  "r",    "r",    "r",  "r",  "r",  "r", "r",    "rceo",   "r","RO", "R", "R", "R", "",      "r","r",""]),
    ("notice",       Frame,    ["RCEXOI", "",   "R",    "R",    "",   "",   "R",  "",  "R",    "R",      "R","RO", "",  "",  "",  "",      "", "", ""]),
    ("guideline",    Frame,    ["RCEXOI", "R",  "R",    "R",    "R",  "R",  "R",  "R", "R",    "RO",     "R","Rceo","R","R", "R", "Rcexoi","R","R",""]),
    ("organisation", Frame,    ["RCEXOI", "R",  "Rce",  "Rce",  "R",  "R",  "R",  "R", "Rce",  "Rcexoi", "R","RO", "R", "R", "R", "R",     "R","R",""]),
];

#[rustfmt::skip]
pub(crate) const PLACES: &[(Place, Rights)] = &[
    (Place::Overview,    ["r",  "r", "r", "r", "r", "r", "r", "r", "r", "r",  "r", "r", "r", "r", "r", "r", "r",  "r",  ""]),
    (Place::Status,      ["r",  "r", "r", "r", "r", "r", "r", "r", "r", "r",  "r", "r", "r", "r", "r", "r", "r",  "r",  "r"]),
    (Place::Events,      ["r",  "r", "r", "r", "r", "r", "r", "r", "r", "r",  "r", "r", "r", "r", "r", "r", "r",  "r",  "r"]),
    (Place::Description, ["r",  "r", "r", "r", "r", "r", "r", "r", "r", "r",  "r", "r", "r", "r", "r", "r", "r",  "r",  "r"]),
    (Place::Peers,       ["ra", "",  "",  "",  "",  "",  "",  "",  "r", "r",  "",  "r", "",  "",  "",  "",  "ra", "ra", ""]),
    (Place::Quarantine,  ["ra", "",  "",  "",  "",  "",  "",  "",  "",  "r",  "",  "",  "",  "",  "",  "",  "ra", "r",  "r"]),
    (Place::Evidence,    ["r",  "",  "",  "",  "",  "",  "",  "",  "",  "",   "",  "",  "",  "",  "",  "",  "",   "",   ""]),
    (Place::Erasures,    ["rx", "",  "",  "",  "",  "",  "",  "",  "",  "rx", "r", "",  "",  "",  "",  "",  "r",  "r",  "r"]),
    (Place::Audit,       ["r",  "",  "",  "",  "",  "",  "",  "",  "",  "",   "r", "",  "",  "",  "",  "",  "",   "",   "r"]),
    (Place::Emergency,   ["ru", "u", "u", "u", "u", "",  "u", "",  "u", "ru", "r", "",  "",  "",  "",  "",  "",   "",   ""]),
    (Place::Import,      ["i",  "",  "",  "",  "",  "",  "",  "",  "",  "i",  "",  "",  "",  "",  "",  "i", "",   "",   ""]),
    (Place::Machine,     ["ra", "",  "",  "",  "",  "",  "",  "",  "",  "",   "",  "",  "",  "",  "",  "",  "",   "",   ""]),
];

/// The letters of a seat for a section of a kind; none where no row says any.
pub(crate) fn on(kind: &str, section: Section, seat: Seat) -> &'static str {
    let row = TABLE
        .iter()
        .find(|(named, part, _)| *named == kind && *part == section);
    row.map_or("", |(_, _, rights)| rights[seat as usize])
}

/// The letters of a seat at a place.
pub(crate) fn at(place: Place, seat: Seat) -> &'static str {
    let row = PLACES.iter().find(|(named, _)| *named == place);
    row.map_or("", |(_, rights)| rights[seat as usize])
}
