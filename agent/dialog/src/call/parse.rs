//! Reads calls.

use super::print::unescape;
use super::{CallFile, Event, Line, VERSION};
use crate::event::{EndReason, Input, Output, Probability, ReplyId, Saying};
use crate::policy::Policy;
use crate::state::StateName;
use crate::time::SessionTime;
use crate::words::Words;
use std::fmt;
use std::str::FromStr;

/// A line that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for ParseError {}

pub(super) fn call(text: &str) -> Result<CallFile, ParseError> {
    let mut stated = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, statement(line)));
    let mut stated = stated
        .by_ref()
        .filter(|(_, line)| !line.is_empty())
        .peekable();
    let at_line = |line| move |problem| ParseError { line, problem };

    let (number, first) = stated.next().unwrap_or((1, ""));
    version(first).map_err(at_line(number))?;

    let mut policy = Policy::default();
    while let Some((number, setting)) = stated.next_if(|(_, line)| line.starts_with("policy")) {
        set(&mut policy, setting).map_err(at_line(number))?;
    }

    let mut lines = Vec::new();
    let mut latest = SessionTime::ZERO;
    for (number, line) in stated {
        let (at, event) = event(line).map_err(at_line(number))?;
        if at < latest {
            return Err(at_line(number)(format!(
                "time goes backwards: {at} after {latest}"
            )));
        }
        latest = at;
        lines.push(Line { number, at, event });
    }
    Ok(CallFile { policy, lines })
}

/// A line without its comment and the blanks around it.
fn statement(line: &str) -> &str {
    let comment = line.char_indices().find(|(at, c)| {
        let before = line
            .get(..*at)
            .and_then(|before| before.chars().next_back());
        *c == '#' && before.is_none_or(char::is_whitespace)
    });
    line.get(..comment.map_or(line.len(), |(at, _)| at))
        .unwrap_or(line)
        .trim()
}

fn version(line: &str) -> Result<(), String> {
    match line
        .strip_prefix("call ")
        .map(|version| version.trim().parse::<u32>())
    {
        Some(Ok(VERSION)) => Ok(()),
        Some(Ok(other)) => Err(format!(
            "this is version {other} of the grammar, only {VERSION} is known"
        )),
        Some(Err(_)) | None => Err(format!(
            "a call begins with \"call {VERSION}\", not \"{line}\""
        )),
    }
}

fn set(policy: &mut Policy, line: &str) -> Result<(), String> {
    let setting = line.strip_prefix("policy ").unwrap_or_default().trim();
    let (key, value) = setting
        .split_once('=')
        .ok_or_else(|| format!("expected \"policy key=value\", not \"{line}\""))?;
    policy
        .set(key.trim(), value.trim())
        .map_err(|error| error.to_string())
}

fn event(line: &str) -> Result<(SessionTime, Event), String> {
    let (at, rest) = word(line);
    let at = at
        .parse()
        .map(SessionTime::from_ms)
        .map_err(|_| format!("\"{at}\" is no time in milliseconds"))?;
    let (direction, rest) = word(rest);
    match direction {
        "<" => input(rest).map(|input| (at, Event::Input(input))),
        ">" => output(rest).map(|output| (at, Event::Output(output))),
        other => Err(format!("expected < or > after the time, not \"{other}\"")),
    }
}

fn input(line: &str) -> Result<Input, String> {
    let (name, rest) = word(line);
    Ok(match name {
        "connected" => alone(Input::Connected, rest)?,
        "speech-start" => Input::SpeechStart {
            onset: SessionTime::from_ms(only(rest, "milliseconds")?),
        },
        "speech-end" => Input::SpeechEnd {
            last: SessionTime::from_ms(only(rest, "milliseconds")?),
        },
        "lull" => Input::Lull {
            last: SessionTime::from_ms(only(rest, "milliseconds")?),
        },
        "voice" => Input::Voice {
            onset: SessionTime::from_ms(only(rest, "milliseconds")?),
        },
        "partial" => Input::Partial(words(rest)),
        "final" => Input::Final(words(rest)),
        "end-of-turn" => Input::EndOfTurn(Probability::new(only(rest, "a probability")?)),
        "ask" => Input::Ask(words(rest)),
        "speak" => Input::Speak(words(rest)),
        "playout-start" => Input::PlayoutStart(id(rest)?),
        "playout-end" => Input::PlayoutEnd(id(rest)?),
        "failed" => Input::Failed(id(rest)?),
        "pause" => alone(Input::Pause, rest)?,
        "resume" => alone(Input::Resume, rest)?,
        "stop" => alone(Input::Stop, rest)?,
        "commit" => alone(Input::Commit, rest)?,
        "hangup" => Input::Hangup(reason(rest)),
        "tick" => alone(Input::Tick, rest)?,
        other => return Err(format!("there is no input \"{other}\"")),
    })
}

