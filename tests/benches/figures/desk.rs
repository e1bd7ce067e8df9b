//! A district's desk: what its people do all day, one request after the other, asked of the real
//! program on its own socket over a connection that stands.
//!
//! The floor of a write is a bare durable commit of rows of the same sizes; the naive twin of a list,
//! of a search and of the look for doubles opens every record of the kind.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, ensure};
use raccordo_tests::chance::Chance;
use raccordo_tests::http::{Answer, Connection};
use raccordo_tests::workload::{addition, project, some_day};
use serde_json::{Value, json};
use std::time::Duration;

use super::edits::BareStore;
use super::mix::{self, Mix, reference};
use super::nodes::{self, Place};
use super::processes::Process;
use super::rows;
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Spread, Stopwatch, real};

/// Requests of each sort that are measured, and those before them that are not.
const WRITES: u32 = 300;
const READS: u32 = 300;
const WARM: u32 = 20;
/// Requests of a sort that turned out to be slow.
const SLOW: u32 = 20;
/// From here on, in milliseconds, fewer are measured.
const SLOW_FROM: f64 = 60.0;

pub(crate) async fn measure(place: &Place, records: u32) -> anyhow::Result<()> {
    let mix = Mix { records, seed: 1 };
    let data = filled(place, mix).await?;
    let bare_rows = rows::of_node(&data).await?;
    let mut bare = BareStore::fill(place, &bare_rows, 2 * WRITES as usize + 8)?;
    let commit = Spread::of(bare.commits_ms(WRITES as usize, Duration::ZERO).await?);
    drop((bare, bare_rows));
    let process = Process::start(&data).await?;
    let (resident, _) = process.memory_mb();
    let size = mix::size(records);
    sheet::remark(&format!("{size}: {resident:.0} MB resident at the start"));
    let mut desk = Desk {
        line: process.connect().await?,
        mix,
        chance: Chance::new(99),
        size,
        made: 0,
    };
    desk.nothing().await?;
    desk.writes(&commit).await?;
    desk.reads().await?;
    let whole = desk.whole().await?;
    desk.lists(&whole).await?;
    desk.searches(&whole).await?;
    desk.doubles(&whole).await?;
    desk.rest().await?;
    let (resident, most) = process.memory_mb();
    sheet::remark(&format!(
        "resident after all this {resident:.0} MB, at most {most:.0} MB"
    ));
    drop(desk);
    process.stop()
}

/// The folder of a stopped district with the records of the mix; kept where a folder was named.
async fn filled(place: &Place, mix: Mix) -> anyhow::Result<PathBuf> {
    let kept = place.kept(&format!("desk-{}", mix.records))?;
    let (data, whole) = (kept.join("data"), kept.join("whole"));
    if !whole.exists() {
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        nodes::found(&data, Some('A'))?;
        let node = nodes::start(&data, true).await?;
        let lines = mix.lines();
        let (count, watch) = (lines.len(), Stopwatch::start());
        nodes::import(&node.engine(), lines).await?;
        let rate = real(count) / watch.seconds();
        let disk = node.engine().status().disk_bytes;
        node.stop().await;
        nodes::at_rest(&data).await?;
        std::fs::write(whole, "")?;
        let disk = real(usize::try_from(disk)?) / 1e6;
        sheet::remark(&format!(
            "filled by {count} lines, {rate:.0} a second; {disk:.0} MB on disk"
        ));
    }
    let copy = place.free("desk")?;
    nodes::copy_folder(&data, &copy)?;
    Ok(copy)
}

/// Milliseconds of reading every record of a kind, opened, in one answer.
struct Whole {
    projects: f64,
    persons: f64,
}

struct Desk {
    line: Connection,
    mix: Mix,
    chance: Chance,
    size: String,
    made: u32,
}

impl Desk {
    async fn ask(&mut self, method: &str, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let kind = if method == "PATCH" {
            "application/json-patch+json"
        } else {
            "application/json"
        };
        let (headers, body) = if body.is_null() {
            (Vec::new(), String::new())
        } else {
            (vec![("content-type", kind)], body.to_string())
        };
        let answer = self.line.send(method, path, &headers, body).await;
        let answer = answer.map_err(|unanswered| anyhow!("{unanswered}"))?;
        ensure!(answer.status < 300, "{method} {path}: {answer}");
        Ok(answer)
    }

