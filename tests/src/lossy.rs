//! A bad network, made of dice with a seed: a UDP proxy that loses, delays, doubles and overtakes.
//!
//! ```text
//!   callers ──► Lossy::address ──► a socket for each caller ──► target
//!                   dice of one direction ┘└ dice of the other
//! ```

mod dice;
mod livekit;
mod queue;

pub use dice::Impairment;
pub use livekit::LossyLiveKit;

use dice::{Dice, Fate};
use media::Clock;
use queue::Queue;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::UdpSocket;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Callers at once; what another sends is dropped and counted as refused.
const CALLERS: usize = 64;
/// No datagram on a loopback is longer.
const DATAGRAM_BYTES: usize = 65_536;

/// The proxy; it ends with the value.
#[derive(Debug)]
pub struct Lossy {
    /// Where callers send instead.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _running: DropGuard,
}

/// What became of the packets so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Towards the target.
    pub up: Counts,
    /// Towards the callers.
    pub down: Counts,
}

/// What became of one direction's packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Came.
    pub received: u64,
    /// Were lost by the dice.
    pub lost: u64,
    /// Were held back so that later ones overtake them.
    pub held_back: u64,
    /// Were sent twice.
    pub doubled: u64,
    /// Came while the line was cut.
    pub cut: u64,
    /// Found no room: too many callers, or too many packets under way.
    pub refused: u64,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    dice: [Dice; 2],
    carried: Carried,
    is_cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

impl Lossy {
    /// A proxy in front of `target`, on a free port of the loopback.
    pub async fn between(target: SocketAddr, impairment: Impairment) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = socket.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            clock: Clock::start(),
            state: Mutex::new(State {
                dice: Dice::pair(&impairment),
                carried: Carried::default(),
                is_cut: false,
            }),
        });
        let stop = CancellationToken::new();
        let proxy = Proxy {
            target,
            socket: Arc::new(socket),
            shared: shared.clone(),
            tasks: TaskTracker::new(),
            stop: stop.clone(),
        };
        proxy.tasks.clone().spawn(proxy.run());
        Self {
            address,
            shared,
            _running: stop.drop_guard(),
        }
    }

    /// Makes the network another from now on; the dice begin anew with its seed.
    pub fn set(&self, impairment: Impairment) {
        self.shared.lock().dice = Dice::pair(&impairment);
    }

    /// Drops everything until [`Lossy::heal`].
    pub fn cut(&self) {
        self.shared.lock().is_cut = true;
    }

    /// Ends a cut.
    pub fn heal(&self) {
        self.shared.lock().is_cut = false;
    }

    /// What became of the packets so far.
    pub fn carried(&self) -> Carried {
        self.shared.lock().carried
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Every change is one step, so a panic elsewhere leaves nothing half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self, direction: Direction) -> Option<Fate> {
        let mut state = self.lock();
        let fate = match state.is_cut {
            true => None,
            false => Some(state.dice[direction as usize].throw()),
        };
        let counts = state.carried.of(direction);
        counts.received += 1;
        match fate {
            None => counts.cut += 1,
            Some(Fate::Lost) => counts.lost += 1,
            Some(Fate::Sent {
                is_held_back,
                is_doubled,
                ..
            }) => {
                counts.held_back += u64::from(is_held_back);
                counts.doubled += u64::from(is_doubled);
            }
        }
        fate
    }

    fn refused(&self, direction: Direction) {
        self.lock().carried.of(direction).refused += 1;
    }
}

