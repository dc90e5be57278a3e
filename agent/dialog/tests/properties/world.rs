//! A world that does anything in any order, and an observer that knows the rules.

use dialog::{
    Dialog, EndReason, Input, Kind, Kinds, Mode, Output, Policy, Probability, ReplyId, SessionTime,
    Stamped, StateName,
};
use proptest::prelude::*;
use std::num::NonZeroU32;
use std::time::Duration;

/// Something that happens, some milliseconds after (or before) what happened last.
#[derive(Debug, Clone)]
pub struct Action {
    after_ms: i64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    /// These need the present time or the present reply to become an input.
    SpeechStart {
        ago_ms: i64,
    },
    SpeechEnd {
        ago_ms: i64,
    },
    Lull {
        ago_ms: i64,
    },
    Voice {
        ago_ms: i64,
    },
    PlayoutStart {
        back: i64,
    },
    PlayoutEnd {
        back: i64,
    },
    Failed {
        back: i64,
    },
    Plain(Input),
}

/// A dialog and what is needed to make inputs of actions.
pub struct World {
    pub dialog: Dialog,
    pub last_id: ReplyId,
}

impl World {
    pub fn new(policy: Policy) -> Self {
        Self {
            dialog: Dialog::new(policy),
            last_id: ReplyId(0),
        }
    }

    pub fn next(&self, action: &Action) -> (SessionTime, Input) {
        let now = shifted(self.dialog.now(), action.after_ms);
        let id = |back: &i64| ReplyId(self.last_id.0.saturating_add_signed(-back));
        let input = match &action.what {
            What::SpeechStart { ago_ms } => Input::SpeechStart {
                onset: shifted(now, -ago_ms),
            },
            What::SpeechEnd { ago_ms } => Input::SpeechEnd {
                last: shifted(now, -ago_ms),
            },
            What::Lull { ago_ms } => Input::Lull {
                last: shifted(now, -ago_ms),
            },
            What::Voice { ago_ms } => Input::Voice {
                onset: shifted(now, -ago_ms),
            },
            What::PlayoutStart { back } => Input::PlayoutStart(id(back)),
            What::PlayoutEnd { back } => Input::PlayoutEnd(id(back)),
            What::Failed { back } => Input::Failed(id(back)),
            What::Plain(input) => input.clone(),
        };
        (now, input)
    }
}

fn shifted(time: SessionTime, ms: i64) -> SessionTime {
    SessionTime::from_ms(time.as_ms().saturating_add_signed(ms))
}

/// Up to `most` actions; a call usually, but not always, begins with `connected`.
pub fn actions(most: usize) -> impl Strategy<Value = Vec<Action>> {
    let connected = Action {
        after_ms: 0,
        what: What::Plain(Input::Connected),
    };
    let begins = prop_oneof![9 => Just(vec![connected]), 1 => Just(vec![])];
    (begins, prop::collection::vec(action(), 0..most)).prop_map(|(mut all, rest)| {
        all.extend(rest);
        all
    })
}

fn action() -> impl Strategy<Value = Action> {
    let after_ms = prop_oneof![3 => Just(0), 8 => 1..400i64, 4 => 400..4000i64, 1 => 4000..90_000i64, 1 => -500..0i64];
    (after_ms, what()).prop_map(|(after_ms, what)| Action { after_ms, what })
}

fn what() -> impl Strategy<Value = What> {
    // Old replies, and some that never were.
    let back = || prop_oneof![9 => Just(0i64), 1 => -2..4i64];
    prop_oneof![
        6 => (-200..800i64).prop_map(|ago_ms| What::SpeechStart { ago_ms }),
        6 => (-200..2000i64).prop_map(|ago_ms| What::SpeechEnd { ago_ms }),
        3 => (-200..800i64).prop_map(|ago_ms| What::Lull { ago_ms }),
        3 => (-200..800i64).prop_map(|ago_ms| What::Voice { ago_ms }),
        8 => back().prop_map(|back| What::PlayoutStart { back }),
        4 => back().prop_map(|back| What::PlayoutEnd { back }),
        1 => back().prop_map(|back| What::Failed { back }),
        24 => plain().prop_map(What::Plain),
    ]
}

