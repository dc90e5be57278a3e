//! The pacer's promises: nothing old after a clear, nothing lost, nothing twice, never a burst, and an exact heard clock.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use media::link::Generation;
use media::pacer::{Paced, Pacer, Pushed};
use media::{AudioFrame, FRAME, FRAME_SAMPLES};
use proptest::prelude::*;
use std::time::Duration;

const WHOLE: u64 = FRAME_SAMPLES as u64;
/// The first 10 ms, over which a fade goes.
const FADE: usize = 480;

/// A frame that can be told from all others, even after a fade.
fn frame(id: i16) -> AudioFrame {
    AudioFrame::padded(&[id; FRAME_SAMPLES])
}

/// A pacer and its clock.
struct Call {
    now: Duration,
    pacer: Pacer,
}

impl Call {
    fn new() -> Self {
        let pacer = Pacer::new(Duration::ZERO, Duration::ZERO, 100);
        Self {
            now: Duration::ZERO,
            pacer,
        }
    }

    /// A call in which reply 1 has frames 1 to `frames`.
    fn speaking(frames: i16) -> Self {
        let mut call = Self::new();
        call.pacer.begin(Generation(1));
        for id in 1..=frames {
            assert_eq!(call.pacer.push(Generation(1), frame(id)), Pushed::Queued);
        }
        call
    }

