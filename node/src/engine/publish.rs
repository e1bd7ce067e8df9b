//! What a district publishes: whether its projects are shared or aggregates alone, and counts of what
//! does not leave it.
//!
//! The fact is a record of its own, signed as every entry is. Small counts are withheld here, before
//! anything goes, and others with them. Counted is only what the coordination holds no record of:
//! beside records that it has, a total would tell a withheld count by subtraction.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use raccordo_crdt_model::command::Pointer;
use raccordo_crdt_model::schema::KEY_MAX;
use raccordo_crdt_model::suppress::{self, SMALLEST_SHOWN};
use raccordo_crdt_model::{Audience, DocumentId, Kind, Patch, Problem, Rejected};
use serde_json::{Map, Value, json};

use super::Engine;
use super::core::{Core, ReadFailed};
use super::days;
use super::draft::Draft;
use super::local;
use super::read;
use super::scope::LANE_TERRITORY;
use super::task::{Command, Done};
use super::view::{CommandFailed, Principal, Published, RecordView};

/// The state in which every new project stays in the territory.
const AGGREGATES: &str = "aggregates";
/// The row or column of sums.
const SUM: &str = "*";

/// A publication's `counts`, by key.
pub(crate) type Counts = BTreeMap<String, Value>;

impl Engine {
    /// Publishes counts as of now, and with `level` (`records`, `aggregates`) what is shared from
    /// now on.
    pub async fn publish(
        &self,
        level: Option<&str>,
        by: &Principal,
    ) -> Result<RecordView, CommandFailed> {
        let level = level.map(str::to_owned);
        let counts = self.read(|core| Ok(counted(core)?)).await?;
        let by = by.name.clone();
        let done = self
            .hand
            .submit(Command::Publish(PublishCommand { level, counts, by }))
            .await?;
        let Done::Record(id) = done else {
            return Err(CommandFailed::Stopping);
        };
        self.record(Kind::Publication, id).await
    }
}

/// What is published from now on, with counts as of now.
#[derive(Debug)]
pub(crate) struct PublishCommand {
    /// `records` or `aggregates`; as before without one.
    pub(crate) level: Option<String>,
    pub(crate) counts: Counts,
    pub(crate) by: String,
}

/// Writes the fact and the counts.
pub(crate) fn execute(
    draft: &mut Draft<'_>,
    command: PublishCommand,
) -> Result<Done, CommandFailed> {
    let PublishCommand { level, counts, by } = command;
    let level = level.as_deref();
    let today = days::date(draft.now_ms);
    let own = own(draft.core)?;
    let Some(first) = own.first() else {
        let state = level.unwrap_or("records");
        let fields = json!({"state": state, "since": today, "counted_on": today,
            "smallest": SMALLEST_SHOWN, "sharing": "shared", "counts": counts});
        return local::create(draft, Kind::Publication, &fields, &by);
    };
    for id in &own {
        let document = draft.document(*id)?;
        let fields = document.map_or(Value::Null, |document| document.record().fields);
        let mut steps = Vec::new();
        if let Some(level) = level.filter(|level| fields["state"] != json!(level)) {
            steps.push(json!({"op": "add", "path": "/state", "value": level}));
            steps.push(json!({"op": "add", "path": "/since", "value": today}));
        }
        if id == first {
            steps.push(json!({"op": "add", "path": "/counted_on", "value": today}));
            steps.push(json!({"op": "add", "path": "/smallest", "value": SMALLEST_SHOWN}));
            steps.extend(differences(&fields["counts"], &counts));
        } else if let Some(all) = fields["counts"].as_object() {
            // What another node published before it heard of the first.
            let gone = all.keys().map(|key| format!("/counts/{key}"));
            steps.extend(gone.map(|path| json!({"op": "remove", "path": path})));
        }
        if steps.is_empty() {
            continue;
        }
        let patch = Patch::parse(&Value::Array(steps)).map_err(|problems| {
            CommandFailed::Rejected(Rejected::Invalid(problems.into_iter().collect()))
        })?;
        local::patch(draft, Kind::Publication, *id, &patch, None, &by)?;
    }
    Ok(Done::Record(*first))
}

/// Keeps a new record in the territory where that publishes aggregates alone.
pub(crate) fn keep_home(core: &Core, kind: Kind, fields: &mut Value) -> Result<(), CommandFailed> {
    if !matches!(kind, Kind::Project | Kind::Activity) || kind.audience() != Audience::Home {
        return Ok(());
    }
    if fields["sharing"] == "local" || !is_closed(core)? {
        return Ok(());
    }
    if fields["sharing"].is_null() {
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("sharing".to_owned(), json!("local"));
        }
        return Ok(());
    }
    let detail = "this territory publishes aggregates only: leave `sharing` out, or say local";
    let problem = Problem::new("/sharing", "aggregates_only", detail);
    Err(CommandFailed::Rejected(Rejected::Rule(problem)))
}

