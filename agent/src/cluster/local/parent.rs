//! The program that started this worker process, as the process sees it: settings come from its standard input, records go to
//! its standard output, and when the input ends the program is gone.
//!
//! ```text
//!   parlor serve ──stdin──► settings, "drain", its end    ──► worker
//!        ▲                                                       │
//!        └────────── stdout: a record a line, as in a registry ──┘
//! ```

use super::handover::Handover;
use proto::registry::WorkerRecord;
use std::io::{self, BufRead as _, Read as _};
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, Stdout};
use tokio::sync::{Mutex, oneshot};
use tokio_util::sync::CancellationToken;
use workers::{AnnounceError, Announcer, Found, Rhythm};

/// The line that asks for a drain.
pub(super) const DRAIN: &[u8] = b"drain\n";
/// Longer than any settings.
const LONGEST_BYTES: u64 = 16 << 20;
/// How long the process may live on without its program: nobody can hear it any more.
const OUTLIVES: Duration = Duration::from_secs(1);
/// And if that does not end it, because an engine holds it up.
const LAST_RESORT: Duration = Duration::from_secs(3);
/// How often it tells of itself: it costs a line in a pipe.
const RHYTHM: Rhythm = Rhythm {
    heartbeat: Duration::from_secs(2),
    ttl: Duration::from_secs(30),
    look: Duration::from_millis(500),
    retry: Duration::from_secs(1),
};

/// The program that started this process.
#[derive(Clone)]
pub struct Parent {
    draining: CancellationToken,
    gone: CancellationToken,
    out: Arc<Mutex<Stdout>>,
}

impl Parent {
    /// Reads what is handed over, and heeds the program from now on: when it is gone, this process ends in any case.
    ///
    /// # Errors
    /// When nothing is handed over, as to a process that a person has started.
    pub async fn heed() -> Result<(Self, Handover), String> {
        let parent = Self {
            draining: CancellationToken::new(),
            gone: CancellationToken::new(),
            out: Arc::new(Mutex::new(tokio::io::stdout())),
        };
        let (tell, told) = oneshot::channel();
        let (draining, gone) = (parent.draining.clone(), parent.gone.clone());
        // A thread, because it must heed the end of its input even if every other thread of the process is held up.
        thread::Builder::new()
            .name("parent".to_owned())
            .spawn(move || {
                let mut input = io::stdin().lock();
                // Whoever waits for it may have given up.
                let _ = tell.send(first_line(&mut input));
                take_orders(input, &draining);
                draining.cancel();
                gone.cancel();
                thread::sleep(LAST_RESORT);
                process::exit(1);
            })
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        let line = told
            .await
            .map_err(|_| "standard input cannot be read".to_owned())?
            .map_err(|error| format!("cannot read standard input: {error}"))?;
        let handover = Handover::parse(&line)
            .map_err(|why| format!("no settings came through standard input ({why})"))?;
        Ok((parent, handover))
    }

    /// Done when the process is to end: whoever is being spoken to is spoken to until the end, unless the program is gone.
    pub async fn wants_an_end(&self) {
        self.draining.cancelled().await;
    }

    /// Done a moment after the program has gone, however that came about.
    pub async fn is_gone(&self) {
        self.gone.cancelled().await;
        tokio::time::sleep(OUTLIVES).await;
    }

    /// Tells the program what the worker says about itself.
    pub fn announcer(&self) -> Arc<dyn Announcer> {
        Arc::new(Told(self.out.clone()))
    }

    /// How often it does.
    pub fn rhythm(&self) -> Rhythm {
        RHYTHM
    }
}

fn first_line(input: &mut impl io::BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    input.take(LONGEST_BYTES).read_until(b'\n', &mut line)?;
    Ok(line)
}

/// Reads orders until the input ends.
fn take_orders(input: impl io::BufRead, draining: &CancellationToken) {
    // One that cannot be read any more is as good as ended.
    for order in input.split(b'\n').map_while(Result::ok) {
        if DRAIN.strip_suffix(b"\n") == Some(order.as_slice()) {
            draining.cancel();
        }
    }
}

/// Records as lines on standard output.
struct Told(Arc<Mutex<Stdout>>);

impl Told {
    async fn write(&self, line: &str) -> io::Result<()> {
        // Held while it is written, so that no two lines are mixed.
        let mut out = self.0.lock().await;
        // Taken as a whole, however long its way takes: whoever gives up waiting tears no line.
        out.write_all(line.as_bytes()).await?;
        out.flush().await
    }
}

#[tonic::async_trait]
impl Announcer for Told {
    async fn announce(&self, record: &WorkerRecord, _ttl: Duration) -> Result<(), AnnounceError> {
        let mut line = record.to_json();
        line.push('\n');
        let written = self.write(&line).await;
        written.map_err(|error| AnnounceError(error.to_string()))
    }

    async fn found(&self, _own: &WorkerRecord) -> Result<Found, AnnounceError> {
        // What is in a pipe does not vanish.
        Ok(Found::Own)
    }

    async fn withdraw(&self, _record: &WorkerRecord) -> Result<(), AnnounceError> {
        // The end of the process says it.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_order_to_drain_drains_and_the_settings_are_one_line() {
        let mut input = io::Cursor::new(b"{\"settings\":1}\nwhat\ndraining\n".to_vec());
        assert_eq!(
            first_line(&mut input).unwrap(),
            b"{\"settings\":1}\n".to_vec()
        );
        let draining = CancellationToken::new();
        take_orders(input, &draining);
        assert!(!draining.is_cancelled());
        take_orders(io::Cursor::new(DRAIN), &draining);
        assert!(draining.is_cancelled());
    }
}
