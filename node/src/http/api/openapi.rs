//! The description of the API in `OpenAPI` 3.1, from one table.
//!
//! A test holds the table against the routes, both ways.

use axum::Json;
use raccordo_crdt_model::schema::{CODE_MAX, Field, Node, Rule};
use raccordo_crdt_model::{Audience, Kind};
use serde_json::{Map, Value, json};

/// One operation: method, address, what it does, status of success.
pub(crate) struct Operation {
    /// Lower case.
    pub(crate) method: &'static str,
    /// Below the server's root.
    pub(crate) path: &'static str,
    summary: &'static str,
    success: &'static str,
    body: Option<&'static str>,
    answer: &'static str,
    query: &'static [(&'static str, &'static str)],
}

const JSON: &str = "application/json";
const NO_QUERY: &[(&str, &str)] = &[];
const PLACE: &[(&str, &str)] = &[(
    "territory",
    "where several territories use the same ref, the one that is meant",
)];

const fn operation(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    query: &'static [(&'static str, &'static str)],
) -> Operation {
    Operation {
        method,
        path,
        summary,
        success: "200",
        body: None,
        answer: JSON,
        query,
    }
}

impl Operation {
    const fn creates(mut self) -> Self {
        self.success = "201";
        self
    }

    const fn takes(mut self, media_type: &'static str) -> Self {
        self.body = Some(media_type);
        self
    }

    const fn empty(mut self) -> Self {
        self.success = "204";
        self
    }

    const fn answers(mut self, media_type: &'static str) -> Self {
        self.answer = media_type;
        self
    }
}