/// Refuses counts that were not made by the node.
pub(crate) fn by_hand(command: &Command) -> Result<(), CommandFailed> {
    let counts = match command {
        Command::Create { kind, fields, .. } => {
            *kind == Kind::Publication && fields.get("counts").is_some()
        }
        Command::Patch { kind, patch, .. } => {
            let first = |pointer: &Pointer| pointer.tokens().first().cloned();
            let mut roots = patch.steps().iter().map(|(pointer, _)| first(pointer));
            *kind == Kind::Publication && roots.any(|root| root.is_none_or(|root| root == "counts"))
        }
        _ => false,
    };
    if !counts {
        return Ok(());
    }
    let detail = "counts are made by the node, which withholds small ones: publish again instead";
    let problem = Problem::new("/counts", "counts_by_hand", detail);
    Err(CommandFailed::Rejected(Rejected::Rule(problem)))
}

/// Refuses an imported publication with a count that may tell of a person: the node that made it
/// would have withheld it.
pub(crate) fn imported(kind: Kind, fields: &Value) -> Result<(), Rejected> {
    let counts = fields["counts"].as_object();
    let counts = counts.filter(|_| kind == Kind::Publication);
    let small = |one: &Value| {
        let count = one["count"].as_u64();
        count.is_some_and(|count| (1..SMALLEST_SHOWN).contains(&count))
    };
    let found = counts.into_iter().flatten().find(|(_, one)| small(one));
    let Some((key, _)) = found else {
        return Ok(());
    };
    let detail = format!(
        "a count below {SMALLEST_SHOWN} may tell of a person: import what a node published, which withholds it"
    );
    let pointer = format!(
        "/counts/{}/count",
        key.replace('~', "~0").replace('/', "~1")
    );
    Err(Rejected::Rule(Problem::new(
        pointer,
        "counts_by_hand",
        detail,
    )))
}

/// What a territory publishes, as far as it says; none where it never said.
pub(crate) fn of_territory(core: &Core, territory: &str) -> Result<Option<Published>, ReadFailed> {
    let mut found: Option<Published> = None;
    for id in of(core, territory)? {
        // Asked of every new project and by every overview.
        let Some(document) = core.look_and_keep(id)? else {
            continue;
        };
        let fields = document.record().fields;
        let sum = |table: &str| {
            let counts = fields["counts"].as_object()?;
            let is_sum = |one: &&Value| {
                one["table"] == table
                    && one["row"] == SUM
                    && matches!(&one["column"], Value::String(column) if column == SUM)
            };
            counts.values().find(is_sum)?["count"].as_u64()
        };
        let one = Published {
            id,
            aggregates_only: fields["state"] == AGGREGATES,
            counted_on: fields["counted_on"].as_str().map(str::to_owned),
            local_projects: sum("local_projects"),
            contacts: sum("contacts"),
        };
        found = Some(match found {
            None => one,
            Some(first) => Published {
                aggregates_only: first.aggregates_only || one.aggregates_only,
                ..first
            },
        });
    }
    Ok(found)
}

fn is_closed(core: &Core) -> Result<bool, ReadFailed> {
    let published = of_territory(core, &core.territory())?;
    Ok(published.is_some_and(|published| published.aggregates_only))
}

fn own(core: &Core) -> Result<Vec<DocumentId>, ReadFailed> {
    of(core, &core.territory())
}

/// A territory's publications, in the same order at every node.
fn of(core: &Core, territory: &str) -> Result<Vec<DocumentId>, ReadFailed> {
    let mut ids = BTreeSet::new();
    for (id, _) in read::all_of(core, Kind::Publication)? {
        if core
            .document_row(id)?
            .is_some_and(|row| row.territory == territory)
        {
            ids.insert(id);
        }
    }
    Ok(ids.into_iter().collect())
}

/// Counts of the territory's own records that the coordination does not hold.
fn counted(core: &Core) -> Result<Counts, ReadFailed> {
    let home = core.territory();
    let mut projects: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut contacts: BTreeMap<String, u64> = BTreeMap::new();
    for kind in [Kind::Project, Kind::Contact] {
        for (id, _) in read::all_of(core, kind)? {
            let row = core.document_row(id)?;
            let row = row.filter(|row| row.territory == home && row.lane == LANE_TERRITORY);
            let Some(indexed) = row.and_then(|row| row.indexed) else {
                continue;
            };
            let area = if indexed.need_area.is_empty() {
                "-".to_owned()
            } else {
                indexed.need_area
            };
            if kind == Kind::Project {
                *projects.entry((area, indexed.state)).or_default() += 1;
            } else {
                *contacts.entry(area).or_default() += 1;
            }
        }
    }
    let mut counts = Counts::new();
    of_projects(&projects, &mut counts);
    let (areas, numbers): (Vec<String>, Vec<u64>) = contacts.into_iter().unzip();
    let shown = suppress::list(&numbers, SMALLEST_SHOWN);
    for (area, count) in areas.iter().zip(shown.counts) {
        put(&mut counts, "contacts", area, SUM, count);
    }
    put(&mut counts, "contacts", SUM, SUM, shown.total);
    Ok(counts)
}

