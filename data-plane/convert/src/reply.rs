//! The way back: whole answers and errors.

use dialects::{
    Dialect,
    error::{Kind, Problem},
};
use http::StatusCode;

use crate::{
    anthropic, gemini,
    json::Json,
    names::{self, MADE_UP, Names},
    neutral::{Answer, Fault, Part},
    openai_chat, openai_responses,
    stream::StreamConverter,
};

/// What the way back needs to know of the request.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) client: Dialect,
    pub(crate) upstream: Dialect,
    pub(crate) names: Names,
    pub(crate) asked_model: String,
    pub(crate) request_id: String,
    pub(crate) now_s: u64,
    pub(crate) stream_usage: bool,
    pub(crate) array: bool,
}

impl Reply {
    /// A converter for the streamed answer.
    pub fn stream(self) -> StreamConverter {
        StreamConverter::new(self)
    }

    /// The client's body for a whole answer.
    ///
    /// # Errors
    /// It is none: status and body of the error to tell instead.
    pub fn answer(&self, body: &[u8]) -> Result<Vec<u8>, (StatusCode, Vec<u8>)> {
        match self.read(body) {
            Ok(mut answer) => {
                self.known(&mut answer);
                Ok(self.write(&answer))
            }
            Err(fault) => {
                let problem = Problem::new(Kind::BadGateway, fault.message.to_string(), &self.request_id);
                let (status, _, body) = dialects::error::body(self.client, &problem);
                Err((status, body.to_vec()))
            }
        }
    }

    pub(crate) fn write(&self, answer: &Answer<'_>) -> Vec<u8> {
        match self.client {
            Dialect::AnthropicMessages => anthropic::answer::write(answer, self),
            Dialect::OpenaiChat => openai_chat::answer::write(answer, self),
            Dialect::OpenaiResponses => openai_responses::answer::write(answer, self),
            Dialect::Gemini => gemini::answer::write(answer, self),
        }
    }

    pub(crate) fn read<'a>(&self, body: &'a [u8]) -> Result<Answer<'a>, Fault<'a>> {
        let Ok(Json::Object(body)) = Json::parse(body) else {
            let message = "the upstream's answer is not valid JSON";
            return Err(Fault { kind: "api_error".into(), message: message.into() });
        };
        match self.upstream {
            Dialect::AnthropicMessages => anthropic::answer::read(body),
            Dialect::OpenaiChat => openai_chat::answer::read(body),
            Dialect::OpenaiResponses => openai_responses::answer::read(body),
            Dialect::Gemini => gemini::answer::read(body),
        }
    }

    /// Names as the client knows them, ids where there are none.
    fn known(&self, answer: &mut Answer<'_>) {
        let seed = names::hash(if answer.id.is_empty() { &self.request_id } else { &answer.id });
        let mut made = 0;
        for part in &mut answer.parts {
            let Part::Call(call) = part else { continue };
            if call.id.is_empty() {
                call.id = made_up(seed, made).into();
                made += 1;
            }
            let Some(known) = self.names.known(&call.name) else { continue };
            call.name = known.name.clone().into();
            call.namespace = known.namespace.clone().map(Into::into);
            if known.is_custom && !call.is_custom {
                call.is_custom = true;
                call.arguments = custom_input(&call.arguments).into();
            }
        }
    }

    /// The client's error for an upstream's: its kind by status and words, its message as it was.
    pub fn error(&self, status: StatusCode, body: &[u8]) -> (StatusCode, Vec<u8>) {
        let found = dialects::anthropic::error::read(body);
        let kind = kind_of(status, found.error_type.as_deref().unwrap_or_default());
        let message = found.message.unwrap_or_else(|| format!("the upstream answered {status}"));
        let problem = Problem::new(kind, message, &self.request_id).status(status);
        let (status, _, body) = dialects::error::body(self.client, &problem);
        (status, body.to_vec())
    }

    /// The client's id of an answer, made of the upstream's.
    pub(crate) fn id(&self, prefix: &str, upstream: &str) -> String {
        let upstream = if upstream.is_empty() { &self.request_id } else { upstream };
        let known = ["msg_", "chatcmpl-", "resp_", "gen-", "req_"];
        let bare = known.iter().find_map(|known| upstream.strip_prefix(known)).unwrap_or(upstream);
        let fits = |c: &char| c.is_ascii_alphanumeric() || *c == '_' || *c == '-';
        let bare: String = bare.chars().filter(fits).take(80).collect();
        format!("{prefix}{bare}")
    }

    /// The model to tell: the one that served, else the one asked for.
    pub(crate) fn model<'a>(&'a self, served: &'a str) -> &'a str {
        if served.is_empty() { &self.asked_model } else { served }
    }
}

/// The n-th made-up id of an answer.
pub(crate) fn made_up(seed: u64, number: u32) -> String {
    format!("{MADE_UP}{seed:016x}{number}")
}

/// What a tool that takes any text is to get, of the arguments of the function in its place.
pub(crate) fn custom_input(arguments: &str) -> String {
    match Json::parse_text(arguments) {
        Ok(object @ Json::Object(_)) if object.text("input").is_some() => {
            object.text("input").unwrap_or_default().to_owned()
        }
        _ => arguments.to_owned(),
    }
}

/// What kind of problem an upstream's error is.
pub(crate) fn kind_of(status: StatusCode, word: &str) -> Kind {
    match word {
        "overloaded_error" | "overloaded" => return Kind::Overloaded,
        "rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" => return Kind::RateLimit,
        "insufficient_quota" | "billing_error" => return Kind::Billing,
        "request_too_large" => return Kind::RequestTooLarge,
        "timeout_error" | "timeout" | "DEADLINE_EXCEEDED" => return Kind::Timeout,
        "UNAVAILABLE" => return Kind::Unavailable,
        _ => {}
    }
    match status.as_u16() {
        400 | 409 | 415 | 422 => Kind::InvalidRequest,
        401 => Kind::Authentication,
        402 => Kind::Billing,
        403 => Kind::Permission,
        404 => Kind::NotFound,
        405 => Kind::MethodNotAllowed,
        408 => Kind::RequestTimeout,
        413 => Kind::RequestTooLarge,
        429 => Kind::RateLimit,
        502 => Kind::BadGateway,
        503 => Kind::Unavailable,
        504 => Kind::Timeout,
        529 => Kind::Overloaded,
        400..500 => Kind::InvalidRequest,
        _ => Kind::Api,
    }
}