fn output(line: &str) -> Result<Output, String> {
    let (name, rest) = word(line);
    Ok(match name {
        "state" => Output::State(state(rest)?),
        "reply" => {
            let (n, rest) = word(rest);
            Output::Reply {
                id: id(n)?,
                words: words(rest),
            }
        }
        "say" => say(rest)?,
        "pause" => Output::Pause(id(rest)?),
        "resume" => Output::Resume(id(rest)?),
        "late" => Output::Late(id(rest)?),
        "cancel" => Output::Cancel(id(rest)?),
        "mute" => alone(Output::Mute, rest)?,
        "unmute" => alone(Output::Unmute, rest)?,
        "end" => Output::End(reason(rest)),
        other => return Err(format!("there is no output \"{other}\"")),
    })
}

fn say(rest: &str) -> Result<Output, String> {
    let (kind, rest) = word(rest);
    let (n, text) = word(rest);
    let saying = match kind {
        "greeting" => alone(Saying::Greeting, text)?,
        "reprompt" => alone(Saying::Reprompt, text)?,
        "apology" => alone(Saying::Apology, text)?,
        "goodbye" => alone(Saying::Goodbye, text)?,
        "text" => Saying::Text(words(text)),
        other => {
            return Err(format!(
                "what is said is a greeting, reprompt, apology, goodbye or text, not \"{other}\""
            ));
        }
    };
    Ok(Output::Say { id: id(n)?, saying })
}

fn state(text: &str) -> Result<StateName, String> {
    StateName::ALL
        .into_iter()
        .find(|name| name.to_string() == text)
        .ok_or_else(|| format!("there is no state \"{text}\""))
}

/// The first word of a line and what follows it.
fn word(line: &str) -> (&str, &str) {
    let line = line.trim_start();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (word, rest.trim_start())
}

fn words(text: &str) -> Words {
    Words::new(&unescape(text))
}

fn reason(text: &str) -> EndReason {
    EndReason::from(unescape(text).as_str())
}

fn id(text: &str) -> Result<ReplyId, String> {
    only(text, "a reply's number").map(ReplyId)
}

fn only<T: FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("expected {what}, not \"{text}\""))
}

fn alone<T>(event: T, rest: &str) -> Result<T, String> {
    if rest.is_empty() {
        Ok(event)
    } else {
        Err(format!("nothing may follow here, but there is \"{rest}\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        CallFile::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_the_line_and_the_trouble() {
        assert_eq!(
            problem(""),
            "line 1: a call begins with \"call 1\", not \"\""
        );
        assert_eq!(
            problem("# hello\n\ncall 2"),
            "line 3: this is version 2 of the grammar, only 1 is known"
        );
        assert_eq!(
            problem("call 1\npolicy x"),
            "line 2: expected \"policy key=value\", not \"policy x\""
        );
        assert_eq!(
            problem("call 1\npolicy mode=loud"),
            "line 2: mode is duplex, mute or manual, not \"loud\""
        );
        assert_eq!(
            problem("call 1\n5 < connected\n\n4 < tick"),
            "line 4: time goes backwards: 4 after 5"
        );
        assert_eq!(
            problem("call 1\nsoon < tick"),
            "line 2: \"soon\" is no time in milliseconds"
        );
        assert_eq!(
            problem("call 1\n5 = tick"),
            "line 2: expected < or > after the time, not \"=\""
        );
        assert_eq!(
            problem("call 1\n5 < sing"),
            "line 2: there is no input \"sing\""
        );
        assert_eq!(
            problem("call 1\n5 < tick tock"),
            "line 2: nothing may follow here, but there is \"tock\""
        );
        assert_eq!(
            problem("call 1\n5 > state Happy"),
            "line 2: there is no state \"Happy\""
        );
        assert_eq!(
            problem("call 1\n5 > pause one"),
            "line 2: expected a reply's number, not \"one\""
        );
        assert_eq!(
            problem("call 1\n5 > say hello 1"),
            "line 2: what is said is a greeting, reprompt, apology, goodbye or text, not \"hello\""
        );
    }

    #[test]
    fn comments_end_lines_and_hashes_in_words_do_not() {
        let call =
            CallFile::parse("call 1 # one\n  5 < ask what is C# or \\#1 or \\\\n # odd\n").unwrap();
        let Event::Input(Input::Ask(words)) = &call.lines[0].event else {
            panic!("{call}")
        };
        assert_eq!(words.text(), Some("what is C# or #1 or \\n"));
        assert_eq!(
            call.to_string(),
            "call 1\n     5 < ask what is C# or \\#1 or \\\\n\n"
        );
    }
}
