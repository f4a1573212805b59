//! What is converted into what, and the request's way there.

use dialects::{Dialect, Operation};

use crate::{
    Target, anthropic, gemini,
    json::{Json, Object},
    loss::{Loss, Losses, Refused},
    names,
    neutral::Request,
    openai_chat, openai_responses,
    reply::Reply,
};

/// A conversion between two dialects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    from: Dialect,
    to: Dialect,
}

/// What the body alone does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The model to ask for, after mappings: it goes into the body, and what it takes decides on parameters.
    pub model: &'a str,
    /// The relay's id of the request: ids that an upstream leaves out are made of it.
    pub request_id: &'a str,
    /// Now, seconds since 1970: answers of some dialects tell when they were made.
    pub now_s: u64,
    /// Whether to stream, where the client's dialect tells it by the path (Gemini); none: as the body says.
    pub stream: Option<bool>,
    /// Whether Gemini's client wants its stream as one JSON array rather than as events.
    pub array: bool,
}

/// A request for the upstream.
#[derive(Debug)]
pub struct Converted {
    /// Its body.
    pub body: Vec<u8>,
    /// What was lost on the way.
    pub losses: Vec<Loss>,
    /// The upstream's operation.
    pub operation: Operation,
    /// Whether the answer will be streamed.
    pub stream: bool,
    /// The way back.
    pub reply: Reply,
}

impl Plan {
    /// The plan for a client's dialect and operation on an upstream's dialect; none where the dialects are the same,
    /// and for operations that are no conversation's turn.
    pub fn new(from: Dialect, to: Dialect, operation: Operation) -> Option<Self> {
        let turn = matches!(
            operation,
            Operation::Messages
                | Operation::ChatCompletions
                | Operation::Responses
                | Operation::GenerateContent
        );
        (from != to && turn).then_some(Self { from, to })
    }

    /// The upstream's operation for a conversation's turn.
    pub const fn operation(to: Dialect) -> Operation {
        match to {
            Dialect::AnthropicMessages => Operation::Messages,
            Dialect::OpenaiChat => Operation::ChatCompletions,
            Dialect::OpenaiResponses => Operation::Responses,
            Dialect::Gemini => Operation::GenerateContent,
        }
    }

    /// Converts a request's body.
    ///
    /// # Errors
    /// It is malformed, or would mean something else: 400 in the client's dialect.
    pub fn request(&self, body: &[u8], options: &Options<'_>) -> Result<Converted, Refused> {
        let mut losses = Losses::new(self.from, self.to);
        let mut request = read_request(self.from, body, &mut losses)?;
        request.stream = options.stream.unwrap_or(request.stream);
        let names = names::fit(&mut request, self.to, &mut losses)?;
        let (stream, stream_usage) = (request.stream, request.stream_usage);
        let written = write_request(self.to, request, &Target { model: options.model }, &mut losses)?;
        let reply = Reply {
            client: self.from,
            upstream: self.to,
            names,
            asked_model: options.model.to_owned(),
            request_id: options.request_id.to_owned(),
            now_s: options.now_s,
            stream_usage,
            array: options.array,
        };
        let operation = Self::operation(self.to);
        Ok(Converted { body: written.to_bytes(), losses: losses.into_found(), operation, stream, reply })
    }
}

/// Reads a request of a dialect into the neutral form.
///
/// # Errors
/// It is malformed, or asks for what cannot be carried.
pub fn read_request<'a>(from: Dialect, body: &'a [u8], losses: &mut Losses) -> Result<Request<'a>, Refused> {
    let body: Object<'a> = match Json::parse(body) {
        Ok(Json::Object(body)) => body,
        Ok(_) => return Err(Refused::malformed("the body must be a JSON object")),
        Err(error) => return Err(Refused::malformed(format!("the body is not valid JSON: {error}"))),
    };
    match from {
        Dialect::AnthropicMessages => anthropic::read_request::read(body, losses),
        Dialect::OpenaiChat => openai_chat::read_request::read(body, losses),
        Dialect::OpenaiResponses => openai_responses::read_request::read(body, losses),
        Dialect::Gemini => gemini::read_request::read(body, losses),
    }
}

/// Writes a request of the neutral form in a dialect.
///
/// # Errors
/// It asks for what cannot be carried.
pub fn write_request<'a>(
    to: Dialect,
    request: Request<'a>,
    target: &Target<'a>,
    losses: &mut Losses,
) -> Result<Json<'a>, Refused> {
    match to {
        Dialect::AnthropicMessages => anthropic::write_request::write(request, target, losses),
        Dialect::OpenaiChat => openai_chat::write_request::write(request, target, losses),
        Dialect::OpenaiResponses => openai_responses::write_request::write(request, target, losses),
        Dialect::Gemini => gemini::write_request::write(request, target, losses),
    }
}
