//! Every metric's name, in one place; those of the workers are in [`workers::metric`].

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Calls now, by `transport`.
pub const SESSIONS_ACTIVE: &str = "parlor_sessions_active";
/// Calls that ended, by `transport` and `reason`.
pub const SESSIONS_TOTAL: &str = "parlor_sessions_total";
/// Calls refused because the server was full.
pub const SESSIONS_REFUSED_TOTAL: &str = "parlor_sessions_refused_total";
/// How long calls lasted.
pub const SESSION_DURATION_SECONDS: &str = "parlor_session_duration_seconds";
/// From the caller's last speech to the first frame of the answer.
pub const TURN_RESPONSE_SECONDS: &str = "parlor_turn_response_seconds";
/// The parts of a turn, by `stage`.
pub const TURN_STAGE_SECONDS: &str = "parlor_turn_stage_seconds";
/// From the caller's first speech over a reply to its hold.
pub const BARGE_IN_REACTION_SECONDS: &str = "parlor_barge_in_reaction_seconds";
/// Holds, by `outcome`: confirmed or false.
pub const BARGE_INS_TOTAL: &str = "parlor_barge_ins_total";
/// Frames of sound, by `direction`.
pub const AUDIO_FRAMES_TOTAL: &str = "parlor_audio_frames_total";
/// Frames dropped, by `direction` and `reason`.
pub const AUDIO_FRAMES_DROPPED_TOTAL: &str = "parlor_audio_frames_dropped_total";
/// Times that a reply had no frame when one was due.
pub const PLAYOUT_UNDERRUNS_TOTAL: &str = "parlor_playout_underruns_total";
/// People in rooms who were not heard, because as many as can be were heard already.
pub const PEOPLE_UNHEARD_TOTAL: &str = "parlor_people_unheard_total";
/// Frames not heard because the machine spoke, in mute mode.
pub const STT_MUTED_FRAMES_TOTAL: &str = "parlor_stt_muted_frames_total";
/// The part of a call's frames that held speech, by who had the floor.
pub const VAD_SPEECH_RATIO: &str = "parlor_vad_speech_ratio";
/// The part of a call's frames that the noise gate silenced.
pub const VAD_GATING_RATIO: &str = "parlor_vad_gating_ratio";
/// How loud a caller's room was when the caller left.
pub const NOISE_FLOOR_RMS: &str = "parlor_noise_floor_rms";
/// The part of a call's frames that the state's multiplier silenced, by who had the floor.
pub const VAD_STATE_GATING_RATIO: &str = "parlor_vad_state_gating_ratio";
/// Replies that broke off.
pub const REPLIES_FAILED_TOTAL: &str = "parlor_replies_failed_total";
/// Workers that broke under a call and were replaced, by `kind`.
pub const FAILOVERS_TOTAL: &str = "parlor_failovers_total";
/// Worker processes that the program has started again, by `kind` and `adapter`.
pub const LOCAL_WORKER_RESTARTS_TOTAL: &str = "parlor_local_worker_restarts_total";
/// Recordings that end before their calls, because the disk was full or too slow.
pub const RECORDINGS_BROKEN_TOTAL: &str = "parlor_recordings_broken_total";
/// 1 while a LiveKit server gives rooms.
pub const LIVEKIT_REGISTERED: &str = "parlor_livekit_registered";
/// Rooms that a LiveKit server offered, by `answer`.
pub const LIVEKIT_JOBS_TOTAL: &str = "parlor_livekit_jobs_total";
/// From being asked into a LiveKit room to the first frame of the greeting.
pub const LIVEKIT_FIRST_FRAME_SECONDS: &str = "parlor_livekit_first_frame_seconds";
/// 1, with the version as a label.
pub const BUILD_INFO: &str = "parlor_build_info";

const SECONDS: &[f64] = &[
    0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0,
];

/// Starts to collect metrics.
///
/// # Errors
/// When the process collects metrics already.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets_for_metric(
            Matcher::Full(SESSION_DURATION_SECONDS.into()),
            &[1.0, 10.0, 60.0, 300.0, 900.0, 3600.0],
        )?
        .set_buckets_for_metric(
            Matcher::Full(workers::metric::MODEL_LOAD_SECONDS.into()),
            &[0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0],
        )?
        .set_buckets_for_metric(
            Matcher::Full(workers::metric::TTS_PHASE_SECONDS.into()),
            &[
                0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
            ],
        )?
        .set_buckets_for_metric(
            Matcher::Suffix("_ratio".into()),
            &[0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0],
        )?
        .set_buckets_for_metric(
            Matcher::Full(NOISE_FLOOR_RMS.into()),
            &[5.0, 20.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0],
        )?
        .install_recorder()?;
    describe();
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// What a metric measures.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it is counted.
    pub kind: Kind,
    /// What it says.
    pub help: &'static str,
}

