//! Every setting of the dialog, by field and by `key=value`.

mod settings;

use crate::event::Probability;
use crate::time::whole_ms;
use settings::{SETTINGS, mode_name};
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// Who may hear whom, and what ends a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Both may speak at once; the user may barge in.
    Duplex,
    /// Mute-on-speak: what the user says while the agent sounds is discarded.
    Mute,
    /// Push-to-talk: only a commit ends the user's turn.
    Manual,
}

/// Kinds of things that the agent says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An answer to a user turn.
    Reply,
    /// The first words of a call.
    Greeting,
    /// A question whether anyone is there.
    Reprompt,
    /// The last words of a call.
    Goodbye,
    /// A client's words, as they stand.
    Text,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Reply,
        Self::Greeting,
        Self::Reprompt,
        Self::Goodbye,
        Self::Text,
    ];

    /// The word for it in a policy and in a `say` line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Greeting => "greeting",
            Self::Reprompt => "reprompt",
            Self::Goodbye => "goodbye",
            Self::Text => "text",
        }
    }
}

/// A set of [`Kind`]s; written `greeting,text`, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u8);

impl Kinds {
    /// These and no others.
    pub fn of(kinds: &[Kind]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | Self::bit(*kind)))
    }

    /// Whether `kind` is among them.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    const fn bit(kind: Kind) -> u8 {
        1 << kind as u8
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Kind::ALL
            .into_iter()
            .filter(|kind| self.contains(*kind))
            .map(Kind::name)
            .collect();
        f.write_str(
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(",")
            }
            .as_str(),
        )
    }
}

/// The settings of one dialog. `Policy::default()` is what a call has when nobody chooses.
///
/// A limit of `None` is written `off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Who may hear whom, and what ends a turn.
    pub mode: Mode,
    /// Whether the agent speaks first.
    pub greeting: bool,
    /// Whether the agent says goodbye before it ends a call; without, it just ends it.
    pub goodbye: bool,
    /// What may not be interrupted: the words spoken meanwhile become the next turn.
    pub uninterruptible: Kinds,
    /// Silence that ends a turn when no turn model has spoken.
    pub end_of_turn: Duration,
    /// Silence that ends a turn which the turn model believes complete.
    pub end_of_turn_min: Duration,
    /// Silence that ends a turn which the turn model believes incomplete.
    pub end_of_turn_max: Duration,
    /// How long after the end of speech its words are waited for.
    pub final_timeout: Duration,
    /// Speech over a reply that cancels it even without words.
    pub overlap: Duration,
    /// Quiet without words after which a held reply goes on.
    pub resume_after: Duration,
    /// How long a reply may take before its first sound.
    pub prepare_timeout: Duration,
    /// How long a goodbye may last before the call ends without waiting for it.
    pub goodbye_timeout: Duration,
    /// Silence after which the user is asked whether anyone is there.
    pub reprompt_after: Option<Duration>,
    /// How often that is asked before the goodbye.
    pub reprompts: u32,
    /// How long nothing at all may happen while the agent is not speaking.
    pub idle_timeout: Option<Duration>,
    /// How long a call may last.
    pub duration_limit: Option<Duration>,
    /// How many user turns are answered.
    pub message_limit: Option<NonZeroU32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Duplex,
            greeting: false,
            goodbye: true,
            uninterruptible: Kinds::default(),
            end_of_turn: Duration::from_millis(700),
            end_of_turn_min: Duration::from_millis(300),
            end_of_turn_max: Duration::from_secs(3),
            final_timeout: Duration::from_secs(3),
            overlap: Duration::from_millis(700),
            resume_after: Duration::from_secs(1),
            prepare_timeout: Duration::from_secs(15),
            goodbye_timeout: Duration::from_secs(30),
            reprompt_after: Some(Duration::from_secs(30)),
            reprompts: 2,
            idle_timeout: Some(Duration::from_secs(300)),
            duration_limit: Some(Duration::from_secs(3600)),
            message_limit: NonZeroU32::new(100),
        }
    }
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// There is no setting of this name.
    UnknownKey(String),
    /// The setting cannot have this value.
    BadValue {
        /// The setting's name.
        key: &'static str,
        /// What was asked for.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(key) => {
                let known: Vec<_> = SETTINGS.iter().map(|setting| setting.key).collect();
                write!(
                    f,
                    "there is no setting \"{key}\"; there are {}",
                    known.join(", ")
                )
            }
            Self::BadValue {
                key,
                value,
                expected,
            } => write!(f, "{key} is {expected}, not \"{value}\""),
        }
    }
}

