//! What each route needs, and the refusal of who may not: the edge's one way to the decision.
//!
//! A route that the list does not name is refused, and so is a method that it does not name. A
//! refusal is written to the audit log. What of a record goes out is decided in `records`, what comes in
//! in `changes`.

mod changes;
mod own_name;
mod records;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use raccordo_config::Role as NodeRole;
use raccordo_crdt_model::{DocumentId, Filled, Kind};
use serde_json::json;

pub(crate) use self::changes::*;
pub(crate) use self::records::*;
use crate::access::{Action, Decision, Part, Place, Reason, Section, Subject, decide};
use crate::engine::Principal;
use crate::http::Shared;
use crate::http::problem::ApiError;

/// What a route needs before its handler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// To be signed in.
    Anyone,
    At(Place, Action),
    /// Of the kind in the address; the handler asks again about the record.
    Kind(Action),
    /// Of one kind.
    Of(Kind, Action),
    /// The opening page: the overview at a coordination, projects at a district.
    Home,
    /// Records of the kind that the query names; the handler asks.
    Asked,
}

use Need::{Anyone, Asked, At, Home, Of};

/// Every route behind a sign-in.
#[rustfmt::skip]
pub(crate) const NEEDS: &[(&str, &str, Need)] = &[
    ("GET",    "/api/v1/overview",                At(Place::Overview, Action::Read)),
    ("GET",    "/api/v1/status",                  At(Place::Status, Action::Read)),
    ("GET",    "/api/v1/events",                  At(Place::Events, Action::Read)),
    ("POST",   "/api/v1/import",                  At(Place::Import, Action::Import)),
    ("GET",    "/api/v1/export",                  Asked),
    ("GET",    "/api/v1/openapi.json",            At(Place::Description, Action::Read)),
    ("GET",    "/api/v1/peers",                   At(Place::Peers, Action::Read)),
    ("GET",    "/api/v1/peers/pending",           At(Place::Peers, Action::Read)),
    ("GET",    "/api/v1/peers/{id}/{verb}",       At(Place::Peers, Action::Read)),
    ("POST",   "/api/v1/peers/{id}/{verb}",       At(Place::Peers, Action::Administer)),
    ("POST",   "/api/v1/recovery",                At(Place::Quarantine, Action::Administer)),
    ("GET",    "/api/v1/quarantine",              At(Place::Quarantine, Action::Read)),
    ("GET",    "/api/v1/quarantine/{id}",         At(Place::Quarantine, Action::Read)),
    ("POST",   "/api/v1/quarantine/{id}/{verb}",  At(Place::Quarantine, Action::Administer)),
    ("GET",    "/api/v1/equivocations",           At(Place::Quarantine, Action::Read)),
    ("GET",    "/api/v1/erasures",                At(Place::Erasures, Action::Read)),
    ("POST",   "/api/v1/erasures",                At(Place::Erasures, Action::Erase)),
    ("GET",    "/api/v1/erasures/proposals",      Of(Kind::Person, Action::List)),
    ("GET",    "/api/v1/erasures/{id}/certificate", At(Place::Erasures, Action::Read)),
    ("POST",   "/api/v1/publish",                 Of(Kind::Publication, Action::Edit)),
    ("GET",    "/api/v1/overlaps",                Of(Kind::Notice, Action::List)),
    ("GET",    "/api/v1/persons/{id}/duplicates", Of(Kind::Person, Action::Read)),
    ("POST",   "/api/v1/persons/{id}/merge",      Of(Kind::Person, Action::Edit)),
    ("GET",    "/api/v1/persons/{id}/offered",    Of(Kind::Person, Action::Read)),
    ("GET",    "/api/v1/audit",                   At(Place::Audit, Action::Read)),
    ("GET",    "/api/v1/audit/verify",            At(Place::Audit, Action::Read)),
    ("GET",    "/api/v1/emergency",               At(Place::Emergency, Action::Read)),
    ("POST",   "/api/v1/emergency",               At(Place::Emergency, Action::Invoke)),
    ("GET",    "/api/v1/{kind}",                  Need::Kind(Action::List)),
    ("POST",   "/api/v1/{kind}",                  Need::Kind(Action::Create)),
    ("GET",    "/api/v1/{kind}/{id}",             Need::Kind(Action::Read)),
    ("PATCH",  "/api/v1/{kind}/{id}",             Need::Kind(Action::Edit)),
    ("DELETE", "/api/v1/{kind}/{id}",             Need::Kind(Action::Erase)),
    ("GET",    "/api/v1/{kind}/{id}/history",     Need::Kind(Action::Read)),
    ("POST",   "/api/v1/transfers/{id}/accept",   Of(Kind::Transfer, Action::Create)),
    ("POST",   "/api/v1/transfers/{id}/refuse",   Of(Kind::Transfer, Action::Create)),
    ("POST",   "/api/v1/transfers/{id}/withdraw", Of(Kind::Transfer, Action::Create)),
    ("POST",   "/api/v1/local/invite",            At(Place::Machine, Action::Administer)),
    ("POST",   "/api/v1/local/join",              At(Place::Machine, Action::Administer)),
    ("GET",    "/api/v1/local/tokens",            At(Place::Machine, Action::Read)),
    ("POST",   "/api/v1/local/tokens",            At(Place::Machine, Action::Administer)),
    ("DELETE", "/api/v1/local/tokens/{name}",     At(Place::Machine, Action::Administer)),
    ("GET",    "/api/v1/local/users",             At(Place::Machine, Action::Read)),
    ("POST",   "/api/v1/local/users",             At(Place::Machine, Action::Administer)),
    ("POST",   "/api/v1/local/users/{name}/{verb}", At(Place::Machine, Action::Administer)),
    ("GET",    "/",                               Home),
    ("GET",    "/guidelines",                     Of(Kind::Guideline, Action::List)),
    ("GET",    "/organisations",                  Of(Kind::Organisation, Action::List)),
    ("GET",    "/records",                        Of(Kind::Project, Action::List)),
    ("GET",    "/records/{id}",                   Of(Kind::Project, Action::Read)),
    ("POST",   "/records/{id}/choose",            Of(Kind::Project, Action::Edit)),
    ("POST",   "/sign-out",                       Anyone),
];