    /// Milliseconds of each of so many requests; of fewer where they are slow.
    async fn timed(
        &mut self,
        count: u32,
        mut request: impl FnMut(&mut Self) -> (&'static str, String, Value),
    ) -> anyhow::Result<Spread> {
        let mut taken = Vec::new();
        let mut wanted = WARM + count;
        let mut number = 0;
        while number < wanted {
            let (method, path, body) = request(self);
            let watch = Stopwatch::start();
            self.ask(method, &path, &body).await?;
            let millis = watch.millis();
            if number >= WARM.min(wanted / 4) {
                taken.push(millis);
            } else if millis > SLOW_FROM {
                wanted = SLOW;
            }
            number += 1;
        }
        Ok(Spread::of(taken))
    }

    fn tell(&self, figure: &str, taken: &Spread, floors: &[Floor]) {
        sheet::spread(
            &format!("desk: {figure}, p50"),
            &self.size,
            "ms",
            taken,
            floors,
        );
        let p99 = taken.percentile(99);
        sheet::single(&format!("desk: {figure}, p99"), &self.size, "ms", p99, &[]);
    }

    /// The way itself.
    async fn nothing(&mut self) -> anyhow::Result<()> {
        let taken = self
            .timed(READS, |_| ("GET", "/healthz".to_owned(), Value::Null))
            .await?;
        self.tell("a request that does nothing", &taken, &[]);
        Ok(())
    }

    async fn writes(&mut self, commit: &Spread) -> anyhow::Result<()> {
        let floors = [floor(
            "a bare durable commit of rows of an edit's sizes",
            commit.median(),
        )];
        let taken = self
            .timed(WRITES, |desk| {
                let reference = desk.next_reference();
                let mut fields = project(&mut desk.chance, Some(&reference), some_day());
                fields["state"] = json!("reported");
                ("POST", "/api/v1/projects".to_owned(), fields)
            })
            .await?;
        self.tell("create a project", &taken, &floors);
        let taken = self
            .timed(WRITES, |desk| {
                // Numbers that no record of the mix has.
                let number = 20_000_000 + desk.made;
                let mut fields = mix::person(number, &mut desk.chance);
                fields["ref"] = json!(desk.next_reference());
                ("POST", "/api/v1/persons".to_owned(), fields)
            })
            .await?;
        self.tell("create a person", &taken, &floors);
        let taken = self
            .timed(WRITES, |desk| {
                let number = desk.chance.index(desk.mix.count("person") as usize);
                let fields = json!({"ref": desk.next_reference(), "on": "2026-03-05", "asked": "casa",
                    "person": reference("person", u32::try_from(number).unwrap_or(0))});
                ("POST", "/api/v1/contacts".to_owned(), fields)
            })
            .await?;
        self.tell("create a contact", &taken, &floors);
        let taken = self
            .timed(WRITES, |desk| {
                desk.made += 1;
                let mark = u64::from(desk.made) + 1_000;
                let patch = addition(&mut desk.chance, mark);
                ("PATCH", desk.any("project"), patch)
            })
            .await?;
        self.tell("patch a project, any", &taken, &floors);
        let taken = self
            .timed(WRITES, |desk| {
                let phone = format!("0775 {}", desk.chance.between(100_000, 999_999));
                let patch = json!([{"op": "add", "path": "/contacts/phone", "value": phone}]);
                ("PATCH", desk.any("person"), patch)
            })
            .await?;
        self.tell("patch a person, any", &taken, &floors);
        Ok(())
    }

    async fn reads(&mut self) -> anyhow::Result<()> {
        for kind in ["project", "person", "casefile"] {
            let taken = self
                .timed(READS, |desk| ("GET", desk.any(kind), Value::Null))
                .await?;
            self.tell(&format!("read a {kind}, any"), &taken, &[]);
        }
        Ok(())
    }

    /// The naive twin: every record of a kind, opened and written out.
    async fn whole(&mut self) -> anyhow::Result<Whole> {
        let mut all = [0.0; 2];
        for (taken, kind) in all.iter_mut().zip(["project", "person"]) {
            let watch = Stopwatch::start();
            let path = format!("/api/v1/export?kind={kind}");
            self.ask("GET", &path, &Value::Null).await?;
            *taken = watch.millis();
        }
        let [projects, persons] = all;
        Ok(Whole { projects, persons })
    }

    async fn lists(&mut self, whole: &Whole) -> anyhow::Result<()> {
        let projects = [floor("opening every project", whole.projects)];
        let persons = [floor("opening every person", whole.persons)];
        for (figure, path, floors) in [
            ("first page of projects, 50", "/api/v1/projects", &projects),
            (
                "first page of projects, 25, as the page in the browser",
                "/records",
                &projects,
            ),
            (
                "first page of projects in a frequent state",
                "/api/v1/projects?state=active",
                &projects,
            ),
            (
                "first page of projects in a state that one in a hundred has",
                "/api/v1/projects?state=approval",
                &projects,
            ),
            (
                "projects in a state that none has",
                "/api/v1/projects?state=archived",
                &projects,
            ),
            ("first page of persons, 50", "/api/v1/persons", &persons),
        ] {
            self.path(figure, path, floors).await?;
        }
        Ok(())
    }

    async fn searches(&mut self, whole: &Whole) -> anyhow::Result<()> {
        let floors = [floor("opening every project", whole.projects)];
        let taken = self
            .timed(READS, |desk| {
                let number = desk.number("project");
                let path = format!("/api/v1/projects?q={}", reference("project", number));
                ("GET", path, Value::Null)
            })
            .await?;
        self.tell("search a project by its number", &taken, &floors);
        for (figure, path) in [
            (
                "search projects by a provider, frequent",
                "/api/v1/projects?q=ente-017",
            ),
            (
                "search projects for what none has",
                "/api/v1/projects?q=cooperativa%20xyz",
            ),
        ] {
            self.path(figure, path, &floors).await?;
        }
        let floors = [floor("opening every person", whole.persons)];
        for (figure, path) in [
            (
                "search persons by a frequent surname",
                "/api/v1/persons?q=rossi",
            ),
            (
                "search persons by a frequent name and surname",
                "/api/v1/persons?q=maria%20rossi",
            ),
            (
                "search persons by a rare surname, misspelt",
                "/api/v1/persons?q=cechoto",
            ),
            (
                "search persons by a name that none has",
                "/api/v1/persons?q=wojciechowski",
            ),
        ] {
            self.path(figure, path, &floors).await?;
        }
        Ok(())
    }

    async fn doubles(&mut self, whole: &Whole) -> anyhow::Result<()> {
        let floors = [floor("opening every person", whole.persons)];
        let taken = self
            .timed(READS, |desk| {
                let path = format!("{}/duplicates", desk.any("person"));
                ("GET", path, Value::Null)
            })
            .await?;
        self.tell(
            "look for doubles of a person, by code and by sound",
            &taken,
            &floors,
        );
        let taken = self
            .timed(READS, |desk| {
                let path = format!("{}/offered", desk.any("person"));
                ("GET", path, Value::Null)
            })
            .await?;
        self.tell("all that a person was offered", &taken, &[]);
        Ok(())
    }

    async fn rest(&mut self) -> anyhow::Result<()> {
        for (figure, path) in [
            ("the overview", "/api/v1/overview"),
            ("the status", "/api/v1/status"),
            ("the opening page in the browser", "/"),
            ("the newest of the audit log", "/api/v1/audit"),
            ("same subject elsewhere", "/api/v1/overlaps"),
            ("erasures that are due", "/api/v1/erasures/proposals"),
        ] {
            self.path(figure, path, &[]).await?;
        }
        let answer = self
            .ask("GET", "/api/v1/persons?limit=1", &Value::Null)
            .await?;
        let answer = answer.json();
        let id = answer["items"][0]["_meta"]["id"].as_str();
        let path = format!("/api/v1/audit?record={}", id.context("a person is there")?);
        self.path("who read a record, from the audit log", &path, &[])
            .await
    }

    async fn path(&mut self, figure: &str, path: &str, floors: &[Floor]) -> anyhow::Result<()> {
        let taken = self
            .timed(READS, |_| ("GET", path.to_owned(), Value::Null))
            .await?;
        self.tell(figure, &taken, floors);
        Ok(())
    }

    fn number(&mut self, kind: &str) -> u32 {
        let count = self.mix.count(kind) as usize;
        u32::try_from(self.chance.index(count)).unwrap_or(0)
    }

    /// The address of some record of a kind.
    fn any(&mut self, kind: &str) -> String {
        let number = self.number(kind);
        format!("/api/v1/{kind}s/{}", reference(kind, number))
    }

    fn next_reference(&mut self) -> String {
        self.made += 1;
        format!("N-{:06}", self.made)
    }
}

fn floor(name: &'static str, value: f64) -> Floor {
    Floor {
        name,
        value,
        better: Better::Less,
    }
}