    /// Waits for the next tick and returns what it brought.
    fn tick(&mut self) -> Vec<Paced> {
        self.now = self.pacer.next_timeout();
        self.pacer.handle_timeout(self.now);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Paced> {
        std::iter::from_fn(|| self.pacer.poll_output()).collect()
    }

    /// Waits for the next tick, which must bring one frame.
    fn tick_frame(&mut self) -> (Generation, u64, AudioFrame) {
        let mut frames: Vec<_> = self
            .tick()
            .into_iter()
            .filter_map(|paced| match paced {
                Paced::Frame {
                    generation,
                    tick,
                    frame,
                } => Some((generation, tick, frame)),
                Paced::Started(_) | Paced::Ended(_) | Paced::Underrun(_) => None,
            })
            .collect();
        assert_eq!(frames.len(), 1);
        frames.remove(0)
    }
}

#[test]
fn a_reply_starts_with_its_first_frame_and_ends_a_tick_after_its_last() {
    let mut call = Call::speaking(2);
    call.pacer.finish(Generation(1));
    let first = call.tick();
    assert_eq!(first[0], Paced::Started(Generation(1)));
    assert_eq!(
        first[1],
        Paced::Frame {
            generation: Generation(1),
            tick: 0,
            frame: frame(1)
        }
    );
    assert!(call.pacer.is_playing());
    assert_eq!(call.tick_frame(), (Generation(1), 1, frame(2)));
    assert_eq!(call.tick(), [Paced::Ended(Generation(1))]);
    assert!(!call.pacer.is_playing());
    assert_eq!(call.pacer.heard(), 2 * WHOLE);
    assert_eq!(call.tick(), []);
}

#[test]
fn a_reply_without_sound_ends_too() {
    let mut call = Call::speaking(0);
    assert_eq!(call.tick(), []);
    call.pacer.finish(Generation(1));
    assert_eq!(call.tick(), [Paced::Ended(Generation(1))]);
}

#[test]
fn a_late_tick_never_bursts_and_the_tick_number_jumps() {
    let mut call = Call::speaking(10);
    assert_eq!(call.tick_frame().1, 0);
    call.now += Duration::from_millis(107);
    call.pacer.handle_timeout(call.now);
    assert_eq!(
        call.drain(),
        [Paced::Frame {
            generation: Generation(1),
            tick: 5,
            frame: frame(2)
        }]
    );
    call.pacer.handle_timeout(call.now);
    assert_eq!(call.drain(), []);
    assert_eq!(call.pacer.next_timeout(), Duration::from_millis(120));
    assert_eq!(call.tick_frame(), (Generation(1), 6, frame(3)));
}

#[test]
fn tick_numbers_run_on_through_silence() {
    let mut call = Call::new();
    for _ in 0..50 {
        assert_eq!(call.tick(), []);
    }
    call.pacer.begin(Generation(1));
    call.pacer.push(Generation(1), frame(1));
    assert_eq!(call.tick_frame().1, 50);
}

#[test]
fn a_hold_fades_the_next_frame_out_and_a_resume_plays_it_again() {
    let mut call = Call::speaking(5);
    call.tick();
    call.pacer.hold();
    assert!(call.pacer.is_held());
    let (generation, _, faded) = call.tick_frame();
    assert_eq!(generation, Generation(1));
    assert_eq!(faded.samples()[0], 2);
    assert!(faded.samples()[FADE..].iter().all(|sample| *sample == 0));
    assert_eq!(
        call.pacer.heard(),
        WHOLE,
        "heard ends where the fade begins"
    );
    for _ in 0..20 {
        assert_eq!(call.tick(), []);
    }
    call.pacer.resume();
    let (_, _, again) = call.tick_frame();
    assert_eq!(again.samples()[0], 0);
    assert!(again.samples()[FADE..].iter().all(|sample| *sample == 2));
    assert_eq!(call.pacer.heard(), 2 * WHOLE);
    assert_eq!(call.tick_frame().2, frame(3));
}

#[test]
fn a_hold_that_finds_nothing_queued_sends_nothing() {
    let mut call = Call::speaking(1);
    call.tick();
    call.pacer.hold();
    assert_eq!(call.tick(), []);
    call.pacer.finish(Generation(1));
    assert_eq!(call.tick(), [], "a held reply does not end");
    call.pacer.resume();
    assert_eq!(call.tick(), [Paced::Ended(Generation(1))]);
}

#[test]
fn a_hold_before_the_first_frame_keeps_the_reply_silent() {
    let mut call = Call::speaking(3);
    call.pacer.hold();
    assert_eq!(call.tick(), []);
    call.pacer.resume();
    let outputs = call.tick();
    assert_eq!(outputs[0], Paced::Started(Generation(1)));
    assert_eq!(outputs.len(), 2);
}

#[test]
fn a_hold_taken_back_within_a_tick_is_never_heard() {
    let mut call = Call::speaking(3);
    call.tick();
    call.pacer.hold();
    call.pacer.resume();
    assert_eq!(call.tick_frame().2, frame(2));
}

#[test]
fn a_clear_fades_under_the_next_generation_and_says_what_was_heard() {
    let mut call = Call::speaking(5);
    call.tick();
    call.tick();
    assert_eq!(call.pacer.clear(Generation(2)), 2 * WHOLE);
    let (generation, tick, tail) = call.tick_frame();
    assert_eq!((generation, tick), (Generation(2), 2));
    assert_eq!(tail.samples()[0], 3);
    assert!(tail.samples()[FADE..].iter().all(|sample| *sample == 0));
    assert_eq!(call.pacer.heard(), 2 * WHOLE);
    assert_eq!(call.tick(), []);
    assert_eq!(call.pacer.push(Generation(1), frame(9)), Pushed::Stale);
}

#[test]
fn a_held_reply_is_cleared_without_another_sound() {
    let mut call = Call::speaking(5);
    call.tick();
    call.pacer.hold();
    call.tick();
    assert_eq!(call.pacer.clear(Generation(2)), WHOLE);
    assert_eq!(call.tick(), []);
}

#[test]
fn a_reply_that_was_never_heard_is_cleared_without_a_sound() {
    let mut call = Call::speaking(5);
    assert_eq!(call.pacer.clear(Generation(2)), 0);
    assert_eq!(call.tick(), []);
}

#[test]
fn the_next_reply_follows_the_fade_of_the_last() {
    let mut call = Call::speaking(5);
    call.tick();
    call.pacer.clear(Generation(2));
    call.pacer.begin(Generation(2));
    call.pacer.push(Generation(2), frame(7));
    let tail = call.tick();
    assert!(matches!(
        &tail[..],
        [Paced::Frame {
            generation: Generation(2),
            ..
        }]
    ));
    assert_eq!(call.pacer.heard(), 0);
    let outputs = call.tick();
    assert_eq!(outputs[0], Paced::Started(Generation(2)));
    assert_eq!(call.pacer.heard(), WHOLE);
}

#[test]
fn a_frame_nobody_fetched_does_not_leave_after_a_clear() {
    let mut call = Call::speaking(5);
    call.tick();
    call.now = call.pacer.next_timeout();
    call.pacer.handle_timeout(call.now);
    assert_eq!(call.pacer.clear(Generation(2)), WHOLE);
    assert_eq!(call.drain(), []);
    assert_eq!(call.tick_frame().2.samples()[0], 2);
}

#[test]
fn frames_that_a_link_kept_back_were_not_heard() {
    let mut call = Call::speaking(5);
    call.tick();
    call.tick();
    call.pacer.hold();
    call.tick();
    // The faded frame did not count, so of these two only one is taken away.
    call.pacer.unsent(Generation(1), 2);
    assert_eq!(call.pacer.heard(), WHOLE);
    call.pacer.clear(Generation(2));
    call.pacer.unsent(Generation(2), 1);
    assert_eq!(call.pacer.heard(), WHOLE);
    call.pacer.unsent(Generation(1), 9);
    assert_eq!(call.pacer.heard(), 0);
}

#[test]
fn a_gap_in_a_reply_is_said_once() {
    let mut call = Call::speaking(1);
    call.tick();
    assert_eq!(call.tick(), [Paced::Underrun(Generation(1))]);
    assert_eq!(call.tick(), []);
    call.pacer.push(Generation(1), frame(2));
    assert_eq!(call.tick_frame().2, frame(2));
    assert_eq!(call.tick(), [Paced::Underrun(Generation(1))]);
}

#[test]
fn a_cut_takes_back_what_has_not_left_and_what_follows_is_joined_without_a_step() {
    let mut call = Call::new();
    call.pacer.begin(Generation(1));
    for _ in 0..10 {
        call.pacer.push(Generation(1), frame(10_000));
    }
    for _ in 0..3 {
        call.tick();
    }
    // In the middle of the sixth frame: five are kept.
    assert_eq!(call.pacer.cut(Generation(1), 5 * WHOLE + 400), 5 * WHOLE);
    assert_eq!(call.pacer.room(), 98);
    call.pacer.push(Generation(1), frame(-10_000));
    let left: Vec<i16> = (0..3)
        .flat_map(|_| call.tick_frame().2.samples().to_vec())
        .collect();
    let joint = 2 * FRAME_SAMPLES;
    assert!(left[..joint].iter().all(|sample| *sample == 10_000));
    assert!(left[joint + FADE..].iter().all(|sample| *sample == -10_000));
    assert!(left.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 80));
    assert_eq!(call.pacer.heard(), 6 * WHOLE);
}

