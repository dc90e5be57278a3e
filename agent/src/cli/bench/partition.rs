//! A way to a server that can be severed like a cable: what is sent gets lost, and nobody is told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// A TCP proxy on a free port of loopback. It ends with the value, and its connections with it.
///
/// A connection that was open when the way was severed, or was opened while it was, carries nothing ever again and is not
/// closed either, as when a firewall in between has forgotten it. Those opened after [`Passage::heal`] work.
#[derive(Debug)]
pub struct Passage {
    /// Where it listens.
    pub address: SocketAddr,
    whole: Whole,
    _ended: DropGuard,
}

/// Cancelled when the way is severed; another one when it is whole again.
type Whole = Arc<Mutex<CancellationToken>>;

impl Passage {
    /// A way to `to`.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn open(to: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (whole, ended) = (Whole::default(), CancellationToken::new());
        TaskTracker::new().spawn(accept(listener, to, whole.clone(), ended.clone()));
        Ok(Self {
            address,
            whole,
            _ended: ended.drop_guard(),
        })
    }

    /// Nothing passes any more.
    pub fn sever(&self) {
        lock(&self.whole).cancel();
    }

    /// New connections work again.
    pub fn heal(&self) {
        *lock(&self.whole) = CancellationToken::new();
    }
}

fn lock(whole: &Whole) -> std::sync::MutexGuard<'_, CancellationToken> {
    // It is replaced in one step, so a panic elsewhere leaves it whole.
    whole.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, to: SocketAddr, whole: Whole, ended: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = ended.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((inbound, _)) = accepted else {
            continue;
        };
        let (severed, ended) = (lock(&whole).clone(), ended.clone());
        connections.spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = carry(inbound, to, severed) => {}
            }
        });
    }
}

/// Carries what is sent both ways until the way is severed, and then loses it until the client gives up.
async fn carry(mut inbound: TcpStream, to: SocketAddr, severed: CancellationToken) {
    let mut outbound = None;
    if !severed.is_cancelled() {
        let Ok(connected) = TcpStream::connect(to).await else {
            return;
        };
        let outbound = outbound.insert(connected);
        tokio::select! {
            biased;
            () = severed.cancelled() => {}
            // Whoever closed it, the other side learns of it now.
            _ = tokio::io::copy_bidirectional(&mut inbound, outbound) => return,
        }
    }
    let _ = tokio::io::copy(&mut inbound, &mut tokio::io::sink()).await;
    drop(outbound);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    /// A server that answers every byte with the same.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        TaskTracker::new().spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                TaskTracker::new().spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        address
    }

    async fn answers(stream: &mut TcpStream, patience: Duration) -> bool {
        stream.write_all(b"x").await.unwrap();
        let mut byte = [0];
        timeout(patience, stream.read_exact(&mut byte))
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn what_is_severed_stays_silent_and_new_connections_work_after_healing() {
        let (long, short) = (Duration::from_secs(10), Duration::from_millis(50));
        let passage = Passage::open(echo().await).await.unwrap();
        let connect = async || TcpStream::connect(passage.address).await.unwrap();
        let mut before = connect().await;
        assert!(answers(&mut before, long).await);
        passage.sever();
        let mut during = connect().await;
        assert!(!answers(&mut before, short).await);
        assert!(!answers(&mut during, short).await);
        passage.heal();
        let mut after = connect().await;
        assert!(answers(&mut after, long).await);
        assert!(!answers(&mut before, short).await, "it is forgotten");
    }
}
