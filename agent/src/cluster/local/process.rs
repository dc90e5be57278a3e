//! One worker process: what it is told, what it says, how it is.

use super::life::Answer;
use super::lines::{Line, Lines};
use super::parent;
use super::plan::{Launch, Plan};
use crate::cluster::credentials::{Access, Wire};
use proto::registry::WorkerRecord;
use secrecy::{ExposeSecret as _, SecretString};
use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a process may take to say how it is.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// How long it may take to read what it is told: a pipe holds more than that.
const READS_WITHIN: Duration = Duration::from_secs(1);

/// A process. It is killed when this is dropped.
pub(super) struct Process {
    child: Child,
    /// It ends when this is dropped.
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    /// It has closed its standard output.
    is_quiet: bool,
    /// What it said last about itself, and the way to it.
    known: Option<(WorkerRecord, Wire)>,
    asking: Option<Asking>,
}

/// How it is, once it is known.
type Asking = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What happened to a process.
pub(super) enum Happened {
    /// It said something.
    Said(Line),
    /// It says nothing more: it has ended, or is about to.
    Quiet,
    /// It was asked how it is.
    Answered(Answer),
    /// It has ended.
    Ended(io::Result<ExitStatus>),
}

impl Process {
    /// Starts one.
    ///
    /// # Errors
    /// When it cannot be started, or does not read what it is told.
    pub(super) async fn spawn(
        plan: &Plan,
        launch: &Launch,
        handover: &SecretString,
    ) -> io::Result<Self> {
        let mut command = Command::new(launch.program());
        command
            .args(plan.arguments())
            .args(&launch.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            // A Ctrl-C in a terminal is for the program, which lets its calls end first.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let out = stdout.ok_or_else(|| io::Error::other("it has no standard output"))?;
        if let Some(stdin) = &mut stdin {
            tell(stdin, handover.expose_secret().as_bytes()).await?;
        }
        Ok(Self {
            child,
            stdin,
            lines: Lines::new(BufReader::new(out)),
            is_quiet: false,
            known: None,
            asking: None,
        })
    }

    /// The number that the system knows it by.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// What happens next; for ever where there is no process. Cancel-safe.
    pub(super) async fn next(process: &mut Option<Self>) -> Happened {
        let Some(process) = process else {
            return std::future::pending().await;
        };
        tokio::select! {
            biased;
            said = process.lines.next(), if !process.is_quiet => match said {
                Ok(Some(line)) => Happened::Said(line),
                // A pipe that cannot be read is as good as ended.
                Ok(None) | Err(_) => {
                    process.is_quiet = true;
                    Happened::Quiet
                }
            },
            answer = answered(&mut process.asking) => Happened::Answered(answer),
            ended = process.child.wait() => Happened::Ended(ended),
        }
    }

    /// Takes what it says about itself.
    ///
    /// # Errors
    /// Why that is no record of this process.
    pub(super) fn hear(
        &mut self,
        line: Line,
        plan: &Plan,
        access: &Access,
    ) -> Result<(WorkerRecord, Wire), String> {
        let Line::Whole(line) = line else {
            return Err("it is too long".to_owned());
        };
        let record = WorkerRecord::parse(&line).map_err(|error| error.to_string())?;
        if record.name != plan.name || record.capabilities.kind != plan.kind() {
            return Err("it is of another worker".to_owned());
        }
        let way = match &self.known {
            Some((known, way)) if known.addr == record.addr => way.clone(),
            _ => access
                .reach(&record.addr)
                .map_err(|error| error.to_string())?,
        };
        self.known = Some((record.clone(), way.clone()));
        Ok((record, way))
    }

    /// Asks it how it is. [`Happened::Answered`] tells, within a while.
    pub(super) fn ask(&mut self) {
        let known = self.known.clone();
        self.asking = Some(Box::pin(async move {
            let Some((record, way)) = known else {
                return Answer::Silent;
            };
            match timeout(ANSWERS_WITHIN, workers::probe::is_serving(way)).await {
                // Somebody may have told it to take nobody: that is no illness.
                Ok(Ok(is_serving)) if is_serving || record.is_draining() => Answer::Well,
                Ok(Ok(_)) => Answer::Ill,
                Ok(Err(_)) | Err(_) => Answer::Silent,
            }
        }));
    }

    /// Tells it to end once all is said.
    pub(super) async fn drain(&mut self) {
        if let Some(stdin) = &mut self.stdin
            && tell(stdin, parent::DRAIN).await.is_err()
        {
            // The end of its input says the same, in other words.
            self.stdin = None;
        }
    }

    /// Kills it, however it is.
    pub(super) fn kill(&mut self) {
        // Only a process that has ended cannot be killed.
        let _ = self.child.start_kill();
    }
}

async fn answered(asking: &mut Option<Asking>) -> Answer {
    let answer = match asking.as_mut() {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    };
    *asking = None;
    answer
}

async fn tell(stdin: &mut ChildStdin, line: &[u8]) -> io::Result<()> {
    let written = timeout(READS_WITHIN, async {
        stdin.write_all(line).await?;
        stdin.flush().await
    });
    let late = |_| {
        io::Error::new(
            io::ErrorKind::TimedOut,
            "it does not read its standard input",
        )
    };
    written.await.map_err(late)?
}