/// Refuses a request that the one who asks may not make, whatever record it is about.
pub(crate) fn enter(
    shared: &Shared,
    principal: &Principal,
    request: &Request,
) -> Result<(), ApiError> {
    let Some(route) = request.extensions().get::<MatchedPath>() else {
        // No route has it: what answers says just that.
        return Ok(());
    };
    let path = request.uri().path();
    let named = || {
        NEEDS
            .iter()
            .filter(|(_, known, _)| *known == route.as_str())
    };
    let method = match *request.method() {
        Method::HEAD => "GET",
        ref other => other.as_str(),
    };
    let Some((_, _, need)) = named().find(|(known, _, _)| *known == method) else {
        return if named().next().is_some() {
            Err(ApiError::no_such_method(method, path))
        } else {
            Err(refusal(
                shared,
                principal,
                "",
                "use",
                What::Address(path),
                Reason::Role,
            ))
        };
    };
    match *need {
        Anyone | Asked => Ok(()),
        At(place, action) => at(shared, principal, place, action),
        Of(kind, action) => somewhere(shared, principal, kind, action),
        Home if shared.engine.role() == NodeRole::Coordination => {
            at(shared, principal, Place::Overview, Action::Read)
        }
        Home => somewhere(shared, principal, Kind::Project, Action::List),
        Need::Kind(action) => {
            // Counted from the end: inside the API the address stands without what led here.
            let after = route
                .as_str()
                .split('/')
                .rev()
                .position(|one| one == "{kind}");
            let plural = after.and_then(|after| path.rsplit('/').nth(after));
            let plural = plural.unwrap_or_default();
            // What is no kind is told so by the handler.
            let Some(kind) = Kind::from_plural(plural) else {
                return Ok(());
            };
            // Some write a single entry where they may not edit a section.
            let writes_entries = action == Action::Edit
                && [Action::Answer, Action::Assess]
                    .iter()
                    .any(|action| anywhere(principal, kind, *action).is_ok());
            if writes_entries {
                return Ok(());
            }
            somewhere(shared, principal, kind, action)
        }
    }
}

/// Whether somebody may do something at a place of the node.
pub(crate) fn may_at(principal: &Principal, place: Place, action: Action) -> bool {
    decide(principal, action, Subject::Place(place)) == Decision::Allow
}

/// Refuses what may not be done at a place of the node.
fn at(
    shared: &Shared,
    principal: &Principal,
    place: Place,
    action: Action,
) -> Result<(), ApiError> {
    match decide(principal, action, Subject::Place(place)) {
        Decision::Allow | Decision::Outline => Ok(()),
        Decision::Deny(reason) => {
            let (verb, what) = (action.word(), What::Place(place));
            Err(refusal(shared, principal, "", verb, what, reason))
        }
    }
}

