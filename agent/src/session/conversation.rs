//! What was said in a call, as the responder gets it: the people's turns and what they really heard.

use super::protocol::Role;
use dialog::{Who, Words};
use std::sync::Arc;

/// One contribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What to call the person, where several have spoken.
    pub who: Option<Arc<str>>,
    /// The words.
    pub text: String,
}

/// The most contributions that are kept; a call ends long before by its message limit.
const MAX_MESSAGES: usize = 512;
/// The most people whose words bear a name; those who speak first after so many are nameless.
const MAX_PEOPLE: usize = 256;

/// The history of a call.
#[derive(Debug, Default)]
pub struct Conversation {
    messages: Vec<Message>,
    /// The turn that a reply is being made for; it joins the history once some of the reply was heard.
    pending: Option<Turn>,
    /// Whoever has said something, in the order of their first words.
    people: Vec<Arc<str>>,
}

#[derive(Debug)]
struct Turn {
    text: String,
    said: Vec<Message>,
}

impl Conversation {
    /// The number under which the words of whoever is called so go through the dialog.
    pub fn who(&mut self, name: &Arc<str>) -> Option<Who> {
        let known = self.people.iter().position(|known| known == name);
        let at = known.unwrap_or(self.people.len());
        if at >= MAX_PEOPLE {
            return None;
        }
        if known.is_none() {
            self.people.push(name.clone());
        }
        u32::try_from(at).ok().map(Who)
    }

    /// The turn that is answered now. Words that were taken back and said again with more behind them count once. A message
    /// bears a name only where more than one person has spoken.
    pub fn ask(&mut self, words: &Words) -> Vec<Message> {
        let text = words.text().unwrap_or_default().to_owned();
        if let Some(earlier) = self.pending.take()
            && !text.starts_with(&earlier.text)
        {
            self.remember(earlier.said);
        }
        let said = words.parts().into_iter().map(|(who, text)| Message {
            role: Role::User,
            who: who.and_then(|Who(at)| self.people.get(usize::try_from(at).ok()?).cloned()),
            text: text.to_owned(),
        });
        let turn = Turn {
            said: said.collect(),
            text,
        };
        let mut messages = [self.messages.as_slice(), &turn.said].concat();
        self.pending = Some(turn);
        if self.people.len() < 2 {
            messages.iter_mut().for_each(|message| message.who = None);
        }
        messages
    }

    /// A reply ended; `heard` are the words of it that were heard.
    pub fn answered(&mut self, heard: &str) {
        if heard.is_empty() {
            return;
        }
        if let Some(turn) = self.pending.take() {
            self.remember(turn.said);
        }
        self.remember(vec![Message {
            role: Role::Agent,
            who: None,
            text: heard.to_owned(),
        }]);
    }

    /// Of a reply that was remembered as `thought`, only `heard` was heard.
    pub fn correct(&mut self, thought: &str, heard: &str) {
        let said = self
            .messages
            .iter()
            .rposition(|message| message.role == Role::Agent && message.text == thought);
        let Some(at) = said else { return };
        if heard.is_empty() {
            self.messages.remove(at);
        } else if let Some(message) = self.messages.get_mut(at) {
            message.text = heard.to_owned();
        }
    }

    /// What was said so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    fn remember(&mut self, said: Vec<Message>) {
        self.messages.extend(said);
        let surplus = self.messages.len().saturating_sub(MAX_MESSAGES);
        self.messages.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_heard_is_remembered() {
        let mut conversation = Conversation::default();
        assert_eq!(conversation.ask(&"i would like".into()).len(), 1);
        conversation.answered("");
        let asked = conversation.ask(&"i would like two tickets".into());
        assert_eq!(asked.len(), 1, "the words were taken back and said again");
        conversation.answered("Two tickets");
        let texts: Vec<_> = conversation
            .messages()
            .iter()
            .map(|message| message.text.as_str())
            .collect();
        assert_eq!(texts, ["i would like two tickets", "Two tickets"]);
    }

    #[test]
    fn what_turns_out_not_to_have_been_heard_is_forgotten() {
        let mut conversation = Conversation::default();
        conversation.ask(&"tell me a story".into());
        conversation.answered("Once upon a time");
        conversation.ask(&"stop".into());
        conversation.correct("Once upon a time", "Once upon");
        let texts = |conversation: &Conversation| {
            let messages = conversation.messages().iter();
            messages
                .map(|message| message.text.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(&conversation), ["tell me a story", "Once upon"]);
        conversation.correct("something else", "");
        conversation.correct("Once upon", "");
        assert_eq!(texts(&conversation), ["tell me a story"]);
    }

    #[test]
    fn a_question_whose_answer_was_never_heard_is_still_known() {
        let mut conversation = Conversation::default();
        conversation.ask(&"first".into());
        conversation.answered("");
        assert_eq!(conversation.ask(&"second".into()).len(), 2);
    }

    #[test]
    fn a_name_stands_before_words_once_a_second_person_has_spoken() {
        let named = |messages: &[Message]| -> Vec<(Option<String>, String)> {
            let named = messages.iter().map(|message| {
                let who = message.who.as_ref().map(|who| who.to_string());
                (who, message.text.clone())
            });
            named.collect()
        };
        let mut conversation = Conversation::default();
        let (ana, bo) = (Arc::from("Ana"), Arc::from("Bo"));
        let from_ana = conversation.who(&ana).unwrap();
        let asked = conversation.ask(&Words::new("what time is it").by(from_ana));
        assert_eq!(named(&asked), [(None, "what time is it".into())]);
        conversation.answered("Three.");
        let from_bo = conversation.who(&bo).unwrap();
        assert_eq!(conversation.who(&ana), Some(from_ana));
        let both = Words::new("and the date").by(from_bo);
        let both = both.joined(Words::new("yes please").by(from_ana));
        assert_eq!(
            named(&conversation.ask(&both)),
            [
                (Some("Ana".into()), "what time is it".into()),
                (None, "Three.".into()),
                (Some("Bo".into()), "and the date".into()),
                (Some("Ana".into()), "yes please".into()),
            ]
        );
    }

    #[test]
    fn a_crowd_of_names_has_an_end() {
        let mut conversation = Conversation::default();
        let mut name = |n: usize| conversation.who(&Arc::from(n.to_string()));
        assert!((0..MAX_PEOPLE).all(|n| name(n).is_some()));
        assert_eq!(name(MAX_PEOPLE), None);
        assert_eq!(name(7), Some(Who(7)));
    }
}