fn of_projects(projects: &BTreeMap<(String, String), u64>, counts: &mut Counts) {
    let distinct = |all: BTreeSet<&String>| all.into_iter().cloned().collect::<Vec<_>>();
    let areas = distinct(projects.keys().map(|(area, _)| area).collect());
    let states = distinct(projects.keys().map(|(_, state)| state).collect());
    let at = |area: &String, state: &String| {
        let key = (area.clone(), state.clone());
        projects.get(&key).copied().unwrap_or(0)
    };
    let grid: Vec<Vec<u64>> = areas
        .iter()
        .map(|area| states.iter().map(|state| at(area, state)).collect())
        .collect();
    let shown = suppress::table(&grid, SMALLEST_SHOWN);
    let table = "local_projects";
    for (area, row) in areas.iter().zip(&shown.counts) {
        for (state, count) in states.iter().zip(row) {
            put(counts, table, area, state, *count);
        }
    }
    for (area, count) in areas.iter().zip(shown.rows) {
        put(counts, table, area, SUM, count);
    }
    for (state, count) in states.iter().zip(shown.columns) {
        put(counts, table, SUM, state, count);
    }
    put(counts, table, SUM, SUM, shown.total);
}

fn put(counts: &mut Counts, table: &str, row: &str, column: &str, count: Option<u64>) {
    let sum = row == SUM && column == SUM;
    // What is not listed is zero, but for the sum, which says that there was a count at all.
    if count == Some(0) && !sum {
        return;
    }
    let key = |word: &str| word.replace(SUM, "all").replace(['/', '~'], "_");
    let mut one = json!({"table": table, "row": row, "column": column});
    match count {
        Some(count) => one["count"] = json!(count),
        None => one["withheld"] = json!(true),
    }
    let name = format!("{table}-{}-{}", key(row), key(column));
    // Codes of the office's own may be long.
    let name = if name.len() > KEY_MAX {
        let hash = digest(&SHA256, name.as_bytes());
        HEXLOWER.encode(&hash.as_ref()[..16])
    } else {
        name
    };
    counts.insert(name, one);
}

/// The steps from the counts that stand to those that are to stand.
fn differences(stand: &Value, counts: &Counts) -> Vec<Value> {
    let none = Map::new();
    let stand = stand.as_object().unwrap_or(&none);
    let mut steps = Vec::new();
    for key in stand.keys().filter(|key| !counts.contains_key(*key)) {
        steps.push(json!({"op": "remove", "path": format!("/counts/{key}")}));
    }
    for (key, one) in counts {
        let path = format!("/counts/{key}");
        match stand.get(key) {
            Some(former) if former == one => {}
            // A count that was shown and is withheld now must not stay beside that word.
            Some(_) => {
                for name in ["count", "withheld"] {
                    let value = one.get(name).cloned().unwrap_or(Value::Null);
                    let path = format!("{path}/{name}");
                    steps.push(json!({"op": "add", "path": path, "value": value}));
                }
            }
            None => steps.push(json!({"op": "add", "path": path, "value": one})),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_count_is_withheld_and_cannot_be_found_from_the_sums() {
        let count =
            |area: &str, state: &str, count: u64| ((area.to_owned(), state.to_owned()), count);
        let projects = BTreeMap::from([
            count("POV", "active", 12),
            count("POV", "review", 2),
            count("DIS", "active", 7),
            count("DIS", "review", 9),
        ]);
        let mut counts = Counts::new();
        of_projects(&projects, &mut counts);
        assert_eq!(counts["local_projects-POV-review"]["withheld"], true);
        assert_eq!(counts["local_projects-all-all"]["count"], 30);
        let withheld = counts
            .values()
            .filter(|one| one["withheld"] == true)
            .count();
        assert!(withheld >= 4, "a rectangle at least: {counts:?}");
        let next = BTreeMap::from([("local_projects-POV-review".to_owned(), json!({"count": 6}))]);
        let steps = differences(&json!(counts), &next);
        let paths: Vec<&str> = steps
            .iter()
            .filter_map(|step| step["path"].as_str())
            .collect();
        assert!(
            paths.contains(&"/counts/local_projects-POV-review/withheld"),
            "{paths:?}"
        );
        assert!(
            paths.contains(&"/counts/local_projects-DIS-active"),
            "{paths:?}"
        );
    }

    #[test]
    fn counts_by_hand_are_refused_in_publications_alone() {
        let created = |kind, fields| {
            let by = String::new();
            by_hand(&Command::Create {
                kind,
                fields,
                by,
                blind: false,
            })
        };
        assert!(created(Kind::Publication, json!({"counts": {}})).is_err());
        assert!(created(Kind::Publication, json!({"state": "records"})).is_ok());
        assert!(created(Kind::Project, json!({"counts": {}})).is_ok());
    }
}
