//! Start time and resident memory of a district's program, after a clean stop and after a kill.

use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::machine::memory_mb;
use super::nodes::{self, EDITS, Place};
use super::sheet;
use super::stopwatch::{Stopwatch, real};

/// The program, built beside the figures.
const PROGRAM: &str = env!("CARGO_BIN_EXE_raccordo-under-test");
/// How often the program is asked whether it serves.
const LOOK: Duration = Duration::from_millis(2);
/// How long it rests before its memory is read again.
const REST: Duration = Duration::from_secs(3);

pub(crate) async fn measure(place: &Place, records: u32) -> anyhow::Result<()> {
    let (data, node) = nodes::fresh(place, "start", Some('A'), true).await?;
    let watch = Stopwatch::start();
    let lines = nodes::workload('A', records, EDITS).lines();
    let count = real(lines.len());
    let made = watch.seconds();
    nodes::import(&node.engine(), lines).await?;
    let seconds = watch.seconds() - made;
    let disk = node.engine().status().disk_bytes;
    node.stop().await;
    let size = format!("{records} records x {EDITS} edits");
    sheet::remark(&format!(
        "{size}: filled in {seconds:.1} s, {:.0} lines/s; {:.0} MB on disk",
        count / seconds,
        real(usize::try_from(disk)?) / 1e6
    ));
    let mut clean = serve(&data).await?;
    report(&size, "after a clean stop", &mut clean).await?;
    rustix::process::kill_process(pid(&clean.child)?, rustix::process::Signal::TERM)?;
    ensure!(
        clean.child.wait()?.success(),
        "the program ends cleanly when told to"
    );
    let mut again = serve(&data).await?;
    report(&size, "after a second clean stop", &mut again).await?;
    again.child.kill()?;
    again.child.wait()?;
    let mut killed = serve(&data).await?;
    report(&size, "after kill -9", &mut killed).await?;
    killed.child.kill()?;
    killed.child.wait()?;
    Ok(())
}

/// A program that serves.
struct Serving {
    child: Child,
    seconds: f64,
}

async fn report(size: &str, when: &str, serving: &mut Serving) -> anyhow::Result<()> {
    let process = serving.child.id().to_string();
    let (_, starting) = memory_mb(&process);
    tokio::time::sleep(REST).await;
    let (resting, _) = memory_mb(&process);
    ensure!(resting > 0.0, "the program still runs");
    sheet::single(
        &format!("start {when}, until it serves"),
        size,
        "s",
        serving.seconds,
        &[],
    );
    sheet::single(
        &format!("resident memory {when}, at rest"),
        size,
        "MB",
        resting,
        &[],
    );
    sheet::remark(&format!("most while starting: {starting:.0} MB"));
    Ok(())
}

/// Starts the program and waits until it says that it is ready.
async fn serve(data: &Path) -> anyhow::Result<Serving> {
    let socket = data.join("socket");
    if socket.exists() {
        std::fs::remove_file(&socket)?;
    }
    let watch = Stopwatch::start();
    let child = Command::new(PROGRAM)
        .args(["run", "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("the program starts")?;
    let mut serving = Serving {
        child,
        seconds: 0.0,
    };
    loop {
        if ready(&socket) {
            serving.seconds = watch.seconds();
            return Ok(serving);
        }
        ensure!(
            serving.child.try_wait()?.is_none(),
            "the program ended by itself"
        );
        ensure!(
            watch.seconds() < 600.0,
            "the program serves within ten minutes"
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether the node answers that it is ready, on the socket for commands.
fn ready(socket: &Path) -> bool {
    let Ok(facts) = std::fs::metadata(socket) else {
        return false;
    };
    let path = if facts.file_type().is_socket() {
        socket.to_owned()
    } else {
        // Where the folder's path is too long for a socket, a file names another.
        std::fs::read_to_string(socket).unwrap_or_default().into()
    };
    UnixStream::connect(path).is_ok_and(answers)
}

fn answers(mut stream: impl std::io::Read + std::io::Write) -> bool {
    let asked =
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    asked.is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

fn pid(child: &Child) -> anyhow::Result<rustix::process::Pid> {
    let number = i32::try_from(child.id())?;
    rustix::process::Pid::from_raw(number).context("a child has a number")
}
