//! Standard output is for results and standard error for remarks.

use serde::Serialize;
use std::io::{self, Write as _};

/// Prints a line of results.
///
/// # Errors
/// When nobody reads any more.
pub fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Prints a result as one line of JSON.
///
/// # Errors
/// When nobody reads any more.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    line(&serde_json::to_string(value)?)
}

/// Prints a remark.
pub fn note(text: &str) {
    // If even standard error is gone there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether standard error is a terminal that wants colours.
pub fn colours() -> bool {
    use std::io::IsTerminal as _;
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