impl Carried {
    fn of(&mut self, direction: Direction) -> &mut Counts {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}

/// What runs.
#[derive(Clone)]
struct Proxy {
    target: SocketAddr,
    socket: Arc<UdpSocket>,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Proxy {
    async fn run(self) {
        let mut lines: HashMap<SocketAddr, Line> = HashMap::new();
        let mut datagram = vec![0; DATAGRAM_BYTES];
        loop {
            let received = tokio::select! {
                received = self.socket.recv_from(&mut datagram) => received,
                () = self.stop.cancelled() => return,
            };
            // An error tells of a packet sent before, to a caller who is gone.
            let Ok((length, caller)) = received else {
                continue;
            };
            if !lines.contains_key(&caller) {
                match self.line(caller, lines.len()).await {
                    Some(line) => _ = lines.insert(caller, line),
                    None => self.shared.refused(Direction::Up),
                }
            }
            if let Some(line) = lines.get_mut(&caller) {
                line.carry(&datagram[..length], &self.shared);
            }
        }
    }

    /// A new caller's line, and the way back of it.
    async fn line(&self, caller: SocketAddr, there_are: usize) -> Option<Line> {
        if there_are >= CALLERS {
            return None;
        }
        let upstream = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.ok()?;
        upstream.connect(self.target).await.ok()?;
        let upstream = Arc::new(upstream);
        let back = Line::new(Direction::Down, self.socket.clone(), Some(caller), self);
        self.tasks.spawn(self.clone().back(upstream.clone(), back));
        Some(Line::new(Direction::Up, upstream, None, self))
    }

    async fn back(self, upstream: Arc<UdpSocket>, mut line: Line) {
        let mut datagram = vec![0; DATAGRAM_BYTES];
        loop {
            let received = tokio::select! {
                received = upstream.recv(&mut datagram) => received,
                () = self.stop.cancelled() => return,
            };
            // An error tells that nobody listened at the target when something was sent; somebody may again.
            if let Ok(length) = received {
                line.carry(&datagram[..length], &self.shared);
            }
        }
    }
}

/// One direction of one caller.
struct Line {
    direction: Direction,
    queue: Queue,
}

impl Line {
    fn new(
        direction: Direction,
        socket: Arc<UdpSocket>,
        to: Option<SocketAddr>,
        proxy: &Proxy,
    ) -> Self {
        let (queue, sending) = Queue::new(socket, to, proxy.shared.clock);
        let stop = proxy.stop.clone();
        proxy
            .tasks
            .spawn(async move { stop.run_until_cancelled(sending).await });
        Self { direction, queue }
    }

