//! Two workers of one name: which of them is alive.
//!
//! ```text
//!   another's record is found ──nobody answers at its address──► free
//!       │                                                        ▲
//!       └──► unclear ──not written again while a record lasts────┘
//!               └──────written again──► taken, until it is no longer there
//! ```

use super::Found;
use proto::registry::WorkerRecord;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a host may take to say that nobody answers there.
const PROBE: Duration = Duration::from_secs(1);

/// Whose a name is.
#[derive(Debug, PartialEq)]
pub(super) enum Name {
    /// This worker's, or nobody's who is alive.
    Free,
    /// Another's, of which nobody knows whether it is alive.
    Unclear,
    /// Another's, which has written this record since it was first seen.
    Taken(Box<WorkerRecord>),
}

/// What is known of others with the name.
pub(super) struct Rivals {
    ttl: Duration,
    rival: Option<Rival>,
}

struct Rival {
    addr: String,
    /// What it wrote as the time of its writing.
    written: f64,
    since: Duration,
    verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Unclear,
    Alive,
    Dead,
}

impl Rivals {
    /// A record lasts so long without being written again.
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, rival: None }
    }

    /// Judges what was found under this worker's name at `now`.
    pub(super) async fn judge(&mut self, found: Found, now: Duration) -> Name {
        let found = match found {
            Found::Nothing => {
                self.rival = None;
                return Name::Free;
            }
            Found::Own => {
                // One that was taken for dead is remembered: should it come back, it is not.
                self.rival.take_if(|rival| rival.verdict != Verdict::Dead);
                return Name::Free;
            }
            Found::Another(found) => *found,
        };
        match &mut self.rival {
            Some(rival) if rival.addr == found.addr => {
                if rival.written != found.last_heartbeat_ts {
                    rival.written = found.last_heartbeat_ts;
                    rival.verdict = Verdict::Alive;
                } else if rival.verdict == Verdict::Unclear
                    && now.saturating_sub(rival.since) >= self.ttl
                {
                    rival.verdict = Verdict::Dead;
                }
            }
            rival => {
                let verdict = match is_refused(&found.addr).await {
                    true => Verdict::Dead,
                    false => Verdict::Unclear,
                };
                *rival = Some(Rival {
                    addr: found.addr.clone(),
                    written: found.last_heartbeat_ts,
                    since: now,
                    verdict,
                });
            }
        }
        match self.rival.as_ref().map(|rival| rival.verdict) {
            Some(Verdict::Alive) => Name::Taken(Box::new(found)),
            Some(Verdict::Unclear) => Name::Unclear,
            Some(Verdict::Dead) | None => Name::Free,
        }
    }
}

/// Whether the host at an address says that nobody answers there. Silence says nothing.
async fn is_refused(addr: &str) -> bool {
    let place = addr.split_once("://").map_or(addr, |(_, place)| place);
    match timeout(PROBE, TcpStream::connect(place)).await {
        Ok(Err(error)) => error.kind() == ErrorKind::ConnectionRefused,
        Ok(Ok(_)) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const TTL: Duration = Duration::from_secs(30);

    fn record(addr: &str, written: f64) -> WorkerRecord {
        WorkerRecord {
            name: "tts-piper@0".into(),
            addr: addr.into(),
            last_heartbeat_ts: written,
            ..WorkerRecord::default()
        }
    }

    /// An address at which somebody answers as long as the listener lives.
    async fn somebody() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = format!("grpc://{}", listener.local_addr().unwrap());
        (listener, addr)
    }

    #[tokio::test]
    async fn a_name_is_free_where_nobody_answers_any_more() {
        let mut rivals = Rivals::new(TTL);
        assert_eq!(rivals.judge(Found::Nothing, TTL).await, Name::Free);
        assert_eq!(rivals.judge(Found::Own, TTL).await, Name::Free);
        let (listener, addr) = somebody().await;
        drop(listener);
        let at = |written| Found::Another(Box::new(record(&addr, written)));
        assert_eq!(rivals.judge(at(1.0), TTL).await, Name::Free);
        // It could not be overwritten the first time.
        assert_eq!(rivals.judge(at(1.0), TTL).await, Name::Free);
        // Who writes again is alive, whatever its address says to others.
        assert_eq!(rivals.judge(Found::Own, TTL).await, Name::Free);
        let taken = Name::Taken(Box::new(record(&addr, 2.0)));
        assert_eq!(rivals.judge(at(2.0), TTL).await, taken);
    }

    #[tokio::test]
    async fn a_name_is_taken_by_who_writes_again_and_free_when_a_record_s_time_is_over() {
        let (_listener, addr) = somebody().await;
        let mut rivals = Rivals::new(TTL);
        let at = |written| Found::Another(Box::new(record(&addr, written)));
        let second = Duration::from_secs(1);
        assert_eq!(rivals.judge(at(1.0), second).await, Name::Unclear);
        assert_eq!(rivals.judge(at(1.0), TTL).await, Name::Unclear);
        let over = TTL + second;
        assert_eq!(rivals.judge(at(1.0), over).await, Name::Free);
        let taken = Name::Taken(Box::new(record(&addr, 9.0)));
        assert_eq!(rivals.judge(at(9.0), over).await, taken);
        // It stays taken as long as the record is there.
        assert_eq!(rivals.judge(at(9.0), TTL * 3).await, taken);
        assert_eq!(rivals.judge(Found::Nothing, TTL * 3).await, Name::Free);
    }
}
