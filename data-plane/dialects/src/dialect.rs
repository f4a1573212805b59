//! The names of dialects and operations, as they stand in records, metrics, limits' scopes and on the wire.

use std::fmt;

/// A wire format that a client speaks. Told by the route, never by a credential header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Anthropic's Messages API.
    AnthropicMessages,
    /// OpenAI's Chat Completions.
    OpenaiChat,
    /// OpenAI's Responses.
    OpenaiResponses,
    /// Google's generateContent.
    Gemini,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::AnthropicMessages, Self::OpenaiChat, Self::OpenaiResponses, Self::Gemini];

    /// The name in records and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AnthropicMessages => "anthropic_messages",
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
            Self::Gemini => "gemini",
        }
    }

    /// The dialect of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a request asks for, within its dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A conversation's next turn, in Anthropic's form.
    Messages,
    /// How many tokens a request would be.
    CountTokens,
    /// Which models there are.
    Models,
    /// A conversation's next turn, in OpenAI's chat form.
    ChatCompletions,
    /// A conversation's next turn, in OpenAI's Responses form.
    Responses,
    /// Vectors for texts.
    Embeddings,
    /// A conversation's next turn, in Gemini's form.
    GenerateContent,
    /// What Gemini CLI asks of its own API beside conversations.
    CodeAssist,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Messages,
        Self::CountTokens,
        Self::Models,
        Self::ChatCompletions,
        Self::Responses,
        Self::Embeddings,
        Self::GenerateContent,
        Self::CodeAssist,
    ];

    /// The name in records and limits' scopes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Models => "models",
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::GenerateContent => "generate_content",
            Self::CodeAssist => "code_assist",
        }
    }

    /// The operation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.as_str() == name)
    }

    /// Whether an answer carries usage that is charged, so that an attempt needs an intent and a record.
    pub const fn is_charged(self) -> bool {
        !matches!(self, Self::CountTokens | Self::Models | Self::CodeAssist)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::from_name(dialect.as_str()), Some(dialect));
        }
        for operation in Operation::ALL {
            assert_eq!(Operation::from_name(operation.as_str()), Some(operation));
        }
        assert_eq!(Dialect::from_name("soap"), None);
    }
}
