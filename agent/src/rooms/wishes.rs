//! What a job may wish for its call: `{"voice": "flite:slt", "mode": "mute"}` as its metadata.

use crate::config::Mode;
use crate::session::CallOptions;
use serde::Deserialize as _;
use serde_json::Value;
use tracing::warn;

/// `options` with a job's wishes. Metadata that is no JSON object is somebody else's and means nothing here; a wish that
/// cannot be granted is left out.
pub(super) fn granted(
    job: &str,
    metadata: &str,
    mut options: CallOptions,
    has_voice: impl Fn(&str) -> bool,
) -> CallOptions {
    let Ok(Value::Object(wishes)) = serde_json::from_str(metadata) else {
        return options;
    };
    if let Some(mode) = wishes.get("mode") {
        match Mode::deserialize(mode) {
            Ok(mode) => options.mode = mode,
            Err(_) => ungranted(job, "mode"),
        }
    }
    if let Some(voice) = wishes.get("voice") {
        match voice.as_str() {
            Some(voice) if has_voice(voice) => options.voice = Some(voice.to_owned()),
            Some(_) | None => ungranted(job, "voice"),
        }
    }
    options
}

fn ungranted(job: &str, wish: &str) {
    warn!(
        job,
        wish, "A job's metadata asks for what there is not; the settings decide."
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Events;

    fn with(metadata: &str) -> (Mode, Option<String>) {
        let options = CallOptions {
            mode: Mode::Duplex,
            voice: None,
            events: Events::All,
        };
        let options = granted("AJ_1", metadata, options, |voice| voice == "mock:a");
        (options.mode, options.voice)
    }

    #[test]
    fn a_job_chooses_mode_and_voice() {
        let chosen = with(r#"{"voice": "mock:a", "mode": "manual", "customer": 7}"#);
        assert_eq!(chosen, (Mode::Manual, Some("mock:a".into())));
    }

    #[test]
    fn what_cannot_be_granted_changes_nothing() {
        let unchanged = (Mode::Duplex, None);
        for metadata in [
            "",
            "customer 7",
            "[1]",
            r#"{"voice": "mock:b"}"#,
            r#"{"voice": 3, "mode": 4}"#,
            r#"{"mode": "loud"}"#,
        ] {
            assert_eq!(with(metadata), unchanged, "{metadata}");
        }
        assert_eq!(
            with(r#"{"mode": "loud", "voice": "mock:a"}"#),
            (Mode::Duplex, Some("mock:a".into()))
        );
    }
}