    fn carry(&mut self, datagram: &[u8], shared: &Shared) {
        let Some(Fate::Sent {
            delay,
            is_held_back,
            is_doubled,
        }) = shared.fate(self.direction)
        else {
            return;
        };
        let due = self.queue.due(shared.clock.now(), delay, is_held_back);
        for _ in 0..1 + u8::from(is_doubled) {
            if !self.queue.put(due, datagram) {
                shared.refused(self.direction);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PATIENCE;
    use std::time::Duration;

    /// Sends `packets` numbered packets there and back, and answers the numbers that came back in their order.
    async fn there_and_back(lossy: &Lossy, target: &UdpSocket, packets: u16) -> Vec<u16> {
        let caller = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        caller.connect(lossy.address).await.unwrap();
        let (mut datagram, mut came) = ([0; 2], Vec::new());
        for number in 0..packets {
            let before = lossy.carried();
            caller.send(&number.to_be_bytes()).await.unwrap();
            until(|| lossy.carried().up.received > before.up.received).await;
            let after = lossy.carried();
            // Without a delay a packet that is not lost has been sent by now.
            let copies = match (after.up.lost - before.up.lost, after.up.cut - before.up.cut) {
                (0, 0) => 1 + after.up.doubled - before.up.doubled,
                _ => 0,
            };
            for _ in 0..copies {
                let back = target.recv_from(&mut datagram);
                let (_, from) = tokio::time::timeout(PATIENCE, back).await.unwrap().unwrap();
                let before = lossy.carried().down;
                target.send_to(&datagram, from).await.unwrap();
                until(|| lossy.carried().down.received > before.received).await;
                let after = lossy.carried().down;
                if (after.lost, after.cut) == (before.lost, before.cut) {
                    let back = caller.recv(&mut datagram);
                    tokio::time::timeout(PATIENCE, back).await.unwrap().unwrap();
                    came.push(u16::from_be_bytes(datagram));
                }
            }
        }
        came
    }

    async fn until(mut done: impl FnMut() -> bool) {
        let waiting = async {
            while !done() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    }

    #[tokio::test]
    async fn the_same_seed_loses_the_same_packets_in_both_directions() {
        let target = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let bad = Impairment {
            loss: 0.2,
            seed: 7,
            ..Impairment::default()
        };
        let mut runs = Vec::new();
        for _ in 0..2 {
            let lossy = Lossy::between(target.local_addr().unwrap(), bad).await;
            runs.push((there_and_back(&lossy, &target, 300).await, lossy.carried()));
        }
        assert_eq!(runs[0], runs[1]);
        let (came, carried) = &runs[0];
        assert!(came.is_sorted(), "without delays nothing is overtaken");
        assert_eq!(carried.up.received, 300);
        assert_eq!(carried.down.received, 300 - carried.up.lost);
        assert_eq!(came.len() as u64, carried.down.received - carried.down.lost);
        assert!((40..=80).contains(&carried.up.lost), "{carried:?}");
        assert_ne!(carried.up.lost, 0);
        assert_ne!(carried.down.lost, 0);
    }

    #[tokio::test]
    async fn a_cut_line_carries_nothing_until_it_is_healed_and_a_new_network_counts_at_once() {
        let target = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let fine = Impairment::default();
        let lossy = Lossy::between(target.local_addr().unwrap(), fine).await;
        assert_eq!(there_and_back(&lossy, &target, 3).await, [0, 1, 2]);
        lossy.cut();
        assert_eq!(there_and_back(&lossy, &target, 3).await, [0; 0]);
        assert_eq!(lossy.carried().up.cut, 3);
        lossy.heal();
        assert_eq!(there_and_back(&lossy, &target, 2).await, [0, 1]);
        lossy.set(Impairment {
            duplicate: 1.0,
            ..fine
        });
        let came = there_and_back(&lossy, &target, 1).await;
        assert_eq!(
            came,
            [0, 0],
            "each of the two copies comes, and is doubled on its way back"
        );
    }

    #[tokio::test]
    async fn what_is_held_back_is_overtaken() {
        let target = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let all = Impairment {
            reorder: 1.0,
            ..Impairment::default()
        };
        let lossy = Lossy::between(target.local_addr().unwrap(), all).await;
        let caller = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        caller.connect(lossy.address).await.unwrap();
        caller.send(b"first").await.unwrap();
        until(|| lossy.carried().up.held_back == 1).await;
        lossy.set(Impairment {
            jitter: Duration::from_millis(1),
            ..Impairment::default()
        });
        caller.send(b"second").await.unwrap();
        let (mut datagram, mut came) = ([0; 16], Vec::new());
        while came.len() < 2 {
            let next = target.recv(&mut datagram);
            let length = tokio::time::timeout(PATIENCE, next).await.unwrap().unwrap();
            came.push(datagram[..length].to_vec());
        }
        assert_eq!(came, [b"second".to_vec(), b"first".to_vec()]);
    }

    #[tokio::test]
    async fn each_caller_has_a_socket_of_its_own_and_too_many_are_refused() {
        let target = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let lossy = Lossy::between(target.local_addr().unwrap(), Impairment::default()).await;
        let (mut callers, mut seen, mut datagram) = (Vec::new(), Vec::new(), [0; 4]);
        for _ in 0..CALLERS {
            let caller = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            caller.send_to(b"here", lossy.address).await.unwrap();
            let next = target.recv_from(&mut datagram);
            seen.push(
                tokio::time::timeout(PATIENCE, next)
                    .await
                    .unwrap()
                    .unwrap()
                    .1,
            );
            callers.push(caller);
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), CALLERS);
        let another = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        another.send_to(b"here", lossy.address).await.unwrap();
        until(|| lossy.carried().up.refused == 1).await;
        assert_eq!(lossy.carried().up.received, CALLERS as u64);
    }
}
