//! Where one call's media goes: the path that the caller nominated last, once it is proven to lead back to the caller.
//!
//! A check signed with our password says "I am reachable here", and whoever can forge a source address could say so for
//! somebody else's. So a path counts only after a check of our own, with a random transaction id, came back over it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Proven paths remembered for a call; a phone between networks has two or three.
const PATHS: usize = 8;
/// How long nothing at all came over the present path before another proven one may take over without being nominated.
const QUIET: Duration = Duration::from_millis(500);

/// One of our addresses and one of the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Path {
    /// The address of ours that the packet came to.
    pub(super) local: SocketAddr,
    /// The address that the packet came from.
    pub(super) remote: SocketAddr,
}

/// The proven paths of a call and the one in use.
#[derive(Debug, Default)]
pub(super) struct Route {
    proven: VecDeque<Path>,
    wanted: Option<Path>,
    current: Option<Path>,
    heard_at: Duration,
    moves: u32,
}

impl Route {
    /// The path to send media over.
    pub(super) fn current(&self) -> Option<Path> {
        self.current
    }

    /// How often media moved to another path after the first one was chosen.
    pub(super) fn moves(&self) -> u32 {
        self.moves
    }

    /// The caller asked for this path to be used.
    pub(super) fn nominated(&mut self, now: Duration, path: Path) {
        if self.proven.contains(&path) {
            self.take(now, path);
        } else {
            self.wanted = Some(path);
        }
    }

    /// A check of ours came back over this path.
    pub(super) fn proven(&mut self, now: Duration, path: Path) {
        if !self.proven.contains(&path) {
            if self.proven.len() == PATHS {
                self.proven.pop_front();
            }
            self.proven.push_back(path);
        }
        if self.wanted == Some(path) {
            self.take(now, path);
        }
    }

    /// Anything came over this path. Media follows a caller who moved without nominating, once the old path is quiet.
    pub(super) fn heard(&mut self, now: Duration, path: Path) {
        let is_quiet = now.saturating_sub(self.heard_at) >= QUIET;
        if self.current == Some(path) {
            self.heard_at = now;
        } else if self.current.is_some() && is_quiet && self.proven.contains(&path) {
            self.take(now, path);
        }
    }

    fn take(&mut self, now: Duration, path: Path) {
        self.wanted = None;
        self.heard_at = now;
        if self.current != Some(path) {
            self.moves += u32::from(self.current.is_some());
            self.current = Some(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        Path {
            local: ([127, 0, 0, 1], 9).into(),
            remote: ([127, 0, 0, 1], port).into(),
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_nominated_path_is_used_only_once_it_is_proven() {
        let mut route = Route::default();
        route.nominated(ms(0), path(1));
        assert_eq!(route.current(), None);
        route.proven(ms(1), path(1));
        assert_eq!(route.current(), Some(path(1)));
        route.nominated(ms(2), path(2));
        assert_eq!(route.current(), Some(path(1)));
        route.proven(ms(3), path(2));
        assert_eq!(route.current(), Some(path(2)));
        assert_eq!(route.moves(), 1);
    }

    #[test]
    fn a_path_that_was_never_proven_gets_nothing_however_quiet_the_old_one_is() {
        let mut route = Route::default();
        route.nominated(ms(0), path(1));
        route.proven(ms(0), path(1));
        route.heard(ms(60_000), path(2));
        assert_eq!(route.current(), Some(path(1)));
    }

    #[test]
    fn media_follows_a_caller_whose_old_path_fell_quiet() {
        let mut route = Route::default();
        route.nominated(ms(0), path(1));
        route.proven(ms(0), path(1));
        route.proven(ms(100), path(2));
        route.heard(ms(400), path(1));
        route.heard(ms(800), path(2));
        assert_eq!(route.current(), Some(path(1)));
        route.heard(ms(900), path(2));
        assert_eq!(route.current(), Some(path(2)));
    }

    #[test]
    fn only_a_few_paths_are_remembered() {
        let mut route = Route::default();
        for port in 0..1000 {
            route.proven(ms(0), path(port));
        }
        assert_eq!(route.proven.len(), PATHS);
    }
}
