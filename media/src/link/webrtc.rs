//! Direct WebRTC with no server between: a browser's offer in, an answer and a [`Link`] out, all calls on one UDP port.
//!
//! ```text
//!   offer ─► sdp (reads, checks, writes anew) ─► connection (the `rtc` stack, sans-IO) ─► answer
//!
//!   UDP port ─► mux ─► table: whose packet? ─► queue ─► peer, the call's task ─┬─► playout ─► Inbound::Audio
//!      ▲                                                │                       └─► Inbound::Message
//!      └──────────── route: where is the caller now? ◄──┴── voice, channel ◄── Outbound, if the fence admits it
//! ```
//!
//! The endpoint is ICE-lite: it answers checks and starts none of its own accord, so every address of every interface is
//! a candidate at once and nothing is gathered. A caller who changes networks checks from the new address and is followed
//! there without a new offer.

mod call;
pub mod caller;
mod channel;
mod connection;
mod error;
mod guard;
mod interfaces;
mod mux;
mod peer;
mod playout;
mod route;
mod sdp;
mod statistics;
mod stun;
mod table;
mod voice;

pub use call::{Answered, Call};
pub use channel::{LABEL, RESERVED_LABEL};
pub use error::{Error, OfferError};
pub use sdp::MAX_OFFER_BYTES;
pub use statistics::{CallStatistics, EndpointStatistics};

#[cfg(feature = "livekit")]
pub(super) use connection::{StackError, add_local, build, checking_settings, voice_track};
#[cfg(feature = "livekit")]
pub(super) use interfaces::usable;
#[cfg(feature = "livekit")]
pub(super) use playout::Playout;
#[cfg(feature = "livekit")]
pub(super) use voice::Voice;

use crate::clock::Clock;
use crate::codec::EncoderSettings;
use crate::frame::FRAME;
use crate::jitter::JitterSettings;
use crate::link::pair;
use call::Phase;
use connection::Connection;
use mux::Mux;
use peer::{Parts, Peer};
#[cfg(not(feature = "livekit"))]
use playout::Playout;
use rand::Rng as _;
use sdp::{Answer, Candidate, Direction, Offer};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
#[cfg(not(feature = "livekit"))]
use voice::Voice;

/// The longest message that a caller may send on the data channel.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Where and how calls are taken.
#[derive(Debug, Clone)]
pub struct EndpointSettings {
    /// The UDP port of all calls; 0 takes any that is free.
    pub udp_port: u16,
    /// The addresses to listen on; none means every usable interface, loopback among them.
    pub bind_addresses: Vec<IpAddr>,
    /// Addresses under which this machine is known outside, as behind a NAT that forwards the port. They are offered
    /// first, and the interfaces' own after them.
    pub advertised_addresses: Vec<IpAddr>,
    /// The most calls at a time.
    pub max_peers: usize,
    /// How our voice is encoded.
    pub audio: EncoderSettings,
    /// How long a caller's packets wait.
    pub jitter: JitterSettings,
    /// How long a call may take from the answer to the end of the handshake.
    pub connect_timeout: Duration,
    /// How long a connected caller may be unheard of, checks included, before the call counts as lost.
    pub silence_timeout: Duration,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            udp_port: 0,
            bind_addresses: Vec::new(),
            advertised_addresses: Vec::new(),
            max_peers: 100,
            audio: EncoderSettings::default(),
            jitter: JitterSettings::default(),
            connect_timeout: Duration::from_secs(15),
            // A browser checks every 2.5 s and gives up by itself after 15 s or more.
            silence_timeout: Duration::from_secs(15),
        }
    }
}

/// Takes WebRTC calls on one UDP port. Cheap to clone; when the last clone is dropped all calls end.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