/// Refuses what may be done with no record of a kind, wherever it belongs.
pub(crate) fn somewhere(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    action: Action,
) -> Result<(), ApiError> {
    let Err(why) = anywhere(principal, kind, action) else {
        return Ok(());
    };
    let reads = matches!(action, Action::Read);
    if reads && why != Reason::Scope && shared.engine.in_emergency(principal) {
        // Which record it is for is decided where the record is read.
        return Ok(());
    }
    let what = What::Kind(kind);
    Err(refusal(shared, principal, "", action.word(), what, why))
}

/// The record that somebody names in order to read it. Who may read none of the kind and was let
/// through for the sake of an emergency hears of every record that it does not open what they would
/// hear without one, whether it is there or not.
pub(crate) async fn named(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    given: &str,
    territory: Option<&str>,
) -> Result<DocumentId, ApiError> {
    let found = shared.engine.resolve(kind, given, territory).await;
    let Err(why) = anywhere(principal, kind, Action::Read) else {
        return Ok(found?);
    };
    match found {
        Ok(id) if shared.engine.emergency_lets_in(principal, id) => Ok(id),
        _ => {
            let (verb, what) = (Action::Read.word(), What::Kind(kind));
            Err(refusal(shared, principal, "", verb, what, why))
        }
    }
}

/// Whether something may be done with any record of a kind.
fn anywhere(principal: &Principal, kind: Kind, action: Action) -> Result<(), Reason> {
    let mut why = Reason::Role;
    let sections = match action {
        // Who edits a section need not edit the frame.
        Action::Edit | Action::Answer | Action::Assess => Section::ALL.as_slice(),
        _ => &[Section::Frame],
    };
    for own in [true, false] {
        for section in sections {
            let part = Part {
                kind: kind.singular(),
                section: *section,
                body: None,
                own,
                protected: false,
            };
            match decide(principal, action, Subject::Part(part)) {
                Decision::Allow | Decision::Outline => return Ok(()),
                Decision::Deny(reason) => why = why.max(reason),
            }
        }
    }
    Err(why)
}

/// What somebody may not do something with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What<'a> {
    /// Records of a kind.
    Kind(Kind),
    /// One record.
    This(Kind),
    /// A section of one, and where it starts.
    Section(Kind, Section, &'a str),
    /// Something of the node that is no record.
    Place(Place),
    /// Something served at an address.
    Address(&'a str),
}

impl What<'_> {
    /// As the audit log and programs get it.
    fn words(self) -> String {
        match self {
            Self::Kind(kind) => kind.plural().to_owned(),
            Self::This(kind) => format!("this {}", kind.singular()),
            Self::Section(kind, Section::Frame, _) => format!("the frame of a {}", kind.singular()),
            Self::Section(kind, section, root) => {
                let (section, kind) = (section.word(), kind.singular());
                format!("the {section} section of a {kind} ({root})")
            }
            Self::Place(place) => place.word().to_owned(),
            Self::Address(path) => path.to_owned(),
        }
    }

    /// Which sentence of the catalogues says it, and with what.
    fn said(self) -> (&'static str, Vec<(&'static str, Filled)>) {
        let code = |family, code| Filled::codes(family, &[code]);
        match self {
            Self::Kind(kind) => ("kind", vec![("kind", code("record", kind.singular()))]),
            Self::This(kind) => ("this", vec![("kind", code("record", kind.singular()))]),
            Self::Section(kind, section, root) => {
                let kind = ("kind", code("record", kind.singular()));
                let section = ("section", code("part", section.word()));
                ("section", vec![kind, section, ("root", Filled::text(root))])
            }
            Self::Place(place) => ("place", vec![("place", code("place", place.word()))]),
            Self::Address(path) => ("address", vec![("address", Filled::text(path))]),
        }
    }
}

/// 403 with what was asked and why not; the audit log hears of it.
pub(crate) fn refusal(
    shared: &Shared,
    principal: &Principal,
    record: &str,
    verb: &str,
    what: What<'_>,
    why: Reason,
) -> ApiError {
    let roles = principal.roles();
    let (variant, mut filled) = what.said();
    filled.extend([
        ("roles", Filled::text(&roles)),
        ("verb", Filled::codes("verb", &[verb])),
        ("why", Filled::codes("reason", &[why.word()])),
    ]);
    let what = what.words();
    let detail = format!("{verb} {what} as {roles}: {}", why.words());
    shared
        .engine
        .observe(&principal.name, "denied", record, &detail);
    ApiError::new(
        StatusCode::FORBIDDEN,
        "not_allowed",
        format!("{roles} may not {verb} {what} here: {}", why.words()),
    )
    .said(variant, filled)
    .member(
        "roles",
        json!(
            principal
                .grants
                .iter()
                .map(|grant| grant.role.word())
                .collect::<Vec<_>>()
        ),
    )
}
