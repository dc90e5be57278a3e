//! Where engines find the files that they load.

use std::path::PathBuf;

/// Told by the program, which knows its user's folders: the workers themselves read no environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// ONNX Runtime's library; without one, engines that need it say how to get it.
    pub onnx_runtime: Option<PathBuf>,
    /// Folders with voice packs as `<folder>/<engine>/<model>/`; of two packs of one name the first counts.
    pub voicepacks: Vec<PathBuf>,
    /// Stores of models, which hold those of Whisper as `<store>/whisper/ggml-<name>.bin`; the first that has a file counts.
    pub models: Vec<PathBuf>,
    /// The GPU that models run on, counted from 0; none: they run on the processor.
    pub gpu: Option<u32>,
}
