//! Shared libraries that are looked for when the program runs, so that it starts without them.

use std::path::Path;

/// A thing an engine needs that is not on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{engine} needs {what}; {remedy}")]
pub struct Missing {
    /// Whose it is.
    pub engine: &'static str,
    /// The library or file that was looked for.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Missing {
    /// A library or file of a Debian package.
    pub(crate) fn package(engine: &'static str, what: impl Into<String>, package: &str) -> Self {
        Self {
            engine,
            what: what.into(),
            remedy: format!("type `apt install {package}`"),
        }
    }

    /// A library that is there but lacks a function.
    pub(crate) fn symbol(engine: &'static str, symbol: &str, package: &str) -> Self {
        Self {
            engine,
            what: format!("a library with the function {symbol}"),
            remedy: format!(
                "the one found is another version; type `apt install --reinstall {package}`"
            ),
        }
    }

    /// A file of a Debian package.
    pub(crate) fn file(engine: &'static str, path: &Path, package: &str) -> Self {
        Self::package(engine, path.display().to_string(), package)
    }
}

/// Opens the first library of `names` that is there. It stays open as long as the process lives.
#[allow(unsafe_code, reason = "loading a library runs its initialisers")]
pub(crate) fn open(names: &[&str]) -> Option<&'static libloading::Library> {
    names.iter().find_map(|name| {
        // SAFETY: only speech libraries of the system are named here; their initialisers set up tables and nothing else.
        let library = unsafe { libloading::Library::new(name) }.ok()?;
        // Closing one of these while its threads or exit handlers run is undefined, so none is ever closed.
        Some(&*Box::leak(Box::new(library)))
    })
}

/// Declares a struct of a library's functions, and how to find them.
macro_rules! functions {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $symbol:literal => fn($($argument:ty),*) $(-> $result:ty)?;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        struct $name {
            $($field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)+
        }

        impl $name {
            /// The functions, each from the first library that has it; or the name of one that none has.
            fn find(libraries: &[&'static libloading::Library]) -> Result<Self, &'static str> {
                $(
                    let $field = libraries
                        .iter()
                        // SAFETY: the type is that of the library's header, and the library is never closed.
                        .find_map(|library| unsafe {
                            library.get::<unsafe extern "C" fn($($argument),*) $(-> $result)?>($symbol.as_bytes()).ok()
                        })
                        .map(|function| *function)
                        .ok_or($symbol)?;
                )+
                Ok(Self { $($field),+ })
            }
        }
    };
}
pub(crate) use functions;
