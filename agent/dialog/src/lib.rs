//! Who has the floor: the state machine of one spoken conversation.
//!
//! It does no input or output, knows no clock and writes no log: it is told what happened and when
//! ([`Dialog::handle`]), says what is to be done ([`Dialog::poll_output`]) and when it wants to be woken
//! ([`Dialog::next_timeout`]). A session drains the outputs, waits for one thing, and applies that one input.
//!
//! ```text
//!           connected
//!   Idle ──────────────► WaitingForInput ──────────────────────────► Listening
//!     │                   │   ▲        ▲      speech starts            │  ▲  ▲
//!     │ greeting          │   │        └──────────────────────────────┤  │  │
//!     │                   │   │               no words came           │  │  │
//!     │     typed question│   │ playout ends,                         │  │  │
//!     │    text, re-prompt│   │ failed         end of turn, commit,   │  │  │
//!     │            goodbye│   │                typed question         │  │  │
//!     │                   ▼   │                                       │  │  │
//!     └───────────────► Speaking { Preparing } ◄──────────────────────┘  │  │
//!                             │         │      speech starts: withdrawn  │  │
//!              playout starts │         └────────────────────────────────┘  │
//!                             ▼                                             │
//!                       Speaking { Playing } ───────────► BargedIn ─────────┘
//!                             ▲      speech starts: held    │    a word, or 700 ms of
//!                             │                             │    overlap: cancelled
//!                             └─────────────────────────────┘
//!                              1 s of quiet without words: resumed
//!
//!   every state ──────► Terminated     hangup, or a time-out or limit (most after a goodbye)
//! ```
//!
//! # Rules
//!
//! **A turn** begins with speech and ends after [`Policy::end_of_turn`] of silence, counted from the last sound that the
//! ear reported, once the recogniser's final of every utterance has come; with a turn model's belief P, after
//! `end_of_turn_max - (end_of_turn_max - end_of_turn_min) * P`. Speech that ended needs a final, an empty one if there
//! was no word in it; without, the turn is given up [`Policy::final_timeout`] after the speech. Words that come later
//! still are answered at once. Words that come while a reply is being prepared join its turn, and a new reply replaces
//! it; while it sounds they interrupt it. A turn that goes on is one message, however many replies were begun for it.
//!
//! **A barge-in** holds the reply first. It is cancelled by the first word, partial or final, that is no backchannel, or
//! after [`Policy::overlap`] of speech, counted from its onset and only while it sounds: a lull stops the count, and the
//! same speech goes on with it. The reply goes on after [`Policy::resume_after`] of quiet without words, counted from the
//! last sound. Backchannels are no words here and part of no turn. A cancel drops the texts that
//! were queued, too. Before a reply is heard, speech withdraws it: the words that it was to answer stay part of the turn,
//! and a client's text goes back to the head of its queue.
//!
//! **What may not be interrupted** ([`Policy::uninterruptible`]) is neither held nor withdrawn: the words spoken meanwhile,
//! and a question typed meanwhile, become the next turn. Nor may a goodbye at a limit be interrupted; one that follows
//! silence may.
//!
//! **A typed question** is answered at once. What was said of an unfinished turn leads it; a reply that is being prepared,
//! spoken or held is cancelled and its turn is done with. **A client's text** is spoken as it stands, in order, at most
//! [`QUEUED_TEXTS`] of them waiting, when neither the agent nor the user has the floor.
//!
//! **Buttons**: pause holds what sounds in [`State::BargedIn`] with no timer but the idle time-out (a word still
//! interrupts); resume lets it go on, whatever holds it; stop cancels it and the queue. A commit ends the turn now, in
//! every mode; in [`Mode::Manual`] nothing else does. In [`Mode::Mute`] the session is told `mute` just before a reply's
//! state becomes `Speaking(playing)` and `unmute` just after it ends, and what the ear hears meanwhile is ignored.
//!
//! **Silence**: after [`Policy::reprompt_after`] in WaitingForInput the agent asks whether anyone is there, at most
//! [`Policy::reprompts`] times, then says goodbye and ends the call. This concerns conversations: callers who have spoken,
//! asked, or been greeted. Nobody re-prompts a client that only sends texts, and whoever sends a text is not re-prompted
//! until the user speaks or asks again. **Limits**: [`Policy::idle_timeout`] without any input while the agent is not
//! speaking ends the call at once; [`Policy::duration_limit`] with a goodbye; so does [`Policy::message_limit`], when the
//! last of so many turns has been answered.
//!
//! **Nothing is ever stuck**: a reply that is not heard within [`Policy::prepare_timeout`] is told to be late and
//! cancelled, and an apology is said in the place of an answer; a goodbye that does not end within [`Policy::goodbye_timeout`] ends without it, and news of any but the current reply is ignored.
//! Every reply ends exactly once: by its `cancel`, or by the `playout-end` or `failed` that told so.
//!
//! # What the session owes the dialog
//!
//! - after every `speech-end` a `final`, empty if there was no word; without it a turn waits for the give-up,
//! - over a reply, a `lull` when the voice pauses before the speech is over, and a `voice` when it goes on,
//! - for every reply exactly one `playout-end` or `failed`, unless it was cancelled; a reply without a sound may end
//!   without having started,
//! - `playout-start` before the first frame leaves, so that `mute` comes before anything is heard,
//! - a fresh ear after `unmute`: an end of speech whose start was discarded means nothing,
//! - a tick at [`Dialog::next_timeout`].
//!
//! A deadline that passed is met before the next input, with outputs that carry the deadline's time. So a late wake-up
//! changes nothing but when the session learns of it, and a recorded call ([`call`]) replays to the millisecond.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test may fail by panicking"
    )
)]

pub mod call;
mod dialog;
mod event;
pub mod policy;
mod state;
mod time;
mod turn;
mod words;

pub use dialog::{Dialog, QUEUED_TEXTS};
pub use event::{EndReason, Input, Output, Probability, ReplyId, Saying, Stamped};
pub use policy::{Kind, Kinds, Mode, Policy};
pub use state::{Hold, Phase, Purpose, Reply, State, StateName};
pub use time::SessionTime;
pub use words::{Class, Who, Words};
