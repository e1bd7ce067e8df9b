//! Runs a door's inputs in a process of their own, so that one that hangs or kills it is told too.
//!
//! The worker notes the number of the input at hand in a file and tells its counts on its standard
//! output every few seconds; working for longer than [`SILENCE_MAX`] in silence is a hang.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use raccordo_tests::chance::Chance;
use serde_json::{Value, json};

use crate::Arguments;
use crate::target::{Target, all};
use crate::trial::{self, Tally, Verdict};

/// Longest that the processor may work for a worker that says nothing.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// Inputs after which a worker tells its counts.
const TELL_AFTER: u64 = 2_000;
/// Most failures that are told of one door.
const FAILURES_MAX: usize = 20;

/// Does what the arguments ask; whether no input failed.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut out = std::io::stdout();
    let targets = chosen(&arguments.doors)?;
    if arguments.list {
        for target in &targets {
            writeln!(out, "{}", target.name())?;
        }
        return Ok(true);
    }
    if let Some(input) = &arguments.replay {
        let [target] = targets.as_slice() else {
            bail!("to replay an input, name the one door that it is for");
        };
        trial::watch_panics();
        let trial = trial::run(&**target, &asked(input)?);
        writeln!(out, "{trial:#?}")?;
        return Ok(!matches!(trial.verdict, Verdict::Broken(_)));
    }
    if let Some(reason) = &arguments.find {
        trial::watch_panics();
        for target in &targets {
            find(&**target, arguments, reason)?;
        }
        return Ok(true);
    }
    if let Some(progress) = &arguments.worker {
        for target in &targets {
            work(&**target, arguments, &File::create(progress)?)?;
        }
        return Ok(true);
    }
    let mut good = true;
    for target in &targets {
        good &= supervise(&**target, arguments)?;
    }
    Ok(good)
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<Box<dyn Target>>> {
    let targets = all();
    let known: Vec<_> = targets.iter().map(|target| target.name()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("{unknown} is no door: {} are", known.join(", "));
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    Ok(targets
        .into_iter()
        .filter(|target| wanted(target.name()))
        .collect())
}

fn find(target: &dyn Target, arguments: &Arguments, wanted: &str) -> anyhow::Result<()> {
    let inputs = Inputs::new(target, arguments.seed)?.with_heavy();
    for number in arguments.from..arguments.inputs {
        let input = inputs.of(number);
        match trial::run(target, &input).verdict {
            Verdict::Refused(reason) if reason.contains(wanted) => {
                writeln!(std::io::stdout(), "{}", hex(&input))?;
                return Ok(());
            }
            _ => {}
        }
    }
    bail!("no input is refused with {wanted:?} in the reason")
}

/// The inputs of a door: those that are kept, then mutations by chance.
struct Inputs<'a> {
    target: &'a dyn Target,
    kept: Vec<Vec<u8>>,
    seed: u64,
}

impl<'a> Inputs<'a> {
    fn new(target: &'a dyn Target, seed: u64) -> anyhow::Result<Self> {
        let mut kept = target.seeds();
        kept.extend(corpus(target.name())?.into_iter().map(|(_, input)| input));
        Ok(Self { target, kept, seed })
    }

    fn with_heavy(mut self) -> Self {
        self.kept.extend(self.target.heavy());
        self
    }

    /// The input of this number.
    fn of(&self, number: u64) -> Vec<u8> {
        let kept = usize::try_from(number).ok();
        if let Some(input) = kept.and_then(|place| self.kept.get(place)) {
            return input.clone();
        }
        let base = Chance::new(self.seed).number();
        let seed = base.wrapping_add(number.wrapping_mul(0xA076_1D64_78BD_642F));
        self.target.input(&mut Chance::new(seed))
    }
}

