//! ONNX Runtime, loaded from a shared library at run time: absent or broken, it is an error that says so.

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no file where the library should be.
    #[error("there is no ONNX Runtime library at {}", .0.display())]
    NoLibrary(PathBuf),
    /// The file is no ONNX Runtime that this program can use.
    #[error("cannot load ONNX Runtime: {0}")]
    Library(#[from] ort::LoadDynamicError),
    /// There is no file where the model should be.
    #[error("there is no model file at {}", .0.display())]
    NoModel(PathBuf),
    /// The model has other inputs and outputs than it should.
    #[error(
        "the model at {} has inputs [{inputs}] and outputs [{outputs}], expected {expected}; fetch the file again",
        path.display()
    )]
    OtherModel {
        /// The model's file.
        path: PathBuf,
        /// The names of its inputs.
        inputs: String,
        /// The names of its outputs.
        outputs: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The model ran and gave something that its kind of model does not give.
    #[error(
        "the model's output is not of the shape or range that it should be; fetch the file again"
    )]
    OddOutput,
    /// ONNX Runtime refused the model or failed to run it.
    #[error("ONNX Runtime: {0}")]
    Runtime(#[from] ort::Error),
}

// The runtime allows one environment a process, and forgets it when nobody holds it.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The process's ONNX Runtime, loaded from `library` unless it has been loaded before.
///
/// # Errors
/// [`Error::NoLibrary`] or [`Error::Library`]; another library may be tried after that.
pub fn environment(library: &Path) -> Result<Environment, Error> {
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = environment.as_ref() {
        return Ok(environment.clone());
    }
    // The binding looks for a relative path beside the program, and for a missing file on the system's paths.
    let library = library
        .canonicalize()
        .map_err(|_| Error::NoLibrary(library.to_owned()))?;
    let opened = ort::init_from(library)?
        .with_name("parlor")
        .with_telemetry(false)
        .build()?;
    // It begins with everything on, and each line that nobody reads would still cross from C++ to Rust.
    opened.set_log_level(LogLevel::Warning);
    *environment = Some(opened.clone());
    Ok(opened)
}

/// Opens a model that runs in its caller's thread: one thread, no spinning.
///
/// # Errors
/// Whatever keeps the library or the model from being loaded.
pub fn session(library: &Path, model: &Path) -> Result<Session, Error> {
    let environment = environment(library)?;
    if !model.is_file() {
        return Err(Error::NoModel(model.to_owned()));
    }
    Ok(in_its_caller_s_thread(Session::builder(&environment)?)?.commit_from_file(model)?)
}

fn in_its_caller_s_thread(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    Ok(builder
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_log_level(LogLevel::Warning)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_broken_library_is_an_error_and_another_may_be_tried() {
        let missing = environment(Path::new("/nowhere/libonnxruntime.so")).unwrap_err();
        assert!(
            missing
                .to_string()
                .starts_with("there is no ONNX Runtime library at"),
            "{missing}"
        );
        // A text file, then a folder: neither loads, and neither panics.
        let text = std::env::current_dir().unwrap().join("Cargo.toml");
        assert!(matches!(environment(&text), Err(Error::Library(_))));
        assert!(matches!(
            environment(Path::new("/")),
            Err(Error::Library(_))
        ));
    }
}