/// Every operation of the API that the network sees.
pub(crate) const OPERATIONS: &[Operation] = &[
    operation("get", "/healthz", "The process is alive.", NO_QUERY).answers("text/plain"),
    operation("get", "/readyz", "The node serves; 503 with the reason if not.", NO_QUERY).answers("text/plain"),
    operation("get", "/metrics", "Figures in the Prometheus text format.", NO_QUERY).answers("text/plain"),
    operation(
        "get",
        "/api/v1/overview",
        "The merged view, or one territory's part of it.",
        &[("territory", "only this territory's element")],
    ),
    operation("get", "/api/v1/status", "The node, its store and its peers.", NO_QUERY),
    operation("get", "/api/v1/events", "Server-sent events: record, delivery, peer, overview, overlap, emergency, resync.", NO_QUERY)
        .answers("text/event-stream"),
    operation(
        "post",
        "/api/v1/import",
        "Imports JSON Lines, one operation a line; bad lines are reported, the rest goes in.",
        &[("dry_run", "true: check only, keep nothing"), ("rejects", "all: every refused line, not the first 100")],
    )
    .takes("application/jsonl"),
    operation(
        "get",
        "/api/v1/export",
        "All records of a kind that this node may show, sorted by ref: one create line each, or CSV.",
        &[("kind", "the kind's singular; projects if absent"), ("format", "jsonl or csv")],
    )
    .answers("application/jsonl"),
    operation("get", "/api/v1/openapi.json", "This description.", NO_QUERY),
    operation("get", "/api/v1/peers", "All peers.", NO_QUERY),
    operation("get", "/api/v1/peers/pending", "Peers that wait for approval.", NO_QUERY),
    operation(
        "post",
        "/api/v1/peers/{id}/{verb}",
        "Tells a peer's standing: approve, reject, suspend, resume, confirm (of a district's node that a coordination alone let in: what is for its district is sealed to it too), or revoke with {\"reason\": TEXT}; or narrows what it is sent: scope with {\"territories\": [PATH], \"lanes\": [LANE]}, empty for all; or, of several nodes with its key, chooses one: choose with {\"incarnation\": PREFIX}; or compares every shared document now: verify.",
        NO_QUERY,
    )
    .takes(JSON),
    operation(
        "get",
        "/api/v1/peers/{id}/{verb}",
        "scope: what a peer is sent, what was withdrawn, and what it holds of it.",
        NO_QUERY,
    ),
    operation(
        "post",
        "/api/v1/recovery",
        "Shows records of people again that are held back because the folder was put back or copied: {\"without_peers\": true, \"reason\": TEXT}. Audited; once a peer is reached it ends by itself.",
        NO_QUERY,
    )
    .takes(JSON)
    .empty(),
    operation("get", "/api/v1/quarantine", "Refused entries that wait for an administrator.", NO_QUERY),
    operation(
        "get",
        "/api/v1/quarantine/{id}",
        "One refused command with its signed entries; the id is ORIGIN-LANE-NUMBER.",
        NO_QUERY,
    ),
    operation(
        "post",
        "/api/v1/quarantine/{id}/{verb}",
        "Decides on a refused command: retry, or discard with {\"reason\": TEXT}.",
        NO_QUERY,
    )
    .takes(JSON)
    .empty(),
    operation(
        "get",
        "/api/v1/equivocations",
        "Proofs that an author signed two entries with one number.",
        NO_QUERY,
    ),
    operation("get", "/api/v1/erasures", "What was erased, why where that was said here, and the receipts of every peer; `held`: transfers that their receiver has forgotten and that may not be erased yet.", NO_QUERY),
    operation(
        "post",
        "/api/v1/erasures",
        "Erases a subject for good: {\"subject\": ID, \"reason\": TEXT}, and where a name is not enough kind and territory. Of a person or household also casefiles, contacts and the projects named there. 409 legal_hold or retention where that is forbidden.",
        NO_QUERY,
    )
    .takes(JSON),
    operation(
        "get",
        "/api/v1/erasures/proposals",
        "Records whose period of retention is over; a person decides.",
        NO_QUERY,
    ),
    operation(
        "get",
        "/api/v1/erasures/{id}/certificate",
        "The certificate of an erasure, in Italian and English, by the order's or an erased record's id.",
        NO_QUERY,
    ),
    operation(
        "post",
        "/api/v1/publish",
        "Publishes counts of what stays in the territory, small ones withheld; with {\"level\": \"aggregates\"} every new project and activity stays too, with \"records\" they are shared again.",
        NO_QUERY,
    )
    .takes(JSON),
    operation(
        "get",
        "/api/v1/overlaps",
        "Subjects that projects of several territories have in common, by equal tokens: territories and project ids, no identity. At a district, of its own projects, as the coordination tells.",
        NO_QUERY,
    ),
    operation(
        "get",
        "/api/v1/persons/{id}/duplicates",
        "Other living records that may be of the same person, the surest first, and why.",
        PLACE,
    ),
    operation(
        "post",
        "/api/v1/persons/{id}/merge",
        "Lets the record that {\"into\": ID} names stand for this one; patching `state` back undoes it.",
        PLACE,
    )
    .takes(JSON),
    operation(
        "get",
        "/api/v1/persons/{id}/offered",
        "All that one person was offered, with what was merged into their record: contacts, services, projects, referrals.",
        PLACE,
    ),
    operation(
        "get",
        "/api/v1/{kind}",
        "Lists records, newest change first.",
        &[
            ("territory", "only this territory"),
            ("state", "only this state"),
            ("q", "matches ref, provider and host, ignoring case; of persons fiscal code, ref, or names as spelt or as they sound"),
            ("updated_since", "only records changed at or after this time"),
            ("limit", "items a page, 50 by default, at most 500"),
            ("cursor", "`next` of the page before"),
        ],
    ),
    operation("post", "/api/v1/{kind}", "Creates a record.", NO_QUERY).creates().takes(JSON),
    operation("get", "/api/v1/{kind}/{id}", "One record, by id, unique prefix or ref.", PLACE),
    operation(
        "patch",
        "/api/v1/{kind}/{id}",
        "Changes a record; with If-Match on that version, merged with what came since.",
        PLACE,
    )
    .takes("application/json-patch+json"),
    operation(
        "delete",
        "/api/v1/{kind}/{id}",
        "Erases a record for good, here and at every peer; {\"reason\": TEXT} is needed. Reading it is 410 from then on.",
        PLACE,
    )
    .takes(JSON),
    operation(
        "get",
        "/api/v1/audit",
        "The audit log, newest event first: who did, read or was refused what, and when.",
        &[("record", "only events of this record, by its id"), ("limit", "events a page: 50, at most 500"), ("cursor", "`next` of the page before")],
    ),
    operation("get", "/api/v1/audit/verify", "Follows the whole chain of the audit log and says where it breaks.", NO_QUERY),
    operation("get", "/api/v1/emergency", "Emergencies since this node started, newest first.", NO_QUERY),
    operation(
        "post",
        "/api/v1/emergency",
        "Opens one record to the one who asks, to read: {\"record\": ID, \"reason\": TEXT, \"minutes\": at most 60}. The privacy referent hears of it.",
        NO_QUERY,
    )
    .creates()
    .takes(JSON),
    operation(
        "post",
        "/api/v1/transfers/{id}/accept",
        "Takes an offered project over. Where somebody here has the fiscal code of who arrives, {\"person\": ID or ref} says that it is the same, {\"new_person\": true} that it is not; else it is 409. A transfer is made by POST /api/v1/transfers with {\"project\", \"to\", \"reason\", \"note\", \"expires_on\"}; read, it has a `preview` without identity, and at the receiver while it is offered `already_here`: own people who may be who arrives.",
        NO_QUERY,
    )
    .takes(JSON),
    operation(
        "post",
        "/api/v1/transfers/{id}/refuse",
        "Refuses an offered project, with {\"reason\": TEXT}.",
        NO_QUERY,
    )
    .takes(JSON),
    operation(
        "post",
        "/api/v1/transfers/{id}/withdraw",
        "Asks an offered project back; it is open again once every node of the receiver has confirmed.",
        NO_QUERY,
    ),
    operation("get", "/api/v1/{kind}/{id}/history", "Who changed what, when; oldest first.", PLACE),
];

