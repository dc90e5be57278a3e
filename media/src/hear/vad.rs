//! Voice activity detection: Silero where it can be opened, webrtc-vad everywhere, behind one small trait.

pub mod silero;
pub mod webrtc;

use super::{VAD_FRAME_SAMPLES, VadChoice};
use std::path::Path;
use std::sync::Arc;
use webrtc::WebRtcVad;

/// Says of 20 ms of sound whether it is voice. Each call has its own.
pub trait Vad: Send {
    /// How probably the newest sound is voice, 0 to 1. The detector hears every frame of the call, whatever becomes of
    /// its answer, so its memory stays continuous.
    fn hear(&mut self, samples_16k: &[i16; VAD_FRAME_SAMPLES]) -> f32;

    /// Whether the answers lie between 0 and 1, or are only 0 and 1.
    fn has_probability(&self) -> bool;

    /// Forgets what was heard.
    fn reset(&mut self);

    /// The detector's name, as users write it.
    fn name(&self) -> &'static str;
}

/// Makes one call's detector.
pub type VadFactory = Arc<dyn Fn() -> Box<dyn Vad> + Send + Sync>;

/// The detector that could be opened.
#[derive(Clone)]
pub struct Opened {
    /// Makes a detector for each call.
    pub factory: VadFactory,
    /// The detector's name: `silero` or `webrtc`.
    pub name: &'static str,
    /// Why it is not Silero, where Silero was wanted: one sentence for people.
    pub note: Option<String>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("name", &self.name)
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}

/// Opens the detector of `choice`; never fails, because webrtc-vad needs nothing.
///
/// Silero needs its model file, and for another file than those of its versions 5 and 6 ONNX Runtime's shared library. All
/// calls share the network. Do this once, at the program's start: it reads files.
pub fn open_vad(
    choice: VadChoice,
    runtime_library: Option<&Path>,
    silero_model: Option<&Path>,
) -> Opened {
    let note = match choice {
        VadChoice::WebRtc => None,
        VadChoice::Auto | VadChoice::Silero => match open_silero(runtime_library, silero_model) {
            Ok(factory) => {
                return Opened {
                    factory,
                    name: "silero",
                    note: None,
                };
            }
            Err(why) => Some(format!("Silero is not used, webrtc-vad is: {why}")),
        },
    };
    Opened {
        factory: Arc::new(|| Box::new(WebRtcVad::new())),
        name: webrtc::NAME,
        note,
    }
}

fn open_silero(library: Option<&Path>, model: Option<&Path>) -> Result<VadFactory, String> {
    let model = model.ok_or("its model file silero-vad/silero_vad.onnx was not found")?;
    let model = silero::SileroModel::load(library, model).map_err(|error| error.to_string())?;
    Ok(Arc::new(move || Box::new(silero::SileroVad::new(&model))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_a_note_and_not_a_panic() {
        let missing = Path::new("/nowhere/libonnxruntime.so");
        for (choice, library) in [(VadChoice::Auto, None), (VadChoice::Silero, Some(missing))] {
            let opened = open_vad(choice, library, Some(Path::new("/nowhere/silero_vad.onnx")));
            assert_eq!(opened.name, "webrtc");
            assert!(opened.note.unwrap().starts_with("Silero is not used"));
            assert_eq!((opened.factory)().name(), "webrtc");
        }
    }

    #[test]
    fn who_asks_for_webrtc_gets_it_without_a_note() {
        let opened = open_vad(VadChoice::WebRtc, None, None);
        assert_eq!((opened.name, opened.note), ("webrtc", None));
    }
}
