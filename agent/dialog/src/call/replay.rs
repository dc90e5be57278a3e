//! Runs a call again and compares.

use super::{CallFile, Event, Line};
use crate::dialog::Dialog;
use crate::event::{Input, Stamped};
use crate::time::SessionTime;
use std::fmt;

/// The first place where a call went differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The line's number; one past the last if the file ends too early.
    pub line: usize,
    /// What the file says.
    pub expected: String,
    /// What the dialog did.
    pub got: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            expected,
            got,
        } = self;
        write!(f, "line {line}\n  expected  {expected}\n  got       {got}")
    }
}

impl std::error::Error for Difference {}

/// Gives a fresh dialog the inputs of the call and compares its outputs: what, when, and in which order. Time runs to
/// the last line of the file.
///
/// # Errors
/// The first [`Difference`].
pub fn replay(call: &CallFile) -> Result<(), Difference> {
    let mut dialog = Dialog::new(call.policy.clone());
    for line in &call.lines {
        match &line.event {
            Event::Input(input) => {
                dialog.handle(line.at, Input::Tick);
                no_more_output(&mut dialog, line.number, &line.to_string())?;
                dialog.handle(line.at, input.clone());
            }
            Event::Output(_) => expect_output(&mut dialog, line)?,
        }
    }
    let end = call.lines.last().map_or(0, |line| line.number) + 1;
    no_more_output(&mut dialog, end, "the end of the call")
}

fn expect_output(dialog: &mut Dialog, line: &Line) -> Result<(), Difference> {
    let first = dialog.poll_output();
    let got = first.or_else(|| {
        // Nothing is left to say at once, so only time can bring this output.
        dialog.handle(line.at, Input::Tick);
        dialog.poll_output()
    });
    let expected = line.to_string();
    let got = got.map_or_else(|| nothing_until(line.at), shown);
    if got == expected {
        Ok(())
    } else {
        Err(difference(line.number, &expected, &got))
    }
}

fn no_more_output(dialog: &mut Dialog, number: usize, expected: &str) -> Result<(), Difference> {
    dialog.poll_output().map_or(Ok(()), |extra| {
        Err(difference(number, expected, &shown(extra)))
    })
}

fn shown(Stamped { at, output }: Stamped) -> String {
    Line {
        number: 0,
        at,
        event: Event::Output(output),
    }
    .to_string()
}

fn nothing_until(at: SessionTime) -> String {
    format!("nothing until {at}")
}

fn difference(line: usize, expected: &str, got: &str) -> Difference {
    Difference {
        line,
        expected: expected.trim_start().to_owned(),
        got: got.trim_start().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> String {
        replay(&CallFile::parse(text).unwrap())
            .map_or_else(|difference| difference.to_string(), |()| "same".into())
    }

    #[test]
    fn the_first_difference_is_shown_with_its_line() {
        let call = "call 1\n0 < connected\n0 > state WaitingForInput\n9 < ask why\n9 > reply 1 why\n9 > state Speaking(preparing)\n";
        assert_eq!(outcome(call), "same");
        assert_eq!(
            outcome(&call.replace("reply 1 why", "reply 1 how")),
            "line 5\n  expected  9 > reply 1 how\n  got       9 > reply 1 why"
        );
        assert_eq!(
            outcome(&call.replace("0 > state WaitingForInput\n", "")),
            "line 3\n  expected  9 < ask why\n  got       0 > state WaitingForInput"
        );
        assert_eq!(
            outcome(&format!("{call}10 > cancel 1\n")),
            "line 7\n  expected  10 > cancel 1\n  got       nothing until 10"
        );
        assert_eq!(
            outcome("call 1\n0 < connected\n"),
            "line 3\n  expected  the end of the call\n  got       0 > state WaitingForInput"
        );
    }
}
