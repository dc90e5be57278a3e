//! The server under test: `parlor serve` in a process of its own, so that its CPU and memory are its own.

use crate::cli::{Failure, Global, out};
use anyhow::{Context as _, anyhow};
use media::Clock;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// Loading an ONNX model and a recogniser takes a second or two on a slow disk.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Longer than the server's own drain, which the bench sets to one second.
const STOPPED_WITHIN: Duration = Duration::from_secs(5);
/// The last lines of the server's log, shown when it fails.
const LOG_LINES: usize = 12;
/// The kernel counts CPU time for user programs in hundredths of a second on every architecture (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// CPU time of all its threads, in seconds.
    pub cpu_seconds: f64,
    /// CPU time of its children that have ended, in seconds.
    pub children_cpu_seconds: f64,
    /// Its resident memory, in MB of 10^6 bytes.
    pub rss_mb: f64,
}

impl Usage {
    /// What the process of this id and all its children have used; of memory that they share, each its part.
    ///
    /// # Errors
    /// When it is gone, or the system has no /proc.
    pub fn of_family(process: u32) -> anyhow::Result<Self> {
        let mut parents = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").context("there is no /proc")? {
            let name = entry.context("cannot read /proc")?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // Processes end while one looks.
            if let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat"))
                && let Some(parent) = parent(&stat)
            {
                parents.insert(id, parent);
            }
        }
        let belongs = |id: u32| {
            std::iter::successors(Some(id), |id| parents.get(id).copied())
                .take(parents.len())
                .any(|id| id == process)
        };
        let mut all = Self::default();
        let mut found = false;
        for id in parents.keys().copied().filter(|id| belongs(*id)) {
            let Ok(usage) = Self::of(&id.to_string()) else {
                continue;
            };
            found |= id == process;
            let smaps = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup"));
            all.cpu_seconds += usage.cpu_seconds + usage.children_cpu_seconds;
            all.rss_mb += smaps
                .ok()
                .and_then(|smaps| kilobytes(&smaps, "Pss:"))
                .unwrap_or(usage.rss_mb);
        }
        anyhow::ensure!(found, "there is no process {process}");
        Ok(all)
    }

    /// What the process of this id (or `self`) has used.
    ///
    /// # Errors
    /// When it is gone, or the system has no /proc.
    pub fn of(process: &str) -> anyhow::Result<Self> {
        let read = |file| {
            let path = format!("/proc/{process}/{file}");
            std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {path}: is the server still there?"))
        };
        let (stat, status) = (read("stat")?, read("status")?);
        let (cpu_seconds, children_cpu_seconds) = cpu_seconds(&stat)
            .ok_or_else(|| anyhow!("/proc/{process}/stat has an unknown form"))?;
        let rss_mb =
            rss_mb(&status).ok_or_else(|| anyhow!("/proc/{process}/status has an unknown form"))?;
        Ok(Self {
            cpu_seconds,
            children_cpu_seconds,
            rss_mb,
        })
    }
}

/// The sum of `utime` and `stime`, and that of `cutime` and `cstime` (proc(5)); the name before them may hold blanks and
/// brackets.
fn cpu_seconds(stat: &str) -> Option<(f64, f64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields
        .split_ascii_whitespace()
        .skip(11)
        .map(str::parse::<u64>);
    let mut two = || Some(fields.next()?.ok()? + fields.next()?.ok()?);
    let (own, children) = (two()?, two()?);
    Some((
        own as f64 / TICKS_PER_SECOND,
        children as f64 / TICKS_PER_SECOND,
    ))
}

fn rss_mb(status: &str) -> Option<f64> {
    kilobytes(status, "VmRSS:")
}

