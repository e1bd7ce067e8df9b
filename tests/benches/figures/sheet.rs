//! The printed table: one line a figure, its floor and the ratio beside it; and the same as lines of
//! JSON in a file, from which tables are filled.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::json;

use super::stopwatch::Spread;

/// Where the lines of JSON go.
static LINES: OnceLock<File> = OnceLock::new();

/// What a figure is set against.
#[derive(Debug, Clone)]
pub(crate) struct Floor {
    /// What it is.
    pub(crate) name: &'static str,
    /// In the figure's unit.
    pub(crate) value: f64,
    /// Whether the figure should be large (a rate) or small (a time, a size).
    pub(crate) better: Better,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// Says what the columns are; from now on the figures are appended to this file too.
pub(crate) fn head(lines: &Path) -> anyhow::Result<()> {
    let file = File::options().create(true).append(true).open(lines)?;
    LINES.get_or_init(|| file);
    say(
        "figure | size | value (least - most, rounds) | floor in the same run | times the floor's cost",
    );
    say(
        "-------|------|------------------------------|-----------------------|----------------------",
    );
    remark(&format!("as lines of JSON in {}", lines.display()));
    Ok(())
}

/// One figure, over rounds.
pub(crate) fn spread(figure: &str, size: &str, unit: &str, values: &Spread, floors: &[Floor]) {
    let value = match values.count() {
        0 | 1 => format!("{} {unit}", short(values.median())),
        count => format!(
            "{} {unit} ({} - {}, {count})",
            short(values.median()),
            short(values.least()),
            short(values.most())
        ),
    };
    line(figure, size, &value, unit, values.median(), floors);
}

/// One figure, measured once.
pub(crate) fn single(figure: &str, size: &str, unit: &str, value: f64, floors: &[Floor]) {
    line(
        figure,
        size,
        &format!("{} {unit}", short(value)),
        unit,
        value,
        floors,
    );
}

/// A remark below a figure.
pub(crate) fn remark(text: &str) {
    say(&format!("  · {text}"));
}

fn line(figure: &str, size: &str, value: &str, unit: &str, number: f64, floors: &[Floor]) {
    if floors.is_empty() {
        say(&format!("{figure} | {size} | {value} | - | -"));
        record(figure, size, unit, number, None);
    }
    for floor in floors {
        let times = match floor.better {
            Better::More => floor.value / number,
            Better::Less => number / floor.value,
        };
        say(&format!(
            "{figure} | {size} | {value} | {}: {} {unit} | {times:.2}",
            floor.name,
            short(floor.value)
        ));
        record(figure, size, unit, number, Some((floor, times)));
    }
}

/// One line of JSON.
fn record(figure: &str, size: &str, unit: &str, value: f64, floor: Option<(&Floor, f64)>) {
    let line = json!({
        "figure": figure,
        "size": size,
        "unit": unit,
        "value": value,
        "floor": floor.map(|(floor, _)| floor.value),
        "floor_is": floor.map(|(floor, _)| floor.name),
        "ratio": floor.map(|(_, times)| times),
    });
    if let Some(mut file) = LINES.get() {
        // The figure is on the screen as well: a full disk is no reason to stop measuring.
        drop(writeln!(file, "{line}"));
    }
}

/// Three figures that matter.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever closed the pipe has seen enough.
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}