#[test]
fn a_cut_cannot_take_back_what_has_left() {
    let mut call = Call::speaking(10);
    for _ in 0..4 {
        call.tick();
    }
    assert_eq!(call.pacer.cut(Generation(1), WHOLE), 4 * WHOLE);
    assert_eq!(
        call.pacer.cut(Generation(2), 0),
        4 * WHOLE,
        "of another reply"
    );
    call.pacer.finish(Generation(1));
    assert_eq!(
        call.pacer.cut(Generation(1), 0),
        4 * WHOLE,
        "nothing follows"
    );
    // What would have come next fades out alone.
    let fading = call.tick();
    assert!(matches!(
        fading.as_slice(),
        [Paced::Frame { .. }, Paced::Ended(Generation(1))]
    ));
    assert_eq!(call.pacer.heard(), 4 * WHOLE);
}

#[test]
fn sound_that_comes_too_late_after_a_cut_rises_from_silence() {
    let mut call = Call::new();
    call.pacer.begin(Generation(1));
    for _ in 0..3 {
        call.pacer.push(Generation(1), frame(10_000));
    }
    call.tick();
    call.tick();
    // Everything but the last frame has left: that one is what would have come.
    assert_eq!(call.pacer.cut(Generation(1), 9 * WHOLE), 2 * WHOLE);
    let alone = call.tick();
    let [Paced::Frame { frame: last, .. }, Paced::Underrun(_)] = alone.as_slice() else {
        panic!("{alone:?}");
    };
    assert!(last.samples()[0] > 9_900 && last.samples()[FADE..].iter().all(|it| *it == 0));
    call.pacer.push(Generation(1), frame(10_000));
    let first = call.tick_frame().2;
    assert!(first.samples()[0] < 100 && first.samples()[FADE] == 10_000);
    // With nothing at all to go over from, too.
    assert_eq!(call.pacer.cut(Generation(1), 9 * WHOLE), 3 * WHOLE);
    call.pacer.push(Generation(1), frame(10_000));
    assert!(call.tick_frame().2.samples()[0] < 100);
}

