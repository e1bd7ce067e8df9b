//! Lists that are searched in memory: they find what a look at every record finds.

use super::*;
use crate::engine::lists::Wanted;
use crate::engine::view::ListQuery;
use crate::engine::{local, read, tombstone};

const RECORDS: usize = 60;

impl Bench {
    fn committed<T>(&self, work: impl FnOnce(&mut Draft<'_>) -> T) -> T {
        let mut draft = Draft::new(&self.core);
        let done = work(&mut draft);
        commit::commit(draft).unwrap();
        done
    }

    fn guideline(&self, number: usize) -> DocumentId {
        let fields = json!({"ref": format!("L-{number}"), "title": title(number), "type": "procedure",
            "version": "1", "state": "draft"});
        self.committed(|draft| {
            local::create(draft, Kind::Guideline, &fields, "anna").unwrap();
            let made = local::holders(draft, Kind::Guideline, "frosinone", &format!("L-{number}"));
            made.unwrap()[0]
        })
    }

    fn put(&self, id: DocumentId, path: &str, value: &str) {
        let patch = json!([{"op": "add", "path": path, "value": value}]);
        let patch = Patch::parse(&patch).unwrap();
        self.committed(|draft| {
            local::patch(draft, Kind::Guideline, id, &patch, None, "anna").unwrap();
        });
    }

    /// What the lists give, page by page.
    fn listed(&self, query: &ListQuery) -> Vec<DocumentId> {
        let mut query = ListQuery {
            limit: Some(7),
            ..query.clone()
        };
        let mut all = Vec::new();
        loop {
            let page = read::cards(&self.core, Kind::Guideline, &query).unwrap();
            all.extend(page.items.iter().map(|card| card.id));
            query.cursor = page.next;
            if query.cursor.is_none() {
                return all;
            }
        }
    }

    /// The same by looking at every record.
    fn looked_through(&self, query: &ListQuery) -> Vec<DocumentId> {
        let all = self.listed(&ListQuery::default());
        let wanted = |id: &DocumentId| {
            let fields = read::record(&self.core, Kind::Guideline, *id)
                .unwrap()
                .fields;
            let says = |name: &str, q: &str| {
                let text = fields[name].as_str().unwrap_or_default().to_lowercase();
                text.contains(&q.to_lowercase())
            };
            let q = query.q.as_deref();
            q.is_none_or(|q| says("ref", q) || says("title", q))
                && query
                    .state
                    .as_deref()
                    .is_none_or(|state| fields["state"] == state)
        };
        all.into_iter().filter(wanted).collect()
    }

    fn ensure_equal(&self) {
        for (q, state) in [
            (Some("Verde"), None),
            (Some("l-3"), None),
            (Some("nessuno"), None),
            (Some("giallo"), Some("published")),
            (None, Some("draft")),
            (None, Some("published")),
            (None, Some("unknown")),
        ] {
            let query = ListQuery {
                q: q.map(str::to_owned),
                state: state.map(str::to_owned),
                ..ListQuery::default()
            };
            let found = self.listed(&query);
            assert_eq!(found, self.looked_through(&query), "{query:?}");
        }
    }
}

fn title(number: usize) -> String {
    let colour = ["Rosso", "Verde", "Giallo"][number % 3];
    format!("Linea {colour} {number}")
}

#[test]
fn a_search_in_memory_finds_what_a_look_at_every_record_finds_after_every_change() {
    let bench = Bench::coordination(&[]);
    let ids: Vec<DocumentId> = (0..RECORDS).map(|number| bench.guideline(number)).collect();
    bench.ensure_equal();
    let kind = Kind::Guideline.code();
    assert!(
        !bench.core.lists.holds(kind),
        "few lines are read from the disk"
    );
    let query = ListQuery::default();
    let wanted = Wanted {
        kind,
        query: &query,
        words: None,
        home: "frosinone",
    };
    let keys = bench.core.lists.next(&bench.core, wanted, None, usize::MAX);
    assert_eq!(keys.unwrap().len(), RECORDS);
    assert!(bench.core.lists.holds(kind));
    bench.ensure_equal();
    for (number, id) in ids.iter().enumerate().step_by(4) {
        bench.put(*id, "/title", &title(number + 1));
        bench.put(*id, "/state", "published");
    }
    bench.ensure_equal();
    bench.guideline(RECORDS);
    for id in ids.iter().skip(1).step_by(9) {
        bench.committed(|draft| {
            tombstone::erase(draft, Kind::Guideline, *id, "prova", "anna").unwrap();
        });
    }
    bench.ensure_equal();
    let keys = bench.core.lists.next(&bench.core, wanted, None, usize::MAX);
    let left = RECORDS + 1 - ids.iter().skip(1).step_by(9).count();
    assert_eq!(keys.unwrap().len(), left, "what was erased is not kept");
}

#[test]
fn lines_that_commits_move_while_a_list_is_being_read_are_as_the_last_commit_left_them() {
    let bench = Bench::coordination(&[]);
    let ids: Vec<DocumentId> = (0..RECORDS).map(|number| bench.guideline(number)).collect();
    let query = ListQuery::default();
    let wanted = Wanted {
        kind: Kind::Guideline.code(),
        query: &query,
        words: Some("mosso"),
        home: "frosinone",
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for id in &ids {
                bench.put(*id, "/title", "Mosso");
            }
        });
        for _ in 0..20 {
            bench.core.lists.next(&bench.core, wanted, None, 1).unwrap();
        }
    });
    let keys = bench.core.lists.next(&bench.core, wanted, None, usize::MAX);
    assert_eq!(keys.unwrap().len(), RECORDS);
    bench.ensure_equal();
}
