//! Speech models in ONNX Runtime.

use crate::library::Missing;
use crate::places::Places;
use media::onnx::environment;
use ort::logging::LogLevel;
use ort::session::builder::SessionBuilder;
use ort::session::{Session, SessionInputValue};
use ort::value::{Outlet, TensorElementType};
use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A smaller file holds no network.
const SMALLEST_BYTES: u64 = 64;

/// A name and a value for it.
pub(super) type Input<'a> = (Cow<'a, str>, SessionInputValue<'a>);

/// The runtime's library, and what it shall run models on.
#[derive(Debug, Clone)]
pub(super) struct Runtime {
    library: PathBuf,
    gpu: Option<u32>,
}

impl Runtime {
    /// The GPU that models run on; none: the processor.
    pub(super) fn gpu(&self) -> Option<u32> {
        self.gpu
    }

    /// The runtime of these places; it is not loaded yet.
    ///
    /// # Errors
    /// [`Missing`] when there is none.
    pub(super) fn of(engine: &'static str, places: &Places) -> Result<Self, Missing> {
        let library = places.onnx_runtime.clone().filter(|path| path.is_file());
        let library = library.ok_or_else(|| Missing {
            engine,
            what: "ONNX Runtime (libonnxruntime.so)".to_owned(),
            remedy: "type `scripts/setup-models`, or set ORT_DYLIB_PATH to the library".to_owned(),
        })?;
        if places.gpu.is_some() && !cfg!(feature = "cuda") {
            return Err(Missing {
                engine,
                what: "CUDA in this program".to_owned(),
                remedy: "build it with `--features workers/cuda`, or name no GPU".to_owned(),
            });
        }
        Ok(Self {
            library,
            gpu: places.gpu,
        })
    }

    /// Opens a model; it will run in its caller's thread.
    ///
    /// # Errors
    /// Why the library or the model is none, for people.
    pub(super) fn open(&self, model: &Path) -> Result<Session, String> {
        check(model)?;
        let environment = environment(&self.library).map_err(|error| error.to_string())?;
        let odd =
            |error: ort::Error| format!("ONNX Runtime does not take {}: {error}", model.display());
        let builder = Session::builder(&environment).map_err(odd)?;
        let builder = one_thread(builder).map_err(odd)?;
        on_gpu(builder, self.gpu)?
            .commit_from_file(model)
            .map_err(odd)
    }
}

/// Whether the file may be a model, so that the usual mistakes get a sentence of their own.
fn check(model: &Path) -> Result<(), String> {
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", model.display());
    let mut file = File::open(model).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(format!("{} is no file", model.display()));
    }
    if about.len() < SMALLEST_BYTES {
        return Err(format!(
            "{} is too small for a model ({} bytes); fetch it again",
            model.display(),
            about.len()
        ));
    }
    let mut head = [0; 32];
    file.read_exact(&mut head).map_err(unreadable)?;
    if head.starts_with(b"version https://git-lfs") {
        return Err(format!(
            "{} is a pointer of Git LFS and not the model; type `git lfs pull` where it came from",
            model.display()
        ));
    }
    if head.trim_ascii_start().starts_with(b"<") {
        return Err(format!(
            "{} is a web page and not a model; fetch it again",
            model.display()
        ));
    }
    Ok(())
}

/// Sets a model up to run in the thread that calls it, which is its own; its warnings are told, for one of them is that a GPU is
/// not used.
fn one_thread(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    Ok(builder
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_log_level(LogLevel::Warning)?)
}

#[cfg(feature = "cuda")]
fn on_gpu(builder: SessionBuilder, gpu: Option<u32>) -> Result<SessionBuilder, String> {
    let Some(gpu) = gpu else {
        return Ok(builder);
    };
    let device = i32::try_from(gpu).map_err(|_| format!("there is no GPU {gpu}"))?;
    // Without this word the runtime would go on with the processor and say nothing.
    let provider = ort::ep::CUDA::default()
        .with_device_id(device)
        .build()
        .error_on_failure();
    builder
        .with_execution_providers([provider])
        .map_err(|error| {
            format!("cannot use GPU {gpu}: {error}; is this ONNX Runtime the CUDA build?")
        })
}