pub(crate) async fn show() -> Json<Value> {
    Json(document())
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Raccordo",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Records, overview and peers of one node. Times are RFC 3339 UTC, dates ISO 8601, amounts euro.",
            "license": {"name": "EUPL-1.2", "identifier": "EUPL-1.2"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "raccordo_session"},
            },
            "schemas": schemas(),
        },
    })
}

fn described(operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = operation
        .path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let schema = if name == "kind" {
                json!({"type": "string", "enum": Kind::all().map(Kind::plural)})
            } else {
                json!({"type": "string"})
            };
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect();
    for (name, says) in operation.query {
        parameters.push(
            json!({"name": name, "in": "query", "description": says, "schema": {"type": "string"}}),
        );
    }
    if operation.method == "patch" {
        parameters.push(
            json!({"name": "If-Match", "in": "header", "schema": {"type": "string"},
            "description": "the ETag of the version that was edited; unknown here: 412"}),
        );
    }
    let mut responses = Map::new();
    let answer = if is_record(operation) {
        any_record()
    } else {
        json!({})
    };
    responses.insert(
        operation.success.to_owned(),
        json!({"description": operation.summary, "content": {operation.answer: answer}}),
    );
    responses.insert(
        "default".to_owned(),
        json!({"description": "Refused; `code` is stable.",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}),
    );
    let mut out =
        json!({"summary": operation.summary, "parameters": parameters, "responses": responses});
    if let Some(media_type) = operation.body {
        out["requestBody"] = json!({"required": true, "content": {media_type: {}}});
    }
    if !operation.path.starts_with("/api/") {
        out["security"] = json!([]);
    }
    out
}

/// Whether it answers with one record.
fn is_record(operation: &Operation) -> bool {
    match operation.path {
        "/api/v1/{kind}" => operation.method == "post",
        "/api/v1/{kind}/{id}" => matches!(operation.method, "get" | "patch"),
        _ => false,
    }
}

fn any_record() -> Value {
    let each = Kind::all().map(|kind| reference(kind.singular()));
    json!({"schema": {"anyOf": each}})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The shapes of every kind, from the table, and of what goes with them.
fn schemas() -> Map<String, Value> {
    let mut out = Map::new();
    for kind in Kind::all() {
        let mut schema = object(kind.fields());
        schema["properties"]["_meta"] = reference("Meta");
        schema["x-audience"] = json!(audience(kind.audience()));
        out.insert(kind.singular().to_owned(), schema);
    }
    out.insert("Problem".to_owned(), problem());
    out.insert("Meta".to_owned(), meta());
    out
}

fn audience(audience: Audience) -> &'static str {
    match audience {
        Audience::Home => "home territory and its coordination",
        Audience::Territory => "home territory",
        Audience::Everyone => "everyone",
        Audience::Parties => "home territory, the territory it is for, their coordinations",
    }
}

fn object(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let schema = match &field.node {
            Node::Group(inner) => object(inner),
            Node::Keyed(entity) => {
                json!({"type": "object", "additionalProperties": object(entity.fields)})
            }
            Node::Leaf(rule) => value(rule),
        };
        properties.insert(field.name.to_owned(), schema);
    }
    let required: Vec<_> = fields.iter().filter(|field| field.required).collect();
    let mut out = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        out["required"] = required.iter().map(|field| json!(field.name)).collect();
    }
    out
}

