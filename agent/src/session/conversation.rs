//! What was said in a call, as the responder gets it: the caller's turns and what the caller really heard.

use super::protocol::Role;

/// One contribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// The words.
    pub text: String,
}

/// The most contributions that are kept; a call ends long before by its message limit.
const MAX_MESSAGES: usize = 512;

/// The history of a call.
#[derive(Debug, Default)]
pub struct Conversation {
    messages: Vec<Message>,
    /// The caller's words that a reply is being made for; they join the history once some of the reply was heard.
    pending: Option<String>,
}

impl Conversation {
    /// The caller's turn that is answered now. Words that were taken back and said again with more behind them count once.
    pub fn ask(&mut self, text: &str) -> Vec<Message> {
        if let Some(earlier) = self.pending.take()
            && !text.starts_with(&earlier)
        {
            self.push(Role::User, earlier);
        }
        self.pending = Some(text.to_owned());
        let mut messages = self.messages.clone();
        messages.push(Message {
            role: Role::User,
            text: text.to_owned(),
        });
        messages
    }

    /// A reply ended; `heard` are the words of it that were heard.
    pub fn answered(&mut self, heard: &str) {
        if heard.is_empty() {
            return;
        }
        if let Some(words) = self.pending.take() {
            self.push(Role::User, words);
        }
        self.push(Role::Agent, heard.to_owned());
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

    fn push(&mut self, role: Role, text: String) {
        if self.messages.len() >= MAX_MESSAGES {
            self.messages.remove(0);
        }
        self.messages.push(Message { role, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_heard_is_remembered() {
        let mut conversation = Conversation::default();
        assert_eq!(conversation.ask("i would like").len(), 1);
        conversation.answered("");
        let asked = conversation.ask("i would like two tickets");
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
        conversation.ask("tell me a story");
        conversation.answered("Once upon a time");
        conversation.ask("stop");
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
        conversation.ask("first");
        conversation.answered("");
        assert_eq!(conversation.ask("second").len(), 2);
    }
}
