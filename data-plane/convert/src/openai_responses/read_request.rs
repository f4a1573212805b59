//! Reads Responses requests.

use dialects::Dialect;

use super::read_tools;
use crate::{
    json::{Json, Object},
    loss::{Feature, Losses, Refused},
    media,
    neutral::{
        Call, Format, Kind, Media, Part, Piece, Request, Role, Source, Text, Thinking, ToolAnswer, Turn,
    },
    openai,
    openai_chat::read_request::{file_data, refused},
    seal,
};

/// Reads a request's body.
///
/// # Errors
/// The body is not one, or asks for what cannot be carried.
pub(crate) fn read<'a>(mut body: Object<'a>, losses: &mut Losses) -> Result<Request<'a>, Refused> {
    let mut request = Request { stream_usage: true, ..Request::default() };
    for (key, feature) in [
        ("previous_response_id", Feature::PreviousResponse),
        ("conversation", Feature::PreviousResponse),
        ("prompt", Feature::PreviousResponse),
        ("truncation", Feature::Truncation),
        ("context_management", Feature::ContextManagement),
        ("top_logprobs", Feature::Logprobs),
    ] {
        let said = body.take(key);
        if said.is_some_and(|said| !matches!(said.as_str(), Some("disabled")) && said.as_u64() != Some(0)) {
            losses.declare(feature)?;
        }
    }
    if body.take("background").and_then(|value| value.as_bool()) == Some(true) {
        losses.declare(Feature::Background)?;
    }
    if let Some(text) = body.take_text("instructions").filter(|text| !text.is_empty()) {
        request.turns.push(Turn::text(Role::System, text));
    }
    match body.take("input") {
        Some(Json::String(text)) => request.turns.push(Turn::text(Role::User, text)),
        Some(Json::Array(items)) => {
            for item in items {
                self::item(item.into_object(), &mut request, losses)?;
            }
        }
        _ => return Err(Refused::malformed("`input` must be a string or an array")),
    }
    body.take("model");
    // What a client says of itself, and what only this API's own answers could hold.
    body.take("client_metadata");
    request.stream = body.take("stream").and_then(|stream| stream.as_bool()).unwrap_or(false);
    body.take("stream_options");
    request.max_output = body.take("max_output_tokens").and_then(|max| max.as_u64());
    openai::sampling(&mut body, &mut request);
    read_tools::tools(&mut body, &mut request, losses)?;
    request.reasoning = openai::reasoning(None, body.take("reasoning").map(Json::into_object));
    if let Some(mut text) = body.take("text").map(Json::into_object) {
        if let Some(format) = text.take("format").map(Json::into_object) {
            request.format = self::format(format);
        }
        if text.take("verbosity").is_some_and(|verbosity| verbosity.as_str() != Some("medium")) {
            losses.declare(Feature::Verbosity)?;
        }
    }
    let include = body.take("include").map(Json::into_elements).unwrap_or_default();
    // Encrypted thoughts are what an answer holds anyway.
    if include.iter().any(|what| what.as_str() != Some("reasoning.encrypted_content")) {
        losses.declare(Feature::Include)?;
    }
    openai::shared(&mut body, &mut request, losses)?;
    openai::rest(&body, losses);
    Ok(request)
}

fn format(mut format: Object<'_>) -> Format<'_> {
    match format.take_text("type").as_deref() {
        Some("json_object") => Format::Json,
        Some("json_schema") => openai::schema_format(format),
        _ => Format::Text,
    }
}

/// Adds a piece to the conversation: to the last turn where that is by the same speaker.
fn add<'a>(request: &mut Request<'a>, role: Role, piece: Piece<'a>) {
    match request.turns.last_mut() {
        Some(last) if last.role == role && role == Role::Assistant => last.pieces.push(piece),
        Some(last) if last.role == role && matches!(piece.part, Part::Answer(_)) => last.pieces.push(piece),
        _ => request.turns.push(Turn::new(role, vec![piece])),
    }
}

fn item<'a>(mut item: Object<'a>, request: &mut Request<'a>, losses: &mut Losses) -> Result<(), Refused> {
    let kind = item.take_text("type").unwrap_or_else(|| "message".into());
    match kind.as_ref() {
        "message" => message(item, request, losses)?,
        "reasoning" => add(request, Role::Assistant, reasoning(item).piece()),
        "function_call" | "custom_tool_call" => {
            let is_custom = kind == "custom_tool_call";
            add(request, Role::Assistant, Part::Call(call(item, is_custom)).piece());
        }
        "function_call_output" | "custom_tool_call_output" => {
            let answer = ToolAnswer {
                id: item.take_text("call_id").unwrap_or_default(),
                name: Text::default(),
                pieces: output(item.take("output"), losses)?,
                is_error: false,
                is_custom: kind == "custom_tool_call_output",
            };
            add(request, Role::User, Part::Answer(answer).piece());
        }
        "additional_tools" => {
            let tools = item.take("tools").map(Json::into_elements).unwrap_or_default();
            read_tools::add(tools, request, losses)?;
        }
        // The whole conversation before it, as another provider's own state.
        "item_reference" | "compaction" | "compaction_summary" | "context_compaction" => {
            losses.declare(Feature::PreviousResponse)?;
        }
        _ => losses.declare(Feature::HistoryItems)?,
    }
    Ok(())
}

