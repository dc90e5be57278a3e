//! Packets under way: each leaves when it is due.

use media::Clock;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Packets of one line that wait to be looked at or to be due; another finds no room, as on a full wire.
const UNDER_WAY: usize = 1024;

/// Where packets of one line are put.
pub(super) struct Queue {
    packets: mpsc::Sender<Packet>,
    put: u64,
    /// When the last packet is due that none may overtake.
    last_due: Duration,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    due: Duration,
    /// Of those that are due at once the first to come is the first to leave.
    number: u64,
    datagram: Vec<u8>,
}

impl Queue {
    /// A queue, and what sends its packets to an address, or to whom the socket is connected.
    pub(super) fn new(
        socket: Arc<UdpSocket>,
        to: Option<SocketAddr>,
        clock: Clock,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (packets, coming) = mpsc::channel(UNDER_WAY);
        let queue = Self {
            packets,
            put: 0,
            last_due: Duration::ZERO,
        };
        (queue, send_when_due(coming, socket, to, clock))
    }

    /// When a packet that comes `now` is due: after those before it, unless it is one to be overtaken.
    pub(super) fn due(&mut self, now: Duration, delay: Duration, is_held_back: bool) -> Duration {
        if is_held_back {
            return now + delay;
        }
        self.last_due = self.last_due.max(now + delay);
        self.last_due
    }

    /// Puts a packet into it; `false` where there is no room.
    pub(super) fn put(&mut self, due: Duration, datagram: &[u8]) -> bool {
        self.put += 1;
        let packet = Packet {
            due,
            number: self.put,
            datagram: datagram.to_vec(),
        };
        self.packets.try_send(packet).is_ok()
    }
}

async fn send_when_due(
    mut coming: mpsc::Receiver<Packet>,
    socket: Arc<UdpSocket>,
    to: Option<SocketAddr>,
    clock: Clock,
) {
    let mut waiting = BinaryHeap::new();
    loop {
        let next = waiting
            .peek()
            .map(|Reverse(packet): &Reverse<Packet>| packet.due);
        tokio::select! {
            packet = coming.recv(), if waiting.len() < UNDER_WAY => match packet {
                Some(packet) => waiting.push(Reverse(packet)),
                None => return,
            },
            () = clock.until_some(next) => if let Some(Reverse(packet)) = waiting.pop() {
                // Who is not there any more gets nothing, as on a network.
                let _ = match to {
                    Some(to) => socket.send_to(&packet.datagram, to).await,
                    None => socket.send(&packet.datagram).await,
                };
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[tokio::test]
    async fn lateness_alone_lets_none_overtake_another() {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let (mut queue, _sending) = Queue::new(socket, None, Clock::start());
        assert_eq!(queue.due(MS(0), MS(40), false), MS(40));
        assert_eq!(queue.due(MS(20), MS(0), false), MS(40));
        assert_eq!(queue.due(MS(25), MS(30), true), MS(55));
        assert_eq!(queue.due(MS(41), MS(0), false), MS(41));
    }

    #[tokio::test]
    async fn a_full_wire_takes_no_more() {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let (mut queue, _sending) = Queue::new(socket, None, Clock::start());
        assert!((0..UNDER_WAY).all(|_| queue.put(MS(0), b"packet")));
        assert!(!queue.put(MS(0), b"packet"));
    }
}
