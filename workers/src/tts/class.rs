//! Who is waiting for a clause: somebody who listens, or nobody in particular.

use std::fmt;
use std::str::FromStr;

/// How urgent something is that is to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Class {
    /// Somebody listens and waits for it.
    #[default]
    RealTime,
    /// It is wanted some time: recordings, prompts, books. It is said when no caller waits, several clauses at a time where the
    /// engine gains by that.
    Batch,
}

impl Class {
    /// The label of the metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::RealTime => "real_time",
            Self::Batch => "batch",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// There is no such class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the priority {0:?} is none; there is real_time and batch")]
pub struct NoClass(pub String);

impl FromStr for Class {
    type Err = NoClass;

    fn from_str(text: &str) -> Result<Self, NoClass> {
        match text {
            "real_time" | "" => Ok(Self::RealTime),
            "batch" => Ok(Self::Batch),
            other => Err(NoClass(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_asked_for_by_its_word_and_another_word_is_refused() {
        for class in [Class::RealTime, Class::Batch] {
            assert_eq!(class.word().parse(), Ok(class));
        }
        assert_eq!("".parse(), Ok(Class::RealTime));
        let refused = "urgent".parse::<Class>().unwrap_err();
        assert!(refused.to_string().contains("real_time and batch"));
    }
}
