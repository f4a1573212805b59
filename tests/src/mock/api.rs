//! Which API a path belongs to, what it accepts and refuses, and what it answers.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    answer::{self, Answer, Question},
    anthropic, count, gemini,
    ledger::Counted,
    openai_chat, openai_responses,
    scenario::Behaviour,
};
use crate::wire::Head;

/// A dialect that the mock speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Anthropic's Messages.
    #[default]
    AnthropicMessages,
    /// OpenAI's Chat Completions, and embeddings.
    OpenaiChat,
    /// OpenAI's Responses.
    OpenaiResponses,
    /// Google's generateContent.
    Gemini,
}

/// What a path asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// A conversation's next turn.
    #[default]
    Turn,
    /// How many tokens that would be.
    Count,
    /// The list of models.
    Models,
    /// Vectors.
    Embeddings,
    /// A shorter conversation.
    Compact,
}

/// A path, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Api {
    /// Whose it is.
    pub dialect: Dialect,
    /// What it asks for.
    pub wanted: Wanted,
    /// The model that it names.
    pub model: Option<String>,
    /// Whether it asks for a stream by itself.
    pub streams: bool,
    /// Whether a stream is one of events.
    pub as_events: bool,
}

/// A refusal: status, type, message.
pub type Refusal = (u16, &'static str, String);

impl Api {
    /// The API of a path; none: there is no such path.
    pub fn of(path: &str, query: &str) -> Option<Self> {
        let api = |dialect, wanted| Some(Self { dialect, wanted, as_events: true, ..Self::default() });
        match path {
            "/v1/messages" => api(Dialect::AnthropicMessages, Wanted::Turn),
            "/v1/messages/count_tokens" => api(Dialect::AnthropicMessages, Wanted::Count),
            "/v1/models" => api(Dialect::AnthropicMessages, Wanted::Models),
            "/v1/chat/completions" => api(Dialect::OpenaiChat, Wanted::Turn),
            "/v1/embeddings" => api(Dialect::OpenaiChat, Wanted::Embeddings),
            "/v1/responses" => api(Dialect::OpenaiResponses, Wanted::Turn),
            "/v1/responses/compact" => api(Dialect::OpenaiResponses, Wanted::Compact),
            "/v1beta/models" => api(Dialect::Gemini, Wanted::Models),
            _ => Self::gemini(path, query),
        }
    }

    fn gemini(path: &str, query: &str) -> Option<Self> {
        let rest = path.strip_prefix("/v1beta/models/").or_else(|| path.strip_prefix("/v1/models/"))?;
        let (model, verb) = rest.split_once(':')?;
        let (wanted, streams) = match verb {
            "generateContent" => (Wanted::Turn, false),
            "streamGenerateContent" => (Wanted::Turn, true),
            "countTokens" => (Wanted::Count, false),
            _ => return None,
        };
        let as_events = query.split('&').any(|pair| pair == "alt=sse");
        Some(Self { dialect: Dialect::Gemini, wanted, model: Some(model.to_owned()), streams, as_events })
    }

    /// The key that a request presents, where this dialect's clients put it.
    pub fn key(&self, head: &Head) -> String {
        let bearer = || head.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let own = match self.dialect {
            Dialect::AnthropicMessages => head.header("x-api-key").or_else(bearer),
            Dialect::Gemini => head.header("x-goog-api-key"),
            _ => bearer().or_else(|| head.header("api-key")),
        };
        own.unwrap_or_default().to_owned()
    }

    /// What the real API checks of a request before it answers.
    pub fn check(&self, head: &Head, body: &[u8], request: &Value, lean: bool) -> Result<(), Refusal> {
        let wrong = |message: &str| Err((400, "", message.to_owned()));
        let posted = self.wanted != Wanted::Models;
        if (head.method == "POST") != posted {
            return Err((405, "", "Method Not Allowed".into()));
        }
        if self.dialect == Dialect::AnthropicMessages && head.header("anthropic-version").is_none() {
            return wrong("anthropic-version: header is required");
        }
        if !posted || lean {
            return Ok(());
        }
        if !request.is_object() {
            let what = serde_json::from_slice::<Value>(body)
                .err()
                .map_or("an object is expected".into(), |error| error.to_string());
            return wrong(&format!("The request body is not valid JSON: {what}"));
        }
        if self.model.is_none() && request["model"].as_str().is_none_or(str::is_empty) {
            return wrong("model: Field required");
        }
        let conversation = match self.dialect {
            Dialect::Gemini => "contents",
            Dialect::OpenaiResponses => "input",
            _ if self.wanted == Wanted::Embeddings => "input",
            _ => "messages",
        };
        let said = &request[conversation];
        if said.as_array().is_none_or(Vec::is_empty) && (conversation != "input" || said.as_str().is_none()) {
            return wrong(&format!("{conversation}: Field required"));
        }
        let capped = self.dialect == Dialect::AnthropicMessages && self.wanted == Wanted::Turn;
        if capped && request["max_tokens"].as_i64().is_none_or(|tokens| tokens <= 0) {
            return wrong("max_tokens: Field required");
        }
        Ok(())
    }

    /// Whether the answer is a stream.
    pub fn is_stream(&self, request: &Value) -> bool {
        self.wanted == Wanted::Turn && (self.streams || request["stream"] == true)
    }

    /// What a request asks.
    pub fn question(&self, request: &Value) -> Question {
        match self.dialect {
            Dialect::AnthropicMessages => anthropic::question(request),
            Dialect::OpenaiChat => openai_chat::question(request),
            Dialect::OpenaiResponses => openai_responses::question(request),
            Dialect::Gemini => gemini::question(request, self.model.as_deref().unwrap_or_default()),
        }
    }

    /// The answer to a request, before it is put into its dialect.
    pub fn answer(&self, body: &[u8], request: &Value, behaviour: &Behaviour) -> Answer {
        answer::make(self.dialect, body, &self.question(request), behaviour)
    }

    /// What is charged for what is no turn; none: nothing.
    pub fn counted(&self, body: &[u8]) -> Option<Counted> {
        (self.wanted == Wanted::Embeddings)
            .then(|| Counted { input: count::input(body), ..Counted::default() })
    }

    /// The events of a streamed answer.
    pub fn stream(&self, answer: &Answer, request: &Value, behaviour: &Behaviour) -> Vec<Bytes> {
        match self.dialect {
            Dialect::AnthropicMessages => anthropic::stream(answer, behaviour),
            Dialect::OpenaiChat => openai_chat::stream(answer, request, behaviour),
            Dialect::OpenaiResponses => openai_responses::stream(answer, request, behaviour),
            Dialect::Gemini => gemini::stream(answer, self.as_events, behaviour),
        }
    }

    /// The whole answer.
    pub fn whole(&self, answer: &Answer, request: &Value, behaviour: &Behaviour) -> Value {
        match (self.dialect, self.wanted) {
            (Dialect::AnthropicMessages, _) => {
                anthropic::whole(answer, &anthropic::told(&answer.counted, behaviour.usage))
            }
            (Dialect::OpenaiChat, _) => openai_chat::whole(answer, behaviour),
            (Dialect::OpenaiResponses, Wanted::Compact) => openai_responses::compacted(answer),
            (Dialect::OpenaiResponses, _) => openai_responses::whole(answer, request, behaviour),
            (Dialect::Gemini, _) => gemini::whole(answer, behaviour),
        }
    }

    /// The body of what is neither a turn nor an error; none: it is a turn.
    pub fn other(&self, body: &[u8], request: &Value) -> Option<Value> {
        match (self.wanted, self.dialect) {
            (Wanted::Models, Dialect::AnthropicMessages) => Some(anthropic::models()),
            (Wanted::Models, Dialect::Gemini) => Some(gemini::models()),
            (Wanted::Models, _) => Some(openai_chat::models()),
            (Wanted::Count, Dialect::Gemini) => Some(json!({"totalTokens": count::input(body)})),
            (Wanted::Count, _) => Some(json!({"input_tokens": count::input(body)})),
            (Wanted::Embeddings, _) => {
                self.counted(body).map(|counted| openai_chat::embeddings(request, &counted))
            }
            _ => None,
        }
    }

    /// The body of an error; an empty kind: the usual one for the status.
    pub fn error(&self, status: u16, kind: &str, message: &str, request_id: &str) -> Vec<u8> {
        match self.dialect {
            Dialect::AnthropicMessages => anthropic::error_body(status, kind, message, request_id),
            Dialect::Gemini => gemini::error_body(status, kind, message),
            _ => openai_chat::error_body(status, kind, message),
        }
    }

    /// The name of the header that carries the request's id.
    pub fn id_header(&self) -> &'static str {
        match self.dialect {
            Dialect::AnthropicMessages => "request-id",
            _ => "x-request-id",
        }
    }
}