struct Shared {
    settings: EndpointSettings,
    mux: Arc<Mux>,
    clock: Clock,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Endpoint {
    /// Binds the port on every address. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// What could not be had, with what to look at.
    pub fn bind(settings: EndpointSettings) -> Result<Self, Error> {
        let addresses = if settings.bind_addresses.is_empty() {
            interfaces::usable().map_err(Error::Interfaces)?
        } else {
            settings.bind_addresses.clone()
        };
        if addresses.is_empty() {
            return Err(Error::NoAddress);
        }
        let crypto =
            rtc::crypto::default_provider().map_err(|error| Error::Crypto(error.to_string()))?;
        let clock = Clock::start();
        let mux = Mux::bind(
            &addresses,
            settings.udp_port,
            settings.max_peers,
            crypto,
            clock,
        )
        .map_err(|(address, source)| Error::Bind { address, source })?;
        let (mux, tasks, stop) = (Arc::new(mux), TaskTracker::new(), CancellationToken::new());
        for index in 0..addresses.len() {
            tasks.spawn(
                stop.clone()
                    .run_until_cancelled_owned(mux.clone().read(index)),
            );
        }
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                mux,
                clock,
                tasks,
                stop,
            }),
        })
    }

    /// The addresses listened on, all with the same port.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.shared.mux.addresses().collect()
    }

    /// The UDP port of all calls.
    pub fn port(&self) -> u16 {
        self.shared
            .mux
            .addresses()
            .next()
            .map_or(0, |address| address.port())
    }

    /// Answers an offer and starts the call. `id` names it in logs. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// What is wrong with the offer, or [`OfferError::Full`].
    pub fn answer(&self, offer: &str, id: &str) -> Result<Answered, OfferError> {
        let Shared {
            settings,
            mux,
            clock,
            tasks,
            stop,
        } = &*self.shared;
        let full = || OfferError::Full { calls: mux.calls() };
        if !mux.has_room() {
            return Err(full());
        }
        let offer = Offer::parse(offer)?;
        let (ufrag, password) = (random_text(16), random_text(32));
        let now = clock.instant(clock.now());
        let (connection, fingerprint) =
            Connection::answering(now, &offer, &ufrag, &password, mux.addresses())?;
        let voice = Voice::new(settings.audio.clone(), offer.payload_type, connection.ssrc)?;
        // Each call's beat has a phase of its own, so that forty calls do not wake at once.
        let phase = FRAME.mul_f64(rand::rng().random());
        let playout = Playout::new(settings.jitter, phase)?;
        let answer = Answer {
            offer: &offer,
            ufrag: &ufrag,
            password: &password,
            fingerprint: &fingerprint,
            candidates: &self.candidates(),
            ssrc: connection.ssrc,
            max_message_bytes: MAX_MESSAGE_BYTES,
        };
        let sdp = answer.to_string();

        let port = mux
            .join(ufrag, password, offer.password.clone())
            .ok_or_else(full)?;
        let (link, wire) = pair();
        let (phase, watched) = watch::channel(Phase::Connecting);
        let call = Call {
            phase: watched,
            hang_up: stop.child_token(),
            statistics: Arc::default(),
        };
        let peer = Peer::new(Parts {
            clock: *clock,
            connection,
            port,
            wire,
            voice,
            playout,
            payload_type: offer.payload_type,
            is_heard: offer.direction != Direction::SendOnly,
            connect_timeout: settings.connect_timeout,
            silence_timeout: settings.silence_timeout,
            hang_up: call.hang_up.clone(),
            phase,
            statistics: call.statistics.clone(),
        });
        let (id, statistics) = (id.to_owned(), call.statistics.clone());
        tasks.spawn(async move {
            peer.run().await;
            let statistics = *statistics.lock().unwrap_or_else(PoisonError::into_inner);
            tracing::debug!(call = %id, ?statistics, "A WebRTC call has left the port.");
        });
        Ok(Answered { sdp, link, call })
    }

    /// What has happened on the port.
    pub fn statistics(&self) -> EndpointStatistics {
        let mux = &self.shared.mux;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        EndpointStatistics {
            calls: mux.calls(),
            remembered: mux.traces(),
            malformed: count(&mux.dropped.malformed),
            unknown: count(&mux.dropped.unknown),
            unsigned: count(&mux.dropped.unsigned),
            too_many_sources: count(&mux.dropped.too_many_sources),
            overflowed: count(&mux.dropped.overflowed),
            unsent: count(&mux.dropped.unsent),
        }
    }

    /// Ends all calls and the reading of the port, and waits until every task of theirs is gone. A session that neither
    /// reads its inbox nor drops it is waited for.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// The advertised addresses first, then our own, loopback last.
    fn candidates(&self) -> Vec<Candidate> {
        let advertised = self.shared.settings.advertised_addresses.iter();
        let port = self.port();
        let advertised = advertised.map(|ip| SocketAddr::new(*ip, port));
        let addresses = advertised.chain(self.shared.mux.addresses());
        (0..)
            .zip(addresses)
            .map(|(place, address)| Candidate { address, place })
            .collect()
    }
}

fn random_text(length: usize) -> String {
    rand::rng()
        .sample_iter(rand::distr::Alphanumeric)
        .take(length)
        .map(char::from)
        .collect()
}
