//! Who may do what: one pure decision, denied unless the table says otherwise.
//!
//! Roles are those of the offices (`docs/access.md`); the rights of each stand in one table,
//! [`table`], by kind of record, section and action. The API, the pages and the event stream ask
//! here and nowhere else. Knows no request, no store and no clock.

pub(crate) mod changes;
pub(crate) mod entries;
pub(crate) mod own_name;
pub(crate) mod reading;
pub(crate) mod sections;
pub(crate) mod table;
#[cfg(test)]
mod tests;

pub(crate) use reading::Reading;
pub(crate) use sections::Section;
pub(crate) use table::{Place, Seat};

/// What a person or program is to the office.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// All of the district's case content and its administration: programs of the office.
    Office,
    /// The access desk.
    AccessOperator,
    /// Social worker of the district.
    SocialWorker,
    /// Who follows a project as a whole.
    CaseManager,
    /// Who stands for a body in the team; what it may do depends on the body.
    Referent,
    /// Coordinator of the integrated territorial unit.
    UnitCoordinator,
    /// Who answers for the district.
    DistrictManager,
    /// Privacy: who read what, emergencies, erasures; no case content.
    PrivacyReferent,
    /// Member of the provincial coordination group.
    GcpMember,
    /// Technical-political table: aggregates alone.
    PoliticalTable,
    /// Technical-operative table.
    OperativeTable,
    /// Evaluator of the programme.
    Evaluator,
    /// Writes what the coordination publishes.
    PackCurator,
    /// Administers the node; sees no case content.
    NodeAdmin,
    /// Administers the federation's members; sees no case content.
    FederationAdmin,
    /// Reads the logs alone.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 16] = [
        Self::Office,
        Self::AccessOperator,
        Self::SocialWorker,
        Self::CaseManager,
        Self::Referent,
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

    /// The identifier in commands, in the API and on the disk.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Office => "office",
            Self::AccessOperator => "access_operator",
            Self::SocialWorker => "social_worker",
            Self::CaseManager => "case_manager",
            Self::Referent => "referent",
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

    /// The role with this identifier.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// A role, and for whom it is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The body of a referent (`DSM`, `CPI`, …); of others for information alone.
    pub body: Option<String>,
}

/// What a token is good for, within the rights of its roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Looking.
    Read,
    /// Creating, changing, erasing records one by one.
    Write,
    /// Importing files.
    Import,
    /// Exporting whole kinds.
    Export,
    /// Administering peers and refused entries.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::Write,
        Self::Import,
        Self::Export,
        Self::Admin,
    ];

    /// The identifier.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Import => "import",
            Self::Export => "export",
            Self::Admin => "admin",
        }
    }

    /// The scope with this identifier.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.word() == word)
    }
}

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Name of the account, the token or the local socket's user; shown as the author of a change.
    pub name: String,
    /// Its roles; none may do nothing.
    pub grants: Vec<Grant>,
    /// What it is good for; empty for all that its roles may.
    pub scopes: Vec<Scope>,
}

impl Principal {
    /// Somebody with every right of the office: the local socket, and tokens made without a role.
    pub fn office(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            grants: vec![Grant {
                role: Role::Office,
                body: None,
            }],
            scopes: Vec::new(),
        }
    }

    /// Whether nothing of the office's is kept from it.
    pub(crate) fn is_office(&self) -> bool {
        self.grants.iter().any(|grant| grant.role == Role::Office)
    }

    /// The roles in words, for a refusal and the audit log.
    pub(crate) fn roles(&self) -> String {
        let words = self.grants.iter().map(|grant| match &grant.body {
            Some(body) => format!("{} ({body})", grant.role.word()),
            None => grant.role.word().to_owned(),
        });
        let all: Vec<String> = words.collect();
        if all.is_empty() {
            "nobody's role".to_owned()
        } else {
            all.join(", ")
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// One record or section, its history included; at a place: looking at it.
    Read,
    /// Records of a kind.
    List,
    Create,
    Edit,
    /// In the own body's name: a vote, the answer to a referral, a signature.
    Answer,
    /// An assessment of a kind that is not the health section's alone.
    Assess,
    Erase,
    Export,
    Import,
    /// At a place: deciding there. Never about content.
    Administer,
    /// At the place of emergencies: opening one.
    Invoke,
}

impl Action {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Create => "create",
            Self::Edit => "edit",
            Self::Answer => "answer",
            Self::Assess => "assess",
            Self::Erase => "erase",
            Self::Export => "export",
            Self::Import => "import",
            Self::Administer => "administer",
            Self::Invoke => "invoke",
        }
    }

    /// The scope that a token needs.
    const fn scope(self) -> Scope {
        match self {
            Self::Read | Self::List => Scope::Read,
            // An emergency is not a look: it makes a right that was not there.
            Self::Create
            | Self::Edit
            | Self::Answer
            | Self::Assess
            | Self::Erase
            | Self::Invoke => Scope::Write,
            Self::Export => Scope::Export,
            Self::Import => Scope::Import,
            Self::Administer => Scope::Admin,
        }
    }
}

/// What it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject<'a> {
    /// A section of records of a kind.
    Part(Part<'a>),
    /// Something of the node that is no record.
    Place(Place),
}

/// A section of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// Singular.
    pub(crate) kind: &'a str,
    pub(crate) section: Section,
    /// The body that answers for the section, where it has one.
    pub(crate) body: Option<&'a str>,
    /// Whether the record belongs to this node's territory.
    pub(crate) own: bool,
    /// Whether the record is of a specially protected person, or of a household with one.
    pub(crate) protected: bool,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    /// Title, state and dates alone.
    Outline,
    Deny(Reason),
}