fn plain() -> impl Strategy<Value = Input> {
    prop_oneof![
        20 => Just(Input::Connected),
        60 => text().prop_map(|text| Input::Partial(text.into())),
        80 => text().prop_map(|text| Input::Final(text.into())),
        20 => (-0.5..1.5f64).prop_map(|p| Input::EndOfTurn(Probability::new(p))),
        40 => text().prop_map(|text| Input::Ask(text.into())),
        40 => text().prop_map(|text| Input::Speak(text.into())),
        20 => Just(Input::Pause),
        20 => Just(Input::Resume),
        10 => Just(Input::Stop),
        20 => Just(Input::Commit),
        2 => text().prop_map(|text| Input::Hangup(EndReason::from(text.as_str()))),
        20 => Just(Input::Tick),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let known = [
        "",
        "stop",
        "yeah",
        "Mm-hm.",
        "i",
        "see",
        "I see",
        "go",
        "on",
        "tell me a story",
        "...",
        "# no comment",
        "\\#1",
        "two\nlines\r\n",
        " \t ",
        "«4 words»",
        "«1 word, backchannel»",
        "«no words»",
        "policy mode=mute",
        "silence",
        "tá bom",
        "5 < tick",
        "a\u{0}b\u{2028}c\u{1c}d",
    ];
    prop_oneof![8 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,12}"]
}

/// Any policy that ends by itself.
pub fn policies() -> impl Strategy<Value = Policy> {
    let mode = prop_oneof![2 => Just(Mode::Duplex), 2 => Just(Mode::Mute), 1 => Just(Mode::Manual)];
    let kinds = [
        Kind::Reply,
        Kind::Greeting,
        Kind::Reprompt,
        Kind::Goodbye,
        Kind::Text,
    ];
    let kinds =
        prop::sample::subsequence(kinds.to_vec(), 0..=5).prop_map(|kinds| Kinds::of(&kinds));
    let ms = |range| prop::num::u64::ANY.prop_map(move |n: u64| Duration::from_millis(n % range));
    let odd = (
        ms(1500),
        ms(800),
        ms(4000),
        ms(4000),
        ms(1500),
        ms(2000),
        ms(20_000),
    );
    let limits = (
        1..40_000u64,
        0..4u32,
        1..400_000u64,
        1..4_000_000u64,
        1..20u32,
    );
    (
        mode,
        kinds,
        any::<bool>(),
        any::<bool>(),
        prop::option::weighted(0.6, (odd, limits)),
    )
        .prop_map(|(mode, uninterruptible, greeting, goodbye, rest)| {
            let policy = Policy {
                mode,
                uninterruptible,
                greeting,
                goodbye,
                ..Policy::default()
            };
            let Some((odd, limits)) = rest else {
                return policy;
            };
            Policy {
                end_of_turn: odd.0,
                end_of_turn_min: odd.1,
                end_of_turn_max: odd.2,
                final_timeout: odd.3,
                overlap: odd.4,
                resume_after: odd.5,
                prepare_timeout: odd.6,
                reprompt_after: Some(Duration::from_millis(limits.0)),
                reprompts: limits.1,
                idle_timeout: Some(Duration::from_millis(limits.2)),
                duration_limit: Some(Duration::from_millis(limits.3)),
                message_limit: NonZeroU32::new(limits.4),
                ..policy
            }
        })
}

/// Watches a dialog from outside and panics when a rule is broken.
pub struct Observer {
    mode: Mode,
    /// The reply that has begun and not ended.
    pub live: Option<ReplyId>,
    started: bool,
    held: bool,
    /// Whether the microphone is muted.
    pub muted: bool,
    /// Whether the call is over.
    pub ended: bool,
    /// The newest reply.
    pub last_id: ReplyId,
    /// The words of every reply.
    pub answers: Vec<String>,
    state: StateName,
    at: SessionTime,
}

impl Observer {
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            live: None,
            started: false,
            held: false,
            muted: false,
            ended: false,
            last_id: ReplyId(0),
            answers: Vec::new(),
            state: StateName::Idle,
            at: SessionTime::ZERO,
        }
    }

    /// Gives the dialog an input and checks what comes of it.
    pub fn step(&mut self, dialog: &mut Dialog, now: SessionTime, input: Input) {
        // Deadlines first, so that it is known which reply the input finds.
        dialog.handle(now, Input::Tick);
        self.drain(dialog);
        if let Input::PlayoutEnd(id) | Input::Failed(id) = &input
            && self.live == Some(*id)
        {
            self.live = None;
            self.held = false;
        }
        if let Input::PlayoutStart(id) = &input
            && self.live == Some(*id)
        {
            self.started = true;
        }
        dialog.handle(now, input);
        self.drain(dialog);
        assert_eq!(self.state, dialog.state().name());
        assert_eq!(self.live, dialog.state().reply().map(|reply| reply.id));
        assert_eq!(self.ended, self.state == StateName::Terminated);
        assert!(
            dialog.next_timeout().is_none_or(|at| at > dialog.now()),
            "a deadline in the past"
        );
    }

    fn drain(&mut self, dialog: &mut Dialog) {
        while let Some(Stamped { at, output }) = dialog.poll_output() {
            assert!(
                at >= self.at && at <= dialog.now(),
                "an output out of its time"
            );
            self.at = at;
            self.check(output);
        }
    }

    fn check(&mut self, output: Output) {
        assert_ne!(self.state, StateName::Terminated, "{output} after the end");
        assert!(
            !self.ended || output == Output::State(StateName::Terminated),
            "{output} after the end"
        );
        match output {
            Output::Reply { id, words } => {
                self.answers.push(words.to_string());
                self.begins(id);
            }
            Output::Say { id, .. } => self.begins(id),
            Output::Pause(id) => {
                assert_eq!(self.live, Some(id));
                assert!(!std::mem::replace(&mut self.held, true), "held twice");
            }
            Output::Resume(id) => {
                assert_eq!(self.live, Some(id));
                assert!(
                    std::mem::replace(&mut self.held, false),
                    "resumed without a hold"
                );
            }
            Output::Late(id) => {
                assert_eq!(self.live, Some(id));
                assert!(!self.started, "late, but heard");
            }
            Output::Cancel(id) => {
                assert_eq!(self.live.take(), Some(id));
                self.held = false;
            }
            Output::Mute => assert!(!std::mem::replace(&mut self.muted, true), "muted twice"),
            Output::Unmute => assert!(std::mem::replace(&mut self.muted, false), "unmuted twice"),
            Output::End(_) => {
                assert_eq!(self.live, None, "a reply outlived the call");
                self.ended = true;
            }
            Output::State(name) => self.enters(name),
        }
    }

    fn begins(&mut self, id: ReplyId) {
        assert_eq!(self.live, None, "two replies at once");
        assert_eq!(id, ReplyId(self.last_id.0 + 1));
        self.last_id = id;
        self.live = Some(id);
        self.started = false;
    }

    fn enters(&mut self, name: StateName) {
        let (speaks, held, sounds) = match name {
            StateName::Idle | StateName::Listening | StateName::WaitingForInput => {
                (false, false, false)
            }
            StateName::SpeakingPreparing => (true, false, false),
            StateName::SpeakingPlaying => (true, false, true),
            StateName::BargedIn => (true, true, true),
            StateName::Terminated => {
                assert!(self.ended, "terminated without an end");
                (false, false, false)
            }
        };
        assert_eq!((self.live.is_some(), self.held), (speaks, held), "{name}");
        assert_eq!(self.muted, sounds && self.mode == Mode::Mute, "{name}");
        assert!(!sounds || self.started, "{name} before it was heard");
        self.state = name;
    }
}
