//! Writes a call down while it happens.

use super::{CallFile, Event, Line, Redaction};
use crate::dialog::Dialog;
use crate::event::{Input, Stamped};
use crate::policy::Policy;
use crate::state::State;
use crate::time::SessionTime;

/// Stands between a session and its dialog and writes down what passes, in the order in which it replays: a deadline
/// that is met late still comes before the input that found it.
///
/// It keeps text until it is taken, and nothing else.
#[derive(Debug)]
pub struct Recorder {
    redaction: Redaction,
    text: String,
}

impl Recorder {
    /// Begins a recording of a dialog with this policy.
    pub fn new(policy: &Policy, redaction: Redaction) -> Self {
        Self {
            redaction,
            text: CallFile {
                policy: policy.clone(),
                lines: Vec::new(),
            }
            .to_string(),
        }
    }

    /// Gives `input` to the dialog, writes both sides down and returns all that is to be done.
    pub fn handle(&mut self, dialog: &mut Dialog, now: SessionTime, input: Input) -> Vec<Stamped> {
        dialog.handle(now, Input::Tick);
        let mut outputs = self.drain(dialog);
        let ended = matches!(dialog.state(), State::Terminated { .. });
        if !ended && !matches!(input, Input::Tick) {
            self.write(dialog.now(), Event::Input(input.clone()));
            dialog.handle(now, input);
            outputs.append(&mut self.drain(dialog));
        }
        outputs
    }

    /// What was written since it was last taken: whole lines, to be appended to the file.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    fn drain(&mut self, dialog: &mut Dialog) -> Vec<Stamped> {
        let outputs: Vec<_> = std::iter::from_fn(|| dialog.poll_output()).collect();
        for Stamped { at, output } in &outputs {
            self.write(*at, Event::Output(output.clone()));
        }
        outputs
    }

    fn write(&mut self, at: SessionTime, event: Event) {
        let event = match self.redaction {
            Redaction::CountsOnly => event.redacted(),
            Redaction::KeepWords => event,
        };
        let line = Line {
            number: 0,
            at,
            event,
        };
        self.text.push_str(&line.to_string());
        self.text.push('\n');
    }
}
