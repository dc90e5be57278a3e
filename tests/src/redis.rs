//! A real Redis server on a free port of the loopback; the set-up installs it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// How often it is asked whether it answers, and how many times.
const ASKED_EVERY: Duration = Duration::from_millis(20);
const ASKED: u32 = 500;

/// A Redis server; it ends with the value.
pub struct Redis {
    port: u16,
    running: Option<Child>,
}

impl Redis {
    /// Starts one that keeps nothing on disk and tells of keys that change. `None`, said in a line, where there is no Redis;
    /// with `CI=true` that is a failure.
    pub fn start() -> Option<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut redis = Self {
            port,
            running: None,
        };
        redis.restart().then_some(redis)
    }

    /// Starts it again where it was, empty. `false` where there is no Redis.
    pub fn restart(&mut self) -> bool {
        self.stop();
        let started = Command::new("redis-server")
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--notify-keyspace-events", "KA"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Ok(child) => self.running = Some(child),
            Err(error) => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "redis-server does not start: {error}"
                );
                eprintln!("left out: there is no redis-server here (apt install redis-server)");
                return false;
            }
        }
        for _ in 0..ASKED {
            if TcpStream::connect(self.address()).is_ok() {
                return true;
            }
            thread::sleep(ASKED_EVERY);
        }
        panic!("redis-server does not answer");
    }

    /// Ends it at once, as by a power cut.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The same as an address of Redis.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Sends it a command, and returns what it answers first.
    pub fn command(&self, words: &[&str]) -> String {
        use std::io::{Read as _, Write as _};
        let mut connection = TcpStream::connect(self.address()).unwrap();
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 512];
        let read = connection.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
