//! Workers in processes of their own, which a test may kill or stop like a machine that fails.

use crate::redis::Redis;
use parlor::cluster::Seen;
use parlor::server::App;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often a test looks whether the agent knows what it is to know.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The program, which cargo puts beside the folder of the tests.
///
/// # Panics
/// When it is not built.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("parlor");
    assert!(
        program.is_file(),
        "{} is not there; build it with cargo build --workspace",
        program.display()
    );
    program
}

/// A worker's process; it is killed with the value.
pub struct WorkerProcess {
    /// Its name in the registry.
    pub name: String,
    child: Child,
}

impl WorkerProcess {
    /// Starts a worker on a free port, and waits until it answers.
    pub fn start(kind: &str, adapter: &str, name: &str, redis: &Redis, more: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(["worker", "--kind", kind, "--adapter", adapter])
            .args(["--listen", "127.0.0.1:0", "--name", name])
            .args(["--redis", &redis.url()])
            .args(more)
            .env_remove("PARLOR_CONFIG")
            .env("RUST_LOG", "warn")
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("grpc")));
        assert!(said.is_some(), "the worker {name} ended before it answered");
        // Somebody has to take what it says from now on.
        std::thread::Builder::new()
            .name("worker-log".to_owned())
            .spawn(move || lines.for_each(drop))
            .unwrap();
        Self {
            name: name.to_owned(),
            child,
        }
    }

    /// Ends it at once, as by `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it a signal by name, as in `STOP`, `CONT`, `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until what the agent knows of the workers fits.
pub async fn until_seen(app: &App, fits: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
    let looking = async {
        loop {
            let seen = app.cluster().fleet().seen();
            if fits(&seen) {
                return seen;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    match tokio::time::timeout(crate::PATIENCE, looking).await {
        Ok(seen) => seen,
        Err(_) => panic!("it never came to that: {:?}", app.cluster().fleet().seen()),
    }
}

/// The worker of this name.
pub fn named<'a>(seen: &'a [Seen], name: &str) -> Option<&'a Seen> {
    seen.iter().find(|worker| worker.record.name == name)
}