impl std::error::Error for Error {}

impl Policy {
    /// Changes the setting `key`, as a `policy` line or a configuration file names it.
    ///
    /// # Errors
    /// If there is no such setting, or it cannot have that value; nothing is changed then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let setting = SETTINGS
            .iter()
            .find(|setting| setting.key == key)
            .ok_or_else(|| Error::UnknownKey(key.to_owned()))?;
        (setting.set)(self, value).ok_or_else(|| Error::BadValue {
            key: setting.key,
            value: value.to_owned(),
            expected: setting.expected,
        })
    }

    /// Every setting as key, value and what values it takes, in the order of the documentation.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, String, &'static str)> + '_ {
        SETTINGS
            .iter()
            .map(|setting| (setting.key, (setting.get)(self), setting.expected))
    }

    /// The settings that differ from their defaults, as key and value.
    pub fn differences(&self) -> Vec<(&'static str, String)> {
        let default = Self::default();
        self.settings()
            .zip(default.settings())
            .filter(|((_, value, _), (_, default, _))| value != default)
            .map(|((key, value, _), _)| (key, value))
            .collect()
    }

    /// The silence that ends a turn: 700 ms, or with a turn model's belief P between 3 s (P = 0) and 300 ms (P = 1),
    /// on a straight line: `max - (max - min) * P`.
    pub(crate) fn silence(&self, complete: Option<Probability>) -> Duration {
        let Some(complete) = complete else {
            return self.end_of_turn;
        };
        let span = self.end_of_turn_max.saturating_sub(self.end_of_turn_min);
        let saved = span.saturating_mul(u32::from(complete.per_mille())) / 1000;
        Duration::from_millis(whole_ms(self.end_of_turn_max.saturating_sub(saved)))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(mode_name(*self))
    }
}

impl std::str::FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut policy = Policy::default();
        policy.set("mode", text)?;
        Ok(policy.mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_reads_what_it_prints() {
        let mut policy = Policy::default();
        for (key, value, _) in Policy::default().settings() {
            policy.set(key, &value).unwrap();
        }
        assert_eq!(policy, Policy::default());
        assert!(policy.differences().is_empty());
        policy.set("mode", "mute").unwrap();
        policy.set("uninterruptible", "text,greeting").unwrap();
        policy.set("message_limit", "off").unwrap();
        let differences: Vec<_> = policy
            .differences()
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(
            differences,
            [
                "mode=mute",
                "uninterruptible=greeting,text",
                "message_limit=off"
            ]
        );
    }

    #[test]
    fn a_wrong_setting_says_what_would_be_right() {
        let mut policy = Policy::default();
        let error = policy.set("resume_after_ms", "1s").unwrap_err();
        assert_eq!(
            error.to_string(),
            "resume_after_ms is whole milliseconds, not \"1s\""
        );
        assert!(
            policy
                .set("resume_after", "1")
                .unwrap_err()
                .to_string()
                .contains("resume_after_ms")
        );
        assert!(policy.set("message_limit", "0").is_err());
        assert_eq!(policy, Policy::default());
    }

    #[test]
    fn the_turn_model_moves_the_end_of_turn_on_a_straight_line() {
        let policy = Policy::default();
        let silence_ms = |p| policy.silence(p).as_millis();
        assert_eq!(silence_ms(None), 700);
        assert_eq!(silence_ms(Some(Probability::new(1.0))), 300);
        assert_eq!(silence_ms(Some(Probability::new(0.0))), 3000);
        assert_eq!(silence_ms(Some(Probability::new(0.5))), 1650);
    }
}