/// The files of a door's folder under `tests/corpus`, by their names.
pub(crate) fn corpus(door: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = folder.join("corpus").join(door);
    let mut files = Vec::new();
    if folder.is_dir() {
        for file in std::fs::read_dir(folder)? {
            let path = file?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            files.push((name.into_owned(), std::fs::read(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a worker tells its counts every few seconds"
)]
fn work(target: &dyn Target, arguments: &Arguments, progress: &File) -> anyhow::Result<()> {
    trial::watch_panics();
    let inputs = Inputs::new(target, arguments.seed)?.with_heavy();
    let mut out = std::io::stdout();
    let mut tally = Tally::default();
    let mut told = Instant::now();
    for number in arguments.from..arguments.inputs {
        progress.write_all_at(&number.to_be_bytes(), 0)?;
        let input = inputs.of(number);
        let trial = trial::run(target, &input);
        tally.add(&trial);
        if let Verdict::Broken(what) = &trial.verdict {
            writeln!(out, "{}", json!({"failure": what, "number": number}))?;
        }
        if tally.inputs >= TELL_AFTER || told.elapsed() > Duration::from_secs(5) {
            writeln!(out, "{}", told_as(&std::mem::take(&mut tally)))?;
            told = Instant::now();
        }
    }
    writeln!(out, "{}", told_as(&tally))?;
    Ok(())
}

fn told_as(tally: &Tally) -> Value {
    json!({"inputs": tally.inputs, "accepted": tally.accepted,
        "micros": u64::try_from(tally.slowest.as_micros()).unwrap_or(u64::MAX),
        "largest": tally.largest, "refused": tally.refused, "caught": tally.caught})
}

fn read_back(told: &Value) -> Tally {
    let number = |name: &str| told[name].as_u64().unwrap_or(0);
    let counts = |name: &str| serde_json::from_value(told[name].clone()).unwrap_or_default();
    Tally {
        inputs: number("inputs"),
        accepted: number("accepted"),
        slowest: Duration::from_micros(number("micros")),
        largest: usize::try_from(number("largest")).unwrap_or(usize::MAX),
        refused: counts("refused"),
        caught: counts("caught"),
    }
}

/// What became of a worker.
enum Ended {
    Done,
    /// It died or fell silent at this input.
    At(u64, &'static str),
}

#[expect(
    clippy::disallowed_methods,
    reason = "the report says how long the run took"
)]
fn supervise(target: &dyn Target, arguments: &Arguments) -> anyhow::Result<bool> {
    let started = Instant::now();
    let inputs = Inputs::new(target, arguments.seed)?.with_heavy();
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    let mut from = arguments.from;
    while from < arguments.inputs && failures.len() < FAILURES_MAX {
        let mut tell = |told: Value| match told["failure"].as_str() {
            Some(what) => failures.push((told["number"].as_u64().unwrap_or(0), what.to_owned())),
            None => tally.merge(read_back(&told)),
        };
        match attend(target, arguments, from, &mut tell)? {
            Ended::Done => break,
            Ended::At(number, what) => {
                failures.push((number, what.to_owned()));
                from = number + 1;
            }
        }
    }
    let mut report = String::new();
    let seconds = started.elapsed().as_secs_f64();
    writeln!(
        report,
        "{}: {} inputs in {seconds:.0} s, {} let in, {} refused, slowest {} ms, most memory {} KiB",
        target.name(),
        tally.inputs,
        tally.accepted,
        tally.refused.values().sum::<u64>(),
        tally.slowest.as_millis(),
        tally.largest >> 10,
    )?;
    for (what, counts) in [("refused", &tally.refused), ("caught panic", &tally.caught)] {
        let mut counts: Vec<_> = counts.iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in counts.into_iter().take(24) {
            writeln!(report, "  {what} {count:>8}  {reason}")?;
        }
    }
    for (number, what) in &failures {
        let bytes = hex(&inputs.of(*number));
        writeln!(
            report,
            "  FAILURE of input {number} of seed {}: {what}\n    --replay {bytes}",
            arguments.seed
        )?;
    }
    std::io::stdout().write_all(report.as_bytes())?;
    Ok(failures.is_empty())
}

/// Runs one worker from an input on and listens to it.
fn attend(
    target: &dyn Target,
    arguments: &Arguments,
    from: u64,
    tell: &mut dyn FnMut(Value),
) -> anyhow::Result<Ended> {
    let folder = tempfile::tempdir()?;
    let progress = folder.path().join("at");
    let mut worker = Command::new(std::env::current_exe()?)
        .arg(target.name())
        .args(["--inputs", &arguments.inputs.to_string()])
        .args(["--seed", &arguments.seed.to_string()])
        .args(["--from", &from.to_string()])
        .arg("--worker")
        .arg(&progress)
        .stdout(Stdio::piped())
        .spawn()
        .context("the worker does not start")?;
    let lines = BufReader::new(worker.stdout.take().context("its output is piped")?).lines();
    let (sender, receiver) = channel();
    let listener = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut worked = Duration::ZERO;
    let silent = loop {
        match receiver.recv_timeout(Duration::from_secs(10)) {
            Ok(line) => {
                worked = work_of(worker.id());
                tell(serde_json::from_str(&line).unwrap_or_default());
            }
            Err(RecvTimeoutError::Timeout) => {
                if work_of(worker.id()).saturating_sub(worked) > SILENCE_MAX {
                    break true;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    if silent {
        worker.kill()?;
    }
    let status = worker.wait()?;
    drop(receiver);
    drop(listener.join());
    if status.success() {
        return Ok(Ended::Done);
    }
    let mut at = from.to_be_bytes();
    File::open(&progress)?.read_at(&mut at, 0)?;
    let what = if silent { "hangs" } else { "kills the process" };
    Ok(Ended::At(u64::from_be_bytes(at), what))
}

/// How long the processor has worked for a process, as the kernel counts it in hundredths.
fn work_of(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in brackets, may hold spaces.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The input that is named: hexadecimal digits, or a file after `@`.
fn asked(text: &str) -> anyhow::Result<Vec<u8>> {
    match text.strip_prefix('@') {
        Some(path) => std::fs::read(path).with_context(|| format!("{path} cannot be read")),
        None => unhex(text),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(out, "{byte:02x}").expect("a string takes what is written");
    }
    out
}

/// The bytes of hexadecimal digits.
fn unhex(text: &str) -> anyhow::Result<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.trim().as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => {
            let byte = digit(*high)? << 4 | digit(*low)?;
            u8::try_from(byte).ok()
        }
        _ => None,
    });
    pairs
        .collect::<Option<Vec<_>>>()
        .context("the input is not hexadecimal digits in pairs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Trial;

    fn tried(target: &dyn Target, input: &[u8]) -> Trial {
        trial::run(target, input)
    }

    #[test]
    fn every_input_of_the_corpus_is_let_in_or_kept_out_as_its_name_says() {
        trial::watch_panics();
        let mut seen = 0;
        for target in all() {
            for (name, input) in corpus(target.name()).expect("a readable folder") {
                let trial = tried(&*target, &input);
                let fine = match &trial.verdict {
                    Verdict::Accepted => name.starts_with("in-"),
                    Verdict::Refused(_) => name.starts_with("out-"),
                    Verdict::Broken(_) => false,
                };
                assert!(fine, "{} {name}: {trial:?}", target.name());
                seen += 1;
            }
        }
        assert!(seen > 0, "a corpus is kept");
    }

    #[test]
    fn a_short_run_at_every_door_finds_nothing() {
        trial::watch_panics();
        for target in all() {
            let inputs = Inputs::new(&*target, 3).expect("a readable corpus");
            let mut accepted = 0;
            for number in 0..400 {
                let trial = tried(&*target, &inputs.of(number));
                let broken = matches!(trial.verdict, Verdict::Broken(_));
                assert!(!broken, "{} {number}: {trial:?}", target.name());
                accepted += u32::from(trial.verdict == Verdict::Accepted);
            }
            assert!(accepted > 0, "{} lets nothing in", target.name());
        }
    }
}
