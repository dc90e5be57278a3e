//! Standard output is for results and standard error for remarks.

use clap::{ColorChoice, ValueEnum as _};
use serde::Serialize;
use std::io::{self, IsTerminal, Write as _};
use std::sync::OnceLock;

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

static COLOURS: OnceLock<ColorChoice> = OnceLock::new();

/// Takes `--color WHEN` from the arguments before anything is printed, for help and mistakes have colours too. The parser
/// reads it again and refuses what is none of the three.
pub fn choose_colours(arguments: impl Iterator<Item = String>) -> ColorChoice {
    *COLOURS.get_or_init(|| asked_for(arguments))
}

fn asked_for(arguments: impl Iterator<Item = String>) -> ColorChoice {
    let mut choice = ColorChoice::Auto;
    let mut arguments = arguments.take_while(|argument| argument != "--");
    while let Some(argument) = arguments.next() {
        let when = match argument.strip_prefix("--color") {
            Some("") => arguments.next(),
            Some(rest) => rest.strip_prefix('=').map(str::to_owned),
            None => None,
        };
        if let Some(when) = when {
            choice = ColorChoice::from_str(&when, false).unwrap_or(choice);
        }
    }
    choice
}

/// Whether standard error is to have colours.
pub fn colours() -> bool {
    wanted(&io::stderr())
}

/// A word of a result in an ANSI colour, where standard output is to have colours.
pub fn coloured(word: &str, colour: Colour) -> String {
    if wanted(&io::stdout()) {
        format!("\x1b[{}m{word}\x1b[0m", colour as u8)
    } else {
        word.to_owned()
    }
}

/// The colours of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// It does not work.
    Red = 31,
    /// It is good.
    Green = 32,
    /// It could be better.
    Yellow = 33,
}

fn wanted(stream: &impl IsTerminal) -> bool {
    match COLOURS.get().copied().unwrap_or(ColorChoice::Auto) {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            stream.is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_color_counts_and_a_wrong_one_is_the_parser_s_to_refuse() {
        let asked = |line: &str| asked_for(line.split(' ').map(str::to_owned));
        assert_eq!(asked("parlor doctor"), ColorChoice::Auto);
        assert_eq!(asked("parlor --color always doctor"), ColorChoice::Always);
        assert_eq!(
            asked("parlor doctor --color=always --color=never"),
            ColorChoice::Never
        );
        assert_eq!(asked("parlor doctor --color=pink"), ColorChoice::Auto);
        assert_eq!(asked("parlor say -- --color=always"), ColorChoice::Auto);
    }
}