#[cfg(not(feature = "cuda"))]
fn on_gpu(builder: SessionBuilder, gpu: Option<u32>) -> Result<SessionBuilder, String> {
    match gpu {
        None => Ok(builder),
        Some(_) => Err(
            "this program was built without CUDA; build it with the feature `cuda`, or name no GPU"
                .to_owned(),
        ),
    }
}

/// The type of an input or output of this name; none if there is no such tensor.
pub(super) fn type_of(outlets: &[Outlet], name: &str) -> Option<TensorElementType> {
    outlets
        .iter()
        .find(|outlet| outlet.name() == name)?
        .dtype()
        .tensor_type()
}

/// The names of inputs or outputs, for people.
pub(super) fn names(outlets: &[Outlet]) -> String {
    let names: Vec<&str> = outlets.iter().map(Outlet::name).collect();
    names.join(", ")
}

/// Runs the model and returns the samples of its output of this name, from -1 to 1, whatever shape they lie in.
///
/// # Errors
/// What the runtime says, or that the output is none of samples.
pub(super) fn run(
    session: &mut Session,
    inputs: Vec<Input<'_>>,
    output: &str,
) -> Result<Vec<f32>, String> {
    let [samples] = run_for(session, inputs, [output])?;
    Ok(samples)
}

/// Runs the model and returns the values of its outputs of these names, whatever shape they lie in.
///
/// # Errors
/// What the runtime says, or that an output is not there or holds no numbers.
pub(super) fn run_for<const N: usize>(
    session: &mut Session,
    inputs: Vec<Input<'_>>,
    outputs: [&str; N],
) -> Result<[Vec<f32>; N], String> {
    let made = session
        .run(inputs)
        .map_err(|error| format!("ONNX Runtime: {error}"))?;
    let mut all: [Vec<f32>; N] = [const { Vec::new() }; N];
    for (values, output) in all.iter_mut().zip(outputs) {
        let found = made
            .get(output)
            .and_then(|value| value.try_extract_tensor::<f32>().ok())
            .map(|(_, values)| values)
            .ok_or("the model's output is none of samples")?;
        if !found.iter().all(|value| value.is_finite()) {
            return Err("the model's output is no sound; fetch the model again".to_owned());
        }
        *values = found.to_vec();
    }
    Ok(all)
}

/// Samples from -1 to 1 as 16-bit ones.
pub(super) fn to_i16(samples: &[f32]) -> Vec<i16> {
    samples
        .iter()
        .map(|sample| (sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_often_taken_for_a_model_is_told_from_one() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |bytes: &[u8]| {
            let path = folder.path().join("model.onnx");
            std::fs::write(&path, bytes).unwrap();
            check(&path).unwrap_err()
        };
        let long = |head: &str| format!("{head}{}", " ".repeat(200)).into_bytes();
        assert!(refused(b"").contains("too small"));
        assert!(refused(&long("version https://git-lfs.github.com/spec/v1")).contains("Git LFS"));
        assert!(refused(&long("\n<!DOCTYPE html>")).contains("web page"));
        let absent = check(&folder.path().join("absent.onnx")).unwrap_err();
        assert!(absent.starts_with("cannot read"), "{absent}");
        assert!(check(folder.path()).unwrap_err().contains("is no file"));
    }

    #[test]
    fn a_library_that_is_none_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model.onnx");
        std::fs::write(&model, [0x5a; 100]).unwrap();
        let mut places = Places {
            onnx_runtime: Some(folder.path().join("absent.so")),
            ..Places::default()
        };
        let missing = Runtime::of("test", &places).unwrap_err();
        assert!(missing.to_string().contains("setup-models"), "{missing}");
        // A text file instead of the library.
        places.onnx_runtime = Some(model.clone());
        let refused = Runtime::of("test", &places).unwrap().open(&model);
        let reason = refused.err().unwrap();
        assert!(reason.contains("ONNX Runtime"), "{reason}");
    }

    #[test]
    fn samples_are_kept_in_range() {
        assert_eq!(to_i16(&[0.0, 1.0, -1.0, 3.0]), [0, 32_767, -32_767, 32_767]);
    }
}
