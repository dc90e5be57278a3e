//! How a bench's caller behaves: asks, listens for a while, and speaks over the answer; that is the next question.

use super::observed::Floor;
use super::script::Script;
use bytes::Bytes;
use media::FRAME;
use rand::Rng as _;
use rand::rngs::StdRng;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// How long a caller listens before speaking over the answer.
const LISTENS_MS: Range<u64> = 1500..4000;
/// When a caller first speaks, after the call has begun.
const FIRST_MS: Range<u64> = 300..1300;
/// How long a caller waits for an answer before asking again.
const PATIENCE: Duration = Duration::from_secs(6);

/// The next 20 ms of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What to send.
    pub frame: Bytes,
    /// Whether the words begin or end with it.
    pub mark: Mark,
}

/// What a frame is to the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The words begin in it.
    Onset {
        /// Whether the server's voice sounds.
        over_speech: bool,
        /// From the first sample of the words to the frame's end, when a microphone would hand it on.
        before_end: Duration,
    },
    /// The words end with it.
    End,
    /// Neither.
    None,
}

/// One caller. Sans-IO: it is told the time and what the server does.
#[derive(Debug)]
pub struct Talker {
    script: Arc<Script>,
    random: StdRng,
    floor: Floor,
    /// When the caller will speak.
    speaks_at: Duration,
    /// The words being said: which take, and its next frame.
    saying: Option<(usize, usize)>,
    room_at: usize,
}

impl Talker {
    /// A caller whose call begins at `now`.
    pub fn new(script: Arc<Script>, mut random: StdRng, now: Duration) -> Self {
        let speaks_at = now + Duration::from_millis(random.random_range(FIRST_MS));
        Self {
            script,
            random,
            floor: Floor::Silent,
            speaks_at,
            saying: None,
            room_at: 0,
        }
    }

    /// The server's voice began or stopped.
    pub fn on_floor(&mut self, now: Duration, floor: Floor) {
        let was = std::mem::replace(&mut self.floor, floor);
        if floor == Floor::Playing && was != Floor::Playing {
            self.speaks_at = now + Duration::from_millis(self.random.random_range(LISTENS_MS));
        } else if was == Floor::Playing && floor != Floor::Playing {
            self.speaks_at = self.speaks_at.max(now + PATIENCE);
        }
    }

    /// What the caller sends now.
    pub fn next(&mut self, now: Duration) -> Said {
        if self.saying.is_none() && now >= self.speaks_at {
            self.saying = Some((
                self.random.random_range(0..self.script.takes.len().max(1)),
                0,
            ));
            self.speaks_at = now + PATIENCE;
        }
        let Some((take, at)) = self.saying else {
            return self.silence();
        };
        let frames = self
            .script
            .takes
            .get(take)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let Some(frame) = frames.get(at).cloned() else {
            self.saying = None;
            return self.silence();
        };
        let is_last = at + 1 == frames.len();
        self.saying = (!is_last).then_some((take, at + 1));
        let mark = match (at, is_last) {
            (0, _) => Mark::Onset {
                over_speech: self.floor == Floor::Playing,
                // Takes begin at places that divide the frame.
                before_end: FRAME
                    - FRAME.mul_f64(take as f64 / self.script.takes.len().max(1) as f64),
            },
            (_, true) => Mark::End,
            (_, false) => Mark::None,
        };
        Said { frame, mark }
    }

    fn silence(&mut self) -> Said {
        let frame = self
            .script
            .room
            .get(self.room_at)
            .cloned()
            .unwrap_or_default();
        self.room_at = (self.room_at + 1) % self.script.room.len().max(1);
        Said {
            frame,
            mark: Mark::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    fn talker() -> Talker {
        let frame = Bytes::from_static;
        let script = Script {
            room: vec![frame(b"r")],
            takes: vec![vec![frame(b"1"), frame(b"2"), frame(b"3")]],
        };
        Talker::new(Arc::new(script), StdRng::seed_from_u64(1), Duration::ZERO)
    }

    fn onset(talker: &mut Talker, mut now: Duration) -> (Duration, bool) {
        for _ in 0..1000 {
            if let Mark::Onset { over_speech, .. } = talker.next(now).mark {
                return (now, over_speech);
            }
            now += media::FRAME;
        }
        panic!("the caller never spoke");
    }

    #[test]
    fn a_caller_asks_soon_and_says_all_words() {
        let mut talker = talker();
        let (at, over_speech) = onset(&mut talker, Duration::ZERO);
        assert!((300..1400).contains(&at.as_millis()));
        assert!(!over_speech);
        assert_eq!(talker.next(at).mark, Mark::None);
        assert_eq!(
            talker.next(at),
            Said {
                frame: Bytes::from_static(b"3"),
                mark: Mark::End
            }
        );
        assert_eq!(
            talker.next(at),
            Said {
                frame: Bytes::from_static(b"r"),
                mark: Mark::None
            }
        );
    }

    #[test]
    fn a_caller_speaks_over_the_answer_after_listening_to_it() {
        let mut talker = talker();
        let (asked, _) = onset(&mut talker, Duration::ZERO);
        let answered = asked + Duration::from_secs(2);
        talker.on_floor(answered, Floor::Playing);
        while talker.next(answered).mark != Mark::None {}
        let (at, over_speech) = onset(&mut talker, answered);
        assert!((1500..4021).contains(&(at - answered).as_millis()));
        assert!(over_speech);
    }

    #[test]
    fn a_caller_without_an_answer_asks_again() {
        let mut talker = talker();
        let (asked, _) = onset(&mut talker, Duration::ZERO);
        talker.on_floor(asked, Floor::Silent);
        while talker.next(asked).frame != "r" {}
        let (again, over_speech) = onset(&mut talker, asked);
        assert!((PATIENCE..PATIENCE + 2 * media::FRAME).contains(&(again - asked)));
        assert!(!over_speech);
    }
}