fn message<'a>(mut item: Object<'a>, request: &mut Request<'a>, losses: &mut Losses) -> Result<(), Refused> {
    let role = match item.take_text("role").as_deref() {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => return Err(Refused::malformed("a message's `role` is not one of the dialect's")),
    };
    let pieces = match item.take("content") {
        Some(Json::String(text)) => vec![Part::Text(text).piece()],
        Some(Json::Array(parts)) => {
            let mut pieces = Vec::with_capacity(parts.len());
            for part in parts {
                pieces.push(self::part(part.into_object(), losses)?.piece());
            }
            pieces
        }
        _ => Vec::new(),
    };
    if role == Role::Assistant {
        pieces.into_iter().for_each(|piece| add(request, role, piece));
    } else {
        request.turns.push(Turn::new(role, pieces));
    }
    Ok(())
}

fn part<'a>(mut part: Object<'a>, losses: &mut Losses) -> Result<Part<'a>, Refused> {
    let kind = part.take_text("type").unwrap_or_default();
    Ok(match kind.as_ref() {
        "input_text" | "output_text" | "text" | "summary_text" => {
            Part::Text(part.take_text("text").unwrap_or_default())
        }
        "refusal" => Part::Text(part.take_text("refusal").unwrap_or_default()),
        "input_image" => {
            if part.take_text("detail").is_some_and(|detail| detail != "auto") {
                losses.declare(Feature::Detail)?;
            }
            let Some(url) = part.take_text("image_url") else {
                return Err(refused(Feature::FileIds, losses));
            };
            Part::Media(media::from_url(Kind::Image, url, None))
        }
        "input_file" => {
            let name = part.take_text("filename");
            if let Some(data) = part.take_text("file_data") {
                Part::Media(file_data(data, name))
            } else if let Some(url) = part.take_text("file_url") {
                losses.declare(Feature::RemoteDocuments)?;
                Part::Media(media::from_url(Kind::Document, url, name))
            } else {
                return Err(refused(Feature::FileIds, losses));
            }
        }
        "input_audio" => {
            losses.declare(Feature::Audio)?;
            let mut audio = part.take("input_audio").map(Json::into_object).unwrap_or_default();
            let format = audio.take_text("format").unwrap_or_default();
            let source = Source::Base64(audio.take_text("data").unwrap_or_default());
            Part::Media(Media {
                kind: Kind::Audio,
                mime: format!("audio/{format}").into(),
                source,
                name: None,
            })
        }
        _ => return Err(Refused::malformed("a content part's `type` is not one of the dialect's")),
    })
}

/// A tool's output: a text, or parts.
fn output<'a>(output: Option<Json<'a>>, losses: &mut Losses) -> Result<Vec<Piece<'a>>, Refused> {
    match output {
        Some(Json::String(text)) => Ok(vec![Part::Text(text).piece()]),
        Some(Json::Array(parts)) => {
            parts.into_iter().map(|part| Ok(self::part(part.into_object(), losses)?.piece())).collect()
        }
        None => Ok(Vec::new()),
        // Older clients of this API wrote objects.
        Some(other) => Ok(vec![Part::Text(other.to_text().into()).piece()]),
    }
}

fn call<'a>(mut item: Object<'a>, is_custom: bool) -> Call<'a> {
    let name = item.take_text("name").unwrap_or_default();
    let name = match item.take_text("namespace") {
        Some(space) => read_tools::flat(&space, &name).into(),
        None => name,
    };
    Call {
        id: item.take_text("call_id").unwrap_or_default(),
        name,
        namespace: None,
        arguments: item.take_text(if is_custom { "input" } else { "arguments" }).unwrap_or_default(),
        is_custom,
    }
}

fn reasoning<'a>(mut item: Object<'a>) -> Part<'a> {
    let summary = item.take("summary").map(Json::into_elements).unwrap_or_default();
    let texts = summary.into_iter().filter_map(|part| part.into_object().take_text("text"));
    let texts: Vec<Text<'a>> = texts.collect();
    let id = item.take_text("id").unwrap_or_default();
    let encrypted = item.take_text("encrypted_content").filter(|value| !value.is_empty());
    let seal = encrypted.map(|value| seal::read(value, id, Dialect::OpenaiResponses));
    Part::Thinking(Thinking { text: crate::openai_chat::write_request::joined(texts, "\n\n"), seal })
}