#[test]
fn what_finds_no_room_or_comes_too_late_is_refused() {
    let mut call = Call::speaking(100);
    assert_eq!(call.pacer.room(), 0);
    assert_eq!(call.pacer.push(Generation(1), frame(101)), Pushed::Full);
    call.tick();
    assert_eq!(call.pacer.room(), 1);
    call.pacer.finish(Generation(1));
    assert_eq!(call.pacer.push(Generation(1), frame(101)), Pushed::Stale);
    assert_eq!(call.pacer.push(Generation(2), frame(101)), Pushed::Stale);
}

/// What may happen to a pacer.
#[derive(Debug, Clone)]
enum Event {
    Begin,
    Push(u8),
    Finish,
    Hold,
    Resume,
    Clear,
    Unsent(u8),
    /// Time passes: a timely tick, or a stall.
    Wait(u16),
    /// A tick whose output is fetched only after the next event.
    LazyTick,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Begin),
        4 => (1u8..12).prop_map(Event::Push),
        2 => Just(Event::Finish),
        2 => Just(Event::Hold),
        3 => Just(Event::Resume),
        1 => Just(Event::Clear),
        1 => (0u8..4).prop_map(Event::Unsent),
        12 => prop_oneof![Just(20u16), 0u16..25, 0u16..400].prop_map(Event::Wait),
        1 => Just(Event::LazyTick),
    ]
}

/// What an observer at the pacer's output knows.
#[derive(Default)]
struct Observer {
    /// The lowest generation that may still leave.
    fence: u32,
    reply: u32,
    pushed: Vec<i16>,
    left: usize,
    finished: bool,
    /// What is fetched now is from before the reply's end was announced.
    fetched_late: bool,
    ended: bool,
    last_tick: Option<u64>,
    /// Samples that each frame handed over of this reply counted for.
    counted: Vec<u64>,
}

impl Observer {
    fn begin(&mut self, reply: u32) {
        *self = Self {
            fence: reply,
            reply,
            last_tick: self.last_tick,
            ..Self::default()
        };
    }

    fn see(&mut self, outputs: Vec<Paced>, ticks: usize) -> Result<(), TestCaseError> {
        let mut frames = 0;
        for paced in outputs {
            match paced {
                Paced::Frame {
                    generation,
                    tick,
                    frame,
                } => {
                    frames += 1;
                    prop_assert!(generation.0 >= self.fence, "an old frame left");
                    prop_assert!(self.last_tick.is_none_or(|last| tick > last));
                    self.last_tick = Some(tick);
                    let id = frame.samples()[FRAME_SAMPLES - 1];
                    if id == 0 {
                        // A fade; its own frame is not consumed.
                        prop_assert!(frame.samples()[FADE..].iter().all(|sample| *sample == 0));
                        // After a clear it belongs to no reply that has begun.
                        if generation.0 == self.reply {
                            self.counted.push(0);
                        }
                    } else {
                        prop_assert_eq!(generation.0, self.reply);
                        prop_assert_eq!(
                            Some(&id),
                            self.pushed.get(self.left),
                            "order and completeness"
                        );
                        self.left += 1;
                        self.counted.push(WHOLE);
                    }
                }
                Paced::Started(generation) => {
                    prop_assert_eq!(generation.0, self.reply);
                    prop_assert_eq!(self.left, 0);
                }
                Paced::Ended(generation) => {
                    prop_assert_eq!(generation.0, self.reply);
                    prop_assert!(self.finished && !self.ended);
                    prop_assert_eq!(
                        self.left,
                        self.pushed.len(),
                        "an ended reply was heard whole"
                    );
                    self.ended = true;
                }
                Paced::Underrun(generation) => {
                    prop_assert_eq!(generation.0, self.reply);
                    // An underrun that was fetched late may be older than the end that was announced meanwhile.
                    prop_assert!(!self.finished || self.fetched_late);
                }
            }
        }
        prop_assert!(frames <= ticks, "one frame at most per tick");
        Ok(())
    }