/// How a metric is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows.
    Counter,
    /// How often which values came.
    Histogram,
}

/// All metrics, in the order of the documentation.
pub const ALL: &[Metric] = &[
    Metric {
        name: SESSIONS_ACTIVE,
        kind: Kind::Gauge,
        help: "Calls now, by `transport`.",
    },
    Metric {
        name: SESSIONS_TOTAL,
        kind: Kind::Counter,
        help: "Calls that ended, by `transport` and `reason`.",
    },
    Metric {
        name: SESSIONS_REFUSED_TOTAL,
        kind: Kind::Counter,
        help: "Calls refused because the server was full.",
    },
    Metric {
        name: SESSION_DURATION_SECONDS,
        kind: Kind::Histogram,
        help: "How long calls lasted.",
    },
    Metric {
        name: TURN_RESPONSE_SECONDS,
        kind: Kind::Histogram,
        help: "From the caller's last speech to the first frame of the answer.",
    },
    Metric {
        name: TURN_STAGE_SECONDS,
        kind: Kind::Histogram,
        help: "The parts of a turn, by `stage`.",
    },
    Metric {
        name: BARGE_IN_REACTION_SECONDS,
        kind: Kind::Histogram,
        help: "From the caller's first speech over a reply to its hold.",
    },
    Metric {
        name: BARGE_INS_TOTAL,
        kind: Kind::Counter,
        help: "Holds, by `outcome`: confirmed or false.",
    },
    Metric {
        name: AUDIO_FRAMES_TOTAL,
        kind: Kind::Counter,
        help: "Frames of sound, by `direction`.",
    },
    Metric {
        name: AUDIO_FRAMES_DROPPED_TOTAL,
        kind: Kind::Counter,
        help: "Frames dropped, by `direction` and `reason`.",
    },
    Metric {
        name: PLAYOUT_UNDERRUNS_TOTAL,
        kind: Kind::Counter,
        help: "Times that a reply had no frame when one was due.",
    },
    Metric {
        name: PEOPLE_UNHEARD_TOTAL,
        kind: Kind::Counter,
        help: "People in rooms who were not heard, because as many as can be were heard already.",
    },
    Metric {
        name: STT_MUTED_FRAMES_TOTAL,
        kind: Kind::Counter,
        help: "Frames not heard because the machine spoke, in mute mode.",
    },
    Metric {
        name: VAD_SPEECH_RATIO,
        kind: Kind::Histogram,
        help: "The part of a call's frames that held speech, by `floor`: speaking, listening, barged_in.",
    },
    Metric {
        name: VAD_GATING_RATIO,
        kind: Kind::Histogram,
        help: "The part of a call's frames that the noise gate silenced.",
    },
    Metric {
        name: NOISE_FLOOR_RMS,
        kind: Kind::Histogram,
        help: "How loud a caller's room was when the caller left, in 16-bit units; not for calls under two seconds.",
    },
    Metric {
        name: VAD_STATE_GATING_RATIO,
        kind: Kind::Histogram,
        help: "The part of a call's frames that the state's multiplier silenced, by `floor`.",
    },
    Metric {
        name: REPLIES_FAILED_TOTAL,
        kind: Kind::Counter,
        help: "Replies that broke off.",
    },
    Metric {
        name: FAILOVERS_TOTAL,
        kind: Kind::Counter,
        help: "Workers that broke under a call and were replaced, by kind (tts, stt).",
    },
    Metric {
        name: LOCAL_WORKER_RESTARTS_TOTAL,
        kind: Kind::Counter,
        help: "Worker processes that the program has started again, by `kind` (tts, stt) and `adapter`.",
    },
    Metric {
        name: RECORDINGS_BROKEN_TOTAL,
        kind: Kind::Counter,
        help: "Recordings that end before their calls, because the disk was full or too slow.",
    },
    Metric {
        name: LIVEKIT_REGISTERED,
        kind: Kind::Gauge,
        help: "1 while a LiveKit server gives rooms, 0 while none can be reached.",
    },
    Metric {
        name: LIVEKIT_JOBS_TOTAL,
        kind: Kind::Counter,
        help: "Rooms that a LiveKit server offered, by `answer`: accepted, full, busy, draining, present, unfit.",
    },
    Metric {
        name: LIVEKIT_FIRST_FRAME_SECONDS,
        kind: Kind::Histogram,
        help: "From being asked into a LiveKit room to the first frame of the greeting, with the wait for somebody to hear it.",
    },
    Metric {
        name: workers::metric::TTS_REQUESTS_TOTAL,
        kind: Kind::Counter,
        help: "Syntheses that ended, by `status`: ok, error, cancelled.",
    },
    Metric {
        name: workers::metric::TTS_TTFB_SECONDS,
        kind: Kind::Histogram,
        help: "From the first clause that goes to an engine to a synthesis' first sound.",
    },
    Metric {
        name: workers::metric::TTS_SYNTHESIS_DURATION_SECONDS,
        kind: Kind::Histogram,
        help: "From the first chunk of a synthesis to its last frame.",
    },
    Metric {
        name: workers::metric::TTS_PHASE_SECONDS,
        kind: Kind::Histogram,
        help: "How long a clause takes, by `phase` (queue: until its turn; first_sound and synthesis: from its turn to its first and its last sound; finishing: trimming, 48 kHz and loudness), `adapter` and `class`: real_time, batch.",
    },
    Metric {
        name: workers::metric::TTS_ACTIVE_SESSIONS,
        kind: Kind::Gauge,
        help: "Sessions open at workers of synthesis in this process.",
    },
    Metric {
        name: workers::metric::TTS_QUEUE_DEPTH,
        kind: Kind::Gauge,
        help: "Clauses that wait for an engine or are being said.",
    },
    Metric {
        name: workers::metric::TTS_RTF,
        kind: Kind::Gauge,
        help: "Time that the speaking engines took over the length of what they said, since the start.",
    },
    Metric {
        name: workers::metric::STT_REQUESTS_TOTAL,
        kind: Kind::Counter,
        help: "Utterances and recordings that ended, by `status`: ok, error, cancelled.",
    },
    Metric {
        name: workers::metric::STT_FINAL_SECONDS,
        kind: Kind::Histogram,
        help: "From the end of an utterance to its transcript.",
    },
    Metric {
        name: workers::metric::STT_ACTIVE_SESSIONS,
        kind: Kind::Gauge,
        help: "Recognisers in this process that are listening.",
    },
    Metric {
        name: workers::metric::STT_QUEUE_DEPTH,
        kind: Kind::Gauge,
        help: "Utterances that wait for a recogniser.",
    },
    Metric {
        name: workers::metric::STT_RTF,
        kind: Kind::Gauge,
        help: "Time that the recognisers took over the length of what they heard, since the start.",
    },
    Metric {
        name: workers::metric::MODEL_LOAD_SECONDS,
        kind: Kind::Histogram,
        help: "How long models took to load, with their warm-up.",
    },
    Metric {
        name: workers::metric::MODEL_UNLOAD_SECONDS,
        kind: Kind::Histogram,
        help: "How long models took to be let go.",
    },
    Metric {
        name: workers::metric::MODEL_EVICTIONS_TOTAL,
        kind: Kind::Counter,
        help: "Models let go because they were idle or room was needed.",
    },
    Metric {
        name: workers::metric::MODEL_FREED_BYTES_TOTAL,
        kind: Kind::Counter,
        help: "Memory that the process no longer held after models were let go.",
    },
    Metric {
        name: workers::metric::WORKER_REFUSED_TOTAL,
        kind: Kind::Counter,
        help: "What a worker refused because no place was free or it was draining, by `kind`: tts, stt.",
    },
    Metric {
        name: workers::metric::WORKER_REGISTERED,
        kind: Kind::Gauge,
        help: "1 while the registry has this worker's record, 0 while it cannot be written.",
    },
    Metric {
        name: BUILD_INFO,
        kind: Kind::Gauge,
        help: "1, with the version as a label.",
    },
];

fn describe() {
    for Metric { name, kind, help } in ALL {
        let unit = match name.trim_end_matches("_total") {
            name if name.ends_with("_seconds") => Unit::Seconds,
            name if name.ends_with("_bytes") => Unit::Bytes,
            _ => Unit::Count,
        };
        match kind {
            Kind::Gauge => describe_gauge!(*name, unit, *help),
            Kind::Counter => describe_counter!(*name, unit, *help),
            Kind::Histogram => describe_histogram!(*name, unit, *help),
        }
    }
}

/// `docs/metrics.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Metrics\n\nServed to Prometheus at `/metrics` of `telemetry.metrics_listen`. This page is made from the code.\n\n\
         | metric | kind | what it says |\n|---|---|---|\n",
    );
    for Metric { name, kind, help } in ALL {
        text.push_str(&format!(
            "| `{name}` | {} | {help} |\n",
            format!("{kind:?}").to_lowercase()
        ));
    }
    text
}
