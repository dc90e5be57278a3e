//! Callers and batch work at one engine, as clients see it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "support/caller.rs"]
mod caller;

use caller::{Caller, is_here, samples};
use proto::registry::metric;
use workers::TtsEngine::{Flite, Mock};

#[tokio::test]
async fn a_priority_that_is_none_is_refused_with_those_there_are() {
    let mut caller = Caller::of(Mock).await;
    for priority in ["batch", "real_time", ""] {
        caller.open("a", &[("priority", priority)]).await;
        assert_eq!(caller.say("a", "hello").await.len(), 25);
    }
    let refused = caller.start("b", "", &[("priority", "urgent")]).await;
    assert!(!refused.success && !refused.busy);
    assert!(
        refused.message.contains("urgent") && refused.message.contains("batch"),
        "{}",
        refused.message
    );
}

/// The clauses of a batch are handed to the engine before the first is heard; nothing of it may show.
#[tokio::test]
async fn batch_work_sounds_like_a_call_and_says_nothing_about_how_soon_callers_are_answered() {
    if !is_here("flite") {
        return;
    }
    let mut caller = Caller::of(Flite).await;
    let text = "One sentence, and then another. A third one follows at once! Is there a fourth? \
                Yes, and a fifth, which is longer than the others were. Then six. Seven. Eight. \
                Nine is nearly the last. Ten is.";
    // Of all voices it is the one that says the same text twice with the same samples.
    let voice = ("voice", "flite:kal16");
    caller.open("batch", &[voice, ("priority", "batch")]).await;
    let batch = caller.say("batch", text).await;
    assert_eq!(caller.metric(metric::P50_MS).await, 0.0);
    caller.open("call", &[voice]).await;
    let call = caller.say("call", text).await;
    assert!(caller.metric(metric::P50_MS).await > 0.0);
    assert!(samples(&batch) == samples(&call));
    let words = |frames: &[proto::tts::AudioFrame]| -> Vec<_> {
        frames
            .iter()
            .flat_map(|frame| frame.words.clone())
            .collect()
    };
    assert!(words(&batch).len() > 30);
    assert_eq!(words(&batch), words(&call));
}