/// Why not, the most telling last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// No role has the right.
    Role,
    /// The right ends at the own territory.
    Territory,
    /// Another body answers for the section.
    Body,
    /// The person is specially protected.
    Protected,
    /// The note is kept to its author and the case manager.
    Restricted,
    /// Only who wrote it changes it.
    Author,
    /// It is given in the name of another body.
    Voice,
    /// The token is not good for it.
    Scope,
}

impl Reason {
    /// The code, for the catalogues of words.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Territory => "territory",
            Self::Body => "body",
            Self::Protected => "protected",
            Self::Restricted => "restricted",
            Self::Author => "author",
            Self::Voice => "voice",
            Self::Scope => "scope",
        }
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Role => "the role does not include it",
            Self::Territory => "the role includes it in this node's own territory alone",
            Self::Body => "another body answers for this section",
            Self::Protected => "the person is specially protected",
            Self::Restricted => "a restricted note is its author's and the case managers'",
            Self::Author => "only who wrote it changes it: add another entry",
            Self::Voice => {
                "votes, signatures and answers are each body's own, given once: its referent gives them"
            }
            Self::Scope => "the token's scopes do not include it",
        }
    }
}

/// Whether somebody may do something: the best that any of the roles allows.
pub(crate) fn decide(principal: &Principal, action: Action, subject: Subject<'_>) -> Decision {
    if !principal.scopes.is_empty() && !principal.scopes.contains(&action.scope()) {
        return Decision::Deny(Reason::Scope);
    }
    let mut best = Decision::Deny(Reason::Role);
    for grant in &principal.grants {
        let decision = match subject {
            Subject::Place(place) => at_place(grant, action, place),
            Subject::Part(part) => on_part(grant, action, part),
        };
        best = better(best, decision);
    }
    best
}

/// The bodies that somebody may do something in the name of.
pub(crate) fn bodies<'a>(principal: &'a Principal, action: Action, part: Part<'_>) -> Vec<&'a str> {
    if !principal.scopes.is_empty() && !principal.scopes.contains(&action.scope()) {
        return Vec::new();
    }
    let may = |grant: &&Grant| on_part(grant, action, part) == Decision::Allow;
    let grants = principal.grants.iter().filter(may);
    grants.filter_map(|grant| grant.body.as_deref()).collect()
}

/// Whether somebody may know who a specially protected person is.
pub(crate) fn knows_protected(principal: &Principal) -> bool {
    let mut grants = principal.grants.iter();
    grants.any(|grant| Seat::of(grant).serves_protected())
}

/// Whether somebody may read the frame of records of a kind in the own territory, for whoever
/// measures what the decision costs.
#[cfg(feature = "testing")]
pub fn may_read(principal: &Principal, kind: &str) -> bool {
    let part = Part {
        kind,
        section: Section::Frame,
        body: None,
        own: true,
        protected: false,
    };
    decide(principal, Action::Read, Subject::Part(part)) == Decision::Allow
}

fn better(one: Decision, other: Decision) -> Decision {
    match (one, other) {
        (Decision::Allow, _) | (_, Decision::Allow) => Decision::Allow,
        (Decision::Outline, _) | (_, Decision::Outline) => Decision::Outline,
        (Decision::Deny(one), Decision::Deny(other)) => Decision::Deny(one.max(other)),
    }
}

fn at_place(grant: &Grant, action: Action, place: Place) -> Decision {
    let letter = match action {
        Action::Read | Action::List => 'r',
        Action::Administer => 'a',
        Action::Invoke => 'u',
        Action::Import => 'i',
        Action::Erase => 'x',
        Action::Create | Action::Edit | Action::Answer | Action::Assess | Action::Export => {
            return Decision::Deny(Reason::Role);
        }
    };
    if table::at(place, Seat::of(grant)).contains(letter) {
        Decision::Allow
    } else {
        Decision::Deny(Reason::Role)
    }
}

fn on_part(grant: &Grant, action: Action, part: Part<'_>) -> Decision {
    let seat = Seat::of(grant);
    let letter = match action {
        Action::Read | Action::List => 'r',
        Action::Create => 'c',
        Action::Edit => 'e',
        Action::Answer => 'v',
        Action::Assess => 'p',
        Action::Erase => 'x',
        Action::Export => 'o',
        Action::Import => 'i',
        Action::Administer | Action::Invoke => return Decision::Deny(Reason::Role),
    };
    let rights = table::on(part.kind, part.section, seat);
    let granted = |letter: char| {
        rights.contains(letter.to_ascii_uppercase()) || (part.own && rights.contains(letter))
    };
    // Who does not know whom it is about changes nothing of it: a merge or its undoing would open it.
    let looks = matches!(action, Action::Read | Action::List | Action::Export);
    if part.protected && (part.section == Section::Identity || !looks) && !seat.serves_protected() {
        return Decision::Deny(Reason::Protected);
    }
    if granted(letter) {
        let writes = matches!(action, Action::Create | Action::Edit | Action::Import);
        let other_body = part
            .body
            .is_some_and(|body| seat.is_of_one_body() && grant.body.as_deref() != Some(body));
        return if writes && other_body {
            Decision::Deny(Reason::Body)
        } else {
            Decision::Allow
        };
    }
    if letter == 'r' && granted('t') {
        return Decision::Outline;
    }
    let elsewhere =
        !part.own && (rights.contains(letter) || (letter == 'r' && rights.contains('t')));
    Decision::Deny(if elsewhere {
        Reason::Territory
    } else {
        Reason::Role
    })
}