/// What a field's value may be; any may also be null.
fn value(rule: &Rule) -> Value {
    let code = |known: &[&str]| match known {
        [] => json!({"type": ["string", "null"], "maxLength": CODE_MAX}),
        known => json!({"type": ["string", "null"], "maxLength": CODE_MAX, "examples": known}),
    };
    match rule {
        Rule::Text(max) => json!({"type": ["string", "null"], "maxLength": max}),
        Rule::Closed(codes) => {
            let codes: Vec<Value> = codes
                .iter()
                .map(|code| json!(code))
                .chain([Value::Null])
                .collect();
            json!({"enum": codes})
        }
        Rule::Open(known) => code(known),
        Rule::Codes(known) => json!({"type": ["array", "null"], "items": code(known)}),
        Rule::Municipality => json!({"type": ["string", "null"], "pattern": "^[0-9]{6}$"}),
        Rule::Date => json!({"type": ["string", "null"], "format": "date"}),
        Rule::Money => json!({"type": ["number", "null"], "minimum": 0, "multipleOf": 0.01}),
        Rule::Whole(min, max) => {
            json!({"type": ["integer", "null"], "minimum": min, "maximum": max})
        }
        Rule::Number(max) => json!({"type": ["number", "null"], "minimum": 0, "maximum": max}),
        Rule::Flag => json!({"type": ["boolean", "null"]}),
        Rule::FiscalCode => {
            json!({"type": ["string", "null"], "pattern": "^[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]$"})
        }
        Rule::Outcome(known) => json!({"type": ["object", "null"], "required": ["code", "on"],
            "properties": {"code": code(known), "on": {"type": "string", "format": "date"}}}),
    }
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
            "code": {"type": "string"}, "detail": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object", "properties": {
                "pointer": {"type": "string"}, "code": {"type": "string"}, "detail": {"type": "string"},
                "rule": {"type": "string"}}}},
        },
    })
}

fn meta() -> Value {
    let text = json!({"type": "string"});
    let compared = json!({"type": "array", "items": {"type": "object", "properties": {
        "path": text, "shown": {}, "rivals": {"type": "array"}}}});
    json!({
        "type": "object",
        "properties": {
            "id": text, "kind": text, "territory": text, "etag": text, "created_at": text, "updated_at": text,
            "updated_by": {"type": ["string", "null"]},
            "delivery": {"type": "object", "properties": {
                "state": {"enum": ["saved", "queued", "delivered", "seen"]}, "queued": {"type": "integer"},
                "delivered_at": {"type": ["string", "null"]}, "seen_by": {"type": "array", "items": text},
                "seen_at": {"type": ["string", "null"]}}},
            "conflicts": compared, "overwritten": compared,
            "left_out": {"type": "object", "additionalProperties": {"type": "integer"}, "description": "how many entries of a section are kept to others, such as restricted notes, by the pointer of the section; absent if there are none"},
            "withheld": {"type": "array", "items": text, "description": "pointers of sections that the one who asks may not see whole; absent if there are none"},
            "flags": {"type": "array", "items": {"type": "object", "properties": {"code": text, "path": text}}},
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_described_and_every_description_is_a_route() {
        let source = include_str!("../mod.rs");
        let (api, open) = source.split_once("fn pages").unwrap();
        let routes = |part: &'static str, prefix: &'static str| {
            part.split(".route(")
                .skip(1)
                .map(move |rest| format!("{prefix}{}", rest.split('"').nth(1).unwrap()))
                .filter(|path| !path.contains("/local/"))
        };
        let pages = [
            "/",
            "/guidelines",
            "/organisations",
            "/records",
            "/records/{id}",
            "/records/{id}/choose",
            "/sign-in",
            "/sign-out",
            "/assets/{name}",
        ];
        let routed: BTreeSet<String> = routes(api, "/api/v1")
            .chain(routes(open, "").filter(|path| !pages.contains(&path.as_str())))
            .collect();
        let described: BTreeSet<String> = OPERATIONS
            .iter()
            .map(|operation| operation.path.to_owned())
            .collect();
        assert_eq!(routed, described);
    }

    #[test]
    fn every_kind_is_described_with_every_field_of_its_table() {
        let document = document();
        for kind in Kind::all() {
            let schema = &document["components"]["schemas"][kind.singular()];
            for field in kind.fields() {
                assert!(
                    schema["properties"][field.name].is_object(),
                    "{}",
                    field.name
                );
            }
        }
        let vouchers = &document["components"]["schemas"]["project"]["properties"]["vouchers"];
        let spent = &vouchers["additionalProperties"]["properties"]["spent"];
        assert!(spent["additionalProperties"]["properties"]["amount_eur"].is_object());
        let plural =
            &document["paths"]["/api/v1/{kind}"]["post"]["parameters"][0]["schema"]["enum"];
        assert_eq!(plural.as_array().map(Vec::len), Some(Kind::all().len()));
    }

    #[test]
    fn each_operation_names_its_parameters_and_its_refusals() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        let patch = &document["paths"]["/api/v1/{kind}/{id}"]["patch"];
        let names: Vec<_> = patch["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].clone())
            .collect();
        assert_eq!(names, ["kind", "id", "territory", "If-Match"]);
        assert!(patch["responses"]["default"]["content"]["application/problem+json"].is_object());
        assert_eq!(document["paths"]["/healthz"]["get"]["security"], json!([]));
    }
}
