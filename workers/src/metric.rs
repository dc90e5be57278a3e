//! The names of the workers' metrics, in one place.

/// From the first clause that goes to an engine to the first sound.
pub const TTS_TTFB_SECONDS: &str = "parlor_tts_ttfb_seconds";
/// From the first chunk of a synthesis to its last frame.
pub const TTS_SYNTHESIS_DURATION_SECONDS: &str = "parlor_tts_synthesis_duration_seconds";
/// Syntheses that ended, by `status`: ok, error, cancelled.
pub const TTS_REQUESTS_TOTAL: &str = "parlor_tts_requests_total";
/// How long the phases of a clause take, by `phase` (queue, first_sound, synthesis, finishing), `adapter` and `class` (real_time,
/// batch).
pub const TTS_PHASE_SECONDS: &str = "parlor_tts_phase_seconds";
/// Sessions that are open.
pub const TTS_ACTIVE_SESSIONS: &str = "parlor_tts_active_sessions";
/// Clauses that wait for an engine or are being said.
pub const TTS_QUEUE_DEPTH: &str = "parlor_tts_queue_depth";
/// Time that the engines took over the length of what they said, since the start.
pub const TTS_RTF: &str = "parlor_tts_rtf";
/// From the end of an utterance to its transcript.
pub const STT_FINAL_SECONDS: &str = "parlor_stt_final_seconds";
/// Utterances that ended, by `status`: ok, error, cancelled.
pub const STT_REQUESTS_TOTAL: &str = "parlor_stt_requests_total";
/// Recognisers that are listening.
pub const STT_ACTIVE_SESSIONS: &str = "parlor_stt_active_sessions";
/// Utterances that wait for a recogniser.
pub const STT_QUEUE_DEPTH: &str = "parlor_stt_queue_depth";
/// Time that the recognisers took over the length of what they heard, since the start.
pub const STT_RTF: &str = "parlor_stt_rtf";
/// What was refused because no place was free or the worker was draining, by `kind`.
pub const WORKER_REFUSED_TOTAL: &str = "parlor_worker_refused_total";
/// 1 while the registry has the worker's record, 0 while it cannot be written.
pub const WORKER_REGISTERED: &str = "parlor_worker_registered";
/// How long models took to load, with their warm-up.
pub const MODEL_LOAD_SECONDS: &str = "parlor_model_load_seconds";
/// How long models took to be let go.
pub const MODEL_UNLOAD_SECONDS: &str = "parlor_model_unload_seconds";
/// Models let go because they were idle or room was needed.
pub const MODEL_EVICTIONS_TOTAL: &str = "parlor_model_evictions_total";
/// Memory that the process no longer held after models were let go.
pub const MODEL_FREED_BYTES_TOTAL: &str = "parlor_model_freed_bytes_total";

/// How something ended, as the label `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Ok,
    Error,
    Cancelled,
}

impl End {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Counts something that was refused.
pub(crate) fn refused(kind: &'static str) {
    metrics::counter!(WORKER_REFUSED_TOTAL, "kind" => kind).increment(1);
}