/// A line of memory, in units of 1024 bytes, as MB.
fn kilobytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// The process that started this one (proc(5)).
fn parent(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// What is measured.
#[derive(Debug)]
pub enum Subject {
    /// A server of our own.
    Own(Box<ServerProcess>),
    /// Somebody else's program.
    Other(u32),
}

impl Subject {
    /// Where it answers; nowhere if it is not ours.
    pub fn url(&self) -> String {
        match self {
            Self::Own(server) => server.url.clone(),
            Self::Other(_) => String::new(),
        }
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        match self {
            Self::Own(server) => server.usage(),
            Self::Other(process) => Usage::of_family(*process),
        }
    }

    /// The end of its log, if it is ours.
    pub fn last_words(&self) -> String {
        match self {
            Self::Own(server) => server.last_words(),
            Self::Other(_) => String::new(),
        }
    }

    /// Asks it to end if it is ours.
    pub async fn stop(self) {
        if let Self::Own(server) = self {
            server.stop().await;
        }
    }
}

/// How the server is to be started.
#[derive(Debug)]
pub struct Start {
    /// Settings, as `--set` takes them.
    pub settings: Vec<(String, String)>,
    /// CPUs to keep it on, as `taskset -c` takes them.
    pub cpus: Option<String>,
}

/// A running server. Dropping it kills it; [`ServerProcess::stop`] asks it to end first.
#[derive(Debug)]
pub struct ServerProcess {
    /// Where it answers, as in `http://127.0.0.1:40123`.
    pub url: String,
    child: Child,
    id: String,
    log: Log,
}

type Log = Arc<Mutex<VecDeque<String>>>;

impl ServerProcess {
    /// Starts this very program as a server on a free port of loopback, and waits until it says that it is ready.
    ///
    /// # Errors
    /// What the server said before it ended, or that it did not become ready.
    pub async fn start(global: &Global, start: Start) -> Result<Self, Failure> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut child = command(program, global, start)
            .spawn()
            .context("cannot start the server (and taskset, which --server-cpus needs)")?;
        let id = child.id().map(|id| id.to_string()).unwrap_or_default();
        let stderr = child
            .stderr
            .take()
            .context("the server has no standard error")?;
        let (ready, url) = oneshot::channel();
        let log = Log::default();
        // Ends with the server, when its standard error closes.
        TaskTracker::new().spawn(follow(
            BufReader::new(stderr),
            ready,
            log.clone(),
            global.verbose,
        ));
        let mut server = Self {
            url: String::new(),
            child,
            id,
            log,
        };
        let clock = Clock::start();
        let late = tokio::select! {
            url = url => match url {
                Ok(url) => { server.url = url; return Ok(server) }
                Err(_) => "the server ended before it was ready",
            },
            () = clock.until(READY_WITHIN) => "the server did not become ready in a minute",
        };
        let failure = Failure::Failed(anyhow!("{late}; its last words:\n{}", server.last_words()));
        server.stop().await;
        Err(failure)
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(&self.id)
            .with_context(|| format!("the server is gone; its last words:\n{}", self.last_words()))
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter()
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Asks it to end, and kills it if it does not.
    pub async fn stop(mut self) {
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // SAFETY: `kill` takes two numbers and touches no memory; the child has not been waited for, so the id is its.
            #[expect(
                unsafe_code,
                reason = "std and tokio can only kill outright, and the server shall drain"
            )]
            unsafe {
                libc::kill(id, libc::SIGTERM);
            }
        }
        let clock = Clock::start();
        tokio::select! {
            _ = self.child.wait() => {}
            () = clock.until(STOPPED_WITHIN) => {
                // Whatever is wrong with it, it goes when this value does.
                let _ = self.child.kill().await;
            }
        }
    }
}

fn command(program: PathBuf, global: &Global, start: Start) -> Command {
    let Start { settings, cpus } = start;
    let mut command = match &cpus {
        // taskset becomes the program, so the child's id is the server's.
        Some(cpus) => {
            let mut command = Command::new("taskset");
            command.arg("-c").arg(cpus).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    if let Some(file) = &global.config {
        command.arg("--config").arg(file);
    }
    for (key, value) in settings {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    if std::env::var_os("RUST_LOG").is_none() && global.verbose == 0 {
        command.env("RUST_LOG", "warn");
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn follow(
    stderr: BufReader<tokio::process::ChildStderr>,
    ready: oneshot::Sender<String>,
    log: Log,
    verbose: u8,
) {
    let mut ready = Some(ready);
    let mut lines = stderr.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(url) = address(&line)
            && let Some(ready) = ready.take()
        {
            // Nobody waits any more when it took too long.
            let _ = ready.send(url.to_owned());
        }
        if verbose > 0 {
            out::note(&format!("server: {line}"));
        }
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == LOG_LINES {
            log.pop_front();
        }
        log.push_back(line);
    }
}

/// The address in the line by which a server says that it is ready.
fn address(line: &str) -> Option<&str> {
    let (before, after) = line.split_once(" is ready. Open ")?;
    let url = after.split_ascii_whitespace().next()?;
    (before.starts_with("parlor ") && url.starts_with("http")).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_address_is_read_from_its_first_line() {
        let line = "parlor 0.1.0 is ready. Open http://127.0.0.1:40123 and speak.";
        assert_eq!(address(line), Some("http://127.0.0.1:40123"));
        assert_eq!(address("  on this network: http://192.0.2.1:8080"), None);
        assert_eq!(address("parlor: cannot listen on 127.0.0.1:8080"), None);
    }

    #[test]
    fn a_process_name_with_brackets_does_not_shift_the_fields() {
        let stat =
            "42 (par) (lor 1) S 1 42 42 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 4 0 123 456 789";
        assert_eq!(cpu_seconds(stat), Some((3.0, 0.0)));
        assert_eq!(parent(stat), Some(1));
        assert_eq!(cpu_seconds("42"), None);
    }

    #[test]
    fn a_family_is_its_eldest_and_all_its_children() {
        let own = Usage::of_family(std::process::id()).unwrap();
        assert!(own.rss_mb > 0.0);
        assert!(Usage::of_family(u32::MAX).is_err());
    }

    #[test]
    fn resident_memory_is_read_in_megabytes() {
        let status = "Name:\tparlor\nVmPeak:\t  900 kB\nVmRSS:\t   62500 kB\nThreads:\t4\n";
        assert_eq!(rss_mb(status), Some(64.0));
        assert_eq!(rss_mb("Name:\tparlor\n"), None);
    }
}