    fn heard(&self) -> u64 {
        self.counted.iter().sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn whatever_happens_nothing_old_leaves_and_nothing_is_lost_or_repeated(
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut call = Call::new();
        let mut seen = Observer::default();
        let mut begun = false;
        let mut id = 0i16;
        let mut lazy = 0;
        for event in events {
            let fetch = !matches!(event, Event::LazyTick);
            match event {
                Event::Begin => {
                    // A cancelled reply's successor carries the generation that cleared it.
                    let next = if begun || seen.fence == 0 { seen.fence + 1 } else { seen.fence };
                    // Frames of the reply before that were not fetched are gone with it, but its end is not.
                    let outputs = call.drain();
                    seen.see(outputs, lazy)?;
                    call.pacer.begin(Generation(next));
                    seen.begin(next);
                    begun = true;
                }
                Event::Push(frames) => for _ in 0..frames {
                    id = id % 30_000 + 1;
                    match call.pacer.push(Generation(seen.reply), frame(id)) {
                        Pushed::Queued => seen.pushed.push(id),
                        Pushed::Stale => prop_assert!(!begun || seen.finished),
                        Pushed::Full => prop_assert_eq!(call.pacer.room(), 0),
                    }
                },
                Event::Finish => if begun {
                    call.pacer.finish(Generation(seen.reply));
                    seen.finished = true;
                    seen.fetched_late = lazy > 0;
                },
                Event::Hold => call.pacer.hold(),
                Event::Resume => call.pacer.resume(),
                Event::Clear => {
                    let before = call.pacer.heard();
                    seen.fence += 1;
                    let heard = call.pacer.clear(Generation(seen.fence));
                    prop_assert!(heard == before || lazy > 0);
                    prop_assert_eq!(heard, call.pacer.heard());
                    begun = false;
                }
                Event::Unsent(frames) => {
                    seen.see(call.drain(), lazy)?;
                    call.pacer.unsent(Generation(seen.reply), frames.into());
                    let kept = seen.counted.len().saturating_sub(frames.into());
                    seen.counted.truncate(kept);
                }
                Event::Wait(ms) => {
                    seen.see(call.drain(), lazy)?;
                    lazy = 1;
                    call.now += Duration::from_millis(ms.into());
                    call.pacer.handle_timeout(call.now);
                    prop_assert!(call.pacer.next_timeout() > call.now);
                    prop_assert!(call.pacer.next_timeout() <= call.now + FRAME);
                }
                Event::LazyTick => {
                    seen.see(call.drain(), lazy)?;
                    lazy = 1;
                    call.now = call.pacer.next_timeout();
                    call.pacer.handle_timeout(call.now);
                }
            }
            if fetch {
                seen.see(call.drain(), lazy)?;
                lazy = 0;
                seen.fetched_late = false;
                prop_assert_eq!(call.pacer.heard(), seen.heard(), "the heard clock");
            }
        }
    }

    #[test]
    fn holds_and_stalls_lose_no_sample(
        frames in 1i16..60,
        steps in prop::collection::vec((0u8..4, 0u16..100), 0..200),
    ) {
        let mut call = Call::speaking(frames);
        call.pacer.finish(Generation(1));
        let mut got = Vec::new();
        let mut ended = 0;
        let mut take = |outputs: Vec<Paced>| for paced in outputs {
            match paced {
                Paced::Frame { frame, .. } if frame.samples()[FRAME_SAMPLES - 1] != 0 => {
                    got.push(frame.samples()[FRAME_SAMPLES - 1]);
                }
                Paced::Ended(_) => ended += 1,
                Paced::Frame { .. } | Paced::Started(_) | Paced::Underrun(_) => {}
            }
        };
        for (step, ms) in steps {
            match step {
                0 => call.pacer.hold(),
                1 => call.pacer.resume(),
                _ => {
                    call.now += Duration::from_millis(ms.into());
                    call.pacer.handle_timeout(call.now);
                }
            }
            take(call.drain());
        }
        call.pacer.resume();
        for _ in 0..=frames {
            take(call.tick());
        }
        prop_assert_eq!(got, (1..=frames).collect::<Vec<_>>());
        prop_assert_eq!(ended, 1);
        prop_assert_eq!(call.pacer.heard(), frames as u64 * WHOLE);
    }
}
