//! One file over HTTP: where an earlier try broke, the next goes on.

use super::super::mirror::is_loopback;
use super::super::{Entry, Error};
use super::answer::{follow, innermost, parse_range, validator};
use super::part::Part;
use super::{Event, Patience, Watch};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderMap, IF_RANGE, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// A try that brought this much has not failed for nothing, in bytes.
const WORTH_BYTES: u64 = 1 << 20;
/// How long a server may ask to be left alone.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A file, and whom to ask for it.
pub(super) struct Download<'a> {
    client: Client,
    patience: &'a Patience,
    address: &'a Url,
    entry: &'a Entry,
    target: &'a Path,
}

/// Why a try failed.
enum Trouble {
    /// It may be otherwise next time.
    Passing {
        reason: String,
        /// What the server asks for.
        pause: Option<Duration>,
        /// Whether nobody answered at all.
        is_unreachable: bool,
    },
    /// It will be the same next time.
    Final(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl<'a> Download<'a> {
    pub(super) fn new(
        patience: &'a Patience,
        address: &'a Url,
        entry: &'a Entry,
        target: &'a Path,
    ) -> Result<Self, Error> {
        // Twice is fine: other commands do it too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .connect_timeout(patience.connect)
            .redirect(Policy::custom(follow))
            .user_agent(concat!("parlor/", env!("CARGO_PKG_VERSION")));
        if is_loopback(address) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| Error::Unreachable {
            host: address.host_str().unwrap_or_default().to_owned(),
            reason: innermost(&error),
            url: address.to_string(),
            path: target.to_owned(),
        })?;
        Ok(Self {
            client,
            patience,
            address,
            entry,
            target,
        })
    }

    /// Adds to the part what it lacks, with as many tries as patience allows.
    pub(super) async fn run(&self, part: &mut Part, watch: &mut dyn Watch) -> Result<(), Error> {
        let mut failures = 0;
        let mut has_answered = false;
        let mut pause = self.patience.pause;
        while part.len() < self.entry.size {
            let before = part.len();
            let (reason, asked, is_unreachable) = match self.attempt(part, watch).await {
                Ok(()) => break,
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing {
                    reason,
                    pause,
                    is_unreachable,
                }) => (reason, pause, is_unreachable),
            };
            // So that the next program finds it, should this one end now.
            part.flush().await?;
            has_answered |= !is_unreachable;
            if part.len() >= before.saturating_add(WORTH_BYTES) {
                failures = 0;
                pause = self.patience.pause;
            }
            failures += 1;
            // Whoever cannot be reached at the very first is most likely not to be reached from here.
            if failures >= self.patience.tries || !has_answered {
                return Err(self.gives_up(part, reason, is_unreachable));
            }
            // Not all at the same moment, should there be many.
            let jittered = pause.mul_f64(rand::random_range(0.5..=1.0));
            pause = (pause * 2).min(self.patience.longest_pause);
            let pause = asked.unwrap_or(jittered);
            watch.tell(&Event::Again {
                reason: &reason,
                pause,
            });
            tokio::time::sleep(pause).await;
        }
        part.flush().await
    }

    async fn attempt(&self, part: &mut Part, watch: &mut dyn Watch) -> Result<(), Trouble> {
        let mut response = self.ask(part).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if part.len() > 0 => {
                self.check_range(&response, part).await?;
            }
            StatusCode::OK => {
                if let Some(bytes) = response.content_length()
                    && bytes != self.entry.size
                {
                    return Err(self.wrong_size(format!("the server's file has {bytes} bytes")));
                }
                // It has no ranges, or another file than before: from the beginning.
                part.clear().await?;
                part.remember(self.address.as_str(), validator(response.headers()));
            }
            StatusCode::RANGE_NOT_SATISFIABLE if part.len() > 0 => {
                part.clear().await?;
                return Err(passing("the server has no rest of it"));
            }
            status => return Err(self.refused(status, response.headers())),
        }
        loop {
            let piece = match timeout(self.patience.stall, response.chunk()).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    return Err(passing(&format!("it broke off: {}", innermost(&error))));
                }
                Err(_) => {
                    let stall = self.patience.stall;
                    return Err(passing(&format!("nothing came for {stall:?}")));
                }
            };
            if part.len().saturating_add(piece.len() as u64) > self.entry.size {
                return Err(self.wrong_size("the server sends more".to_owned()));
            }
            part.write(&piece).await?;
            watch.tell(&Event::Has { bytes: part.len() });
        }
        if part.len() < self.entry.size {
            return Err(passing("it ended too early"));
        }
        Ok(())
    }

    async fn ask(&self, part: &Part) -> Result<Response, Trouble> {
        // Compressed on the way, neither length nor range would be those of the file.
        let mut request = self
            .client
            .get(self.address.clone())
            .header(ACCEPT_ENCODING, "identity");
        if part.len() > 0 {
            request = request.header(RANGE, format!("bytes={}-", part.len()));
            if let Some(validator) = part.validator(self.address.as_str()) {
                request = request.header(IF_RANGE, validator);
            }
        }
        let patience = self.patience.connect.saturating_add(self.patience.stall);
        let error = match timeout(patience, request.send()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => error,
            Err(_) => return Err(passing(&format!("no answer came for {patience:?}"))),
        };
        if error.is_redirect() {
            return Err(Trouble::Final(Error::Redirect {
                url: self.address.to_string(),
                reason: innermost(&error),
            }));
        }
        Err(Trouble::Passing {
            reason: innermost(&error),
            pause: None,
            is_unreachable: error.is_connect(),
        })
    }

    /// A server may answer with another range than the one that was asked for, or with one of another file.
    async fn check_range(&self, response: &Response, part: &mut Part) -> Result<(), Trouble> {
        let range = response.headers().get(CONTENT_RANGE);
        let range = range.and_then(|range| range.to_str().ok());
        match range.and_then(parse_range) {
            Some((_, Some(total))) if total != self.entry.size => {
                Err(self.wrong_size(format!("the server's file has {total} bytes")))
            }
            Some((start, _)) if start == part.len() => Ok(()),
            _ => {
                part.clear().await?;
                Err(passing("the server sent another part than was asked for"))
            }
        }
    }

    fn refused(&self, status: StatusCode, headers: &HeaderMap) -> Trouble {
        let is_passing = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            );
        if !is_passing {
            return Trouble::Final(Error::Status {
                url: self.address.to_string(),
                status: status.to_string(),
            });
        }
        let pause = headers.get(RETRY_AFTER);
        let pause = pause.and_then(|pause| pause.to_str().ok()?.parse().ok());
        Trouble::Passing {
            reason: format!("the server answers {status}"),
            pause: pause.map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER)),
            is_unreachable: false,
        }
    }

    fn wrong_size(&self, says: String) -> Trouble {
        Trouble::Final(Error::Size {
            url: self.address.to_string(),
            says,
            size: self.entry.size,
        })
    }

    fn gives_up(&self, part: &Part, reason: String, is_unreachable: bool) -> Error {
        let url = self.address.to_string();
        if is_unreachable {
            Error::Unreachable {
                host: self.address.host_str().unwrap_or_default().to_owned(),
                reason,
                url,
                path: self.target.to_owned(),
            }
        } else {
            Error::Broken {
                url,
                reason,
                has: part.len(),
                size: self.entry.size,
            }
        }
    }
}

fn passing(reason: &str) -> Trouble {
    Trouble::Passing {
        reason: reason.to_owned(),
        pause: None,
        is_unreachable: false,
    }
}
