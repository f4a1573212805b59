//! Reads Chat Completions requests.

use crate::{
    json::{Json, Object},
    loss::{Feature, Losses, Refused},
    media,
    neutral::{
        Cache, Call, Choice, Format, Kind, Media, Part, Piece, Request, Role, Source, Text, Thinking, Tool,
        ToolAnswer, Turn,
    },
    openai::{self, custom_description},
    seal,
};
use dialects::Dialect;

/// Reads a request's body.
///
/// # Errors
/// The body is not one, or asks for what cannot be carried.
pub(crate) fn read<'a>(mut body: Object<'a>, losses: &mut Losses) -> Result<Request<'a>, Refused> {
    let mut request = Request::default();
    let Some(Json::Array(messages)) = body.take("messages") else {
        return Err(Refused::malformed("`messages` must be an array"));
    };
    if messages.is_empty() {
        return Err(Refused::malformed("`messages` must not be empty"));
    }
    for message in messages {
        self::message(message.into_object(), &mut request, losses)?;
    }
    body.take("model");
    request.stream = body.take("stream").and_then(|value| value.as_bool()).unwrap_or(false);
    let options = body.take("stream_options");
    request.stream_usage =
        options.and_then(|options| options.get("include_usage")?.as_bool()).unwrap_or(false);
    let (old, new) = (body.take("max_tokens"), body.take("max_completion_tokens"));
    request.max_output = new.or(old).and_then(|value| value.as_u64());
    openai::sampling(&mut body, &mut request);
    request.stop = match body.take("stop") {
        Some(Json::Array(texts)) => texts.into_iter().filter_map(Json::into_text).collect(),
        Some(Json::String(text)) => vec![text],
        _ => Vec::new(),
    };
    tools(&mut body, &mut request, losses)?;
    if let Some(format) = body.take("response_format") {
        request.format = self::format(format.into_object());
    }
    let effort = body.take_text("reasoning_effort");
    let beside = body.take("reasoning").map(Json::into_object);
    let thinking = body.take("thinking").map(Json::into_object);
    request.reasoning = openai::reasoning(effort, beside)
        .or_else(|| thinking.map(|thinking| crate::anthropic::read_request::thinking(&thinking)));
    openai::shared(&mut body, &mut request, losses)?;
    alone(&mut body, losses)?;
    openai::rest(&body, losses);
    Ok(request)
}

/// Fields that this dialect alone has.
fn alone(body: &mut Object<'_>, losses: &mut Losses) -> Result<(), Refused> {
    for (key, feature) in [
        ("logit_bias", Feature::LogitBias),
        ("prediction", Feature::Unknown),
        ("web_search_options", Feature::ServerTools),
        ("verbosity", Feature::Verbosity),
        ("functions", Feature::LegacyFunctions),
        ("function_call", Feature::LegacyFunctions),
        ("audio", Feature::AudioOutput),
    ] {
        match body.take(key) {
            Some(_) if feature == Feature::Unknown => losses.unknown(key),
            Some(_) => losses.declare(feature)?,
            None => {}
        }
    }
    if body.take("n").and_then(|n| n.as_u64()).is_some_and(|n| n > 1) {
        losses.declare(Feature::Candidates)?;
    }
    let wanted = body.take("logprobs").and_then(|value| value.as_bool()).unwrap_or(false);
    if body.take("top_logprobs").is_some() || wanted {
        losses.declare(Feature::Logprobs)?;
    }
    if body
        .take("modalities")
        .is_some_and(|kinds| kinds.elements().iter().any(|kind| kind.as_str() != Some("text")))
    {
        losses.declare(Feature::AudioOutput)?;
    }
    Ok(())
}

fn message<'a>(
    mut message: Object<'a>,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Refused> {
    if message.take("name").is_some() {
        losses.declare(Feature::Names)?;
    }
    let content = message.take("content");
    let (role, pieces) = match message.text("role") {
        Some("system" | "developer") => (Role::System, content_pieces(content, losses)?),
        Some("user") => (Role::User, content_pieces(content, losses)?),
        Some("assistant") => (Role::Assistant, assistant(message, content, losses)?),
        Some("tool") => (Role::User, vec![tool_answer(message, content, losses)?]),
        Some("function") => return losses.declare(Feature::LegacyFunctions),
        _ => return Err(Refused::malformed("a message's `role` is not one of the dialect's")),
    };
    request.turns.push(Turn::new(role, pieces));
    Ok(())
}

fn assistant<'a>(
    mut message: Object<'a>,
    content: Option<Json<'a>>,
    losses: &mut Losses,
) -> Result<Vec<Piece<'a>>, Refused> {
    let mut pieces = Vec::new();
    let thoughts = message.take_text("reasoning_content").or_else(|| message.take_text("reasoning"));
    if let Some(text) = thoughts.filter(|text| !text.is_empty()) {
        pieces.push(Part::Thinking(Thinking { text, seal: None }).piece());
    }
    pieces.extend(content_pieces(content, losses)?);
    if let Some(text) = message.take_text("refusal") {
        pieces.push(Part::Text(text).piece());
    }
    if message.take("function_call").is_some() {
        losses.declare(Feature::LegacyFunctions)?;
    }
    if message.take("audio").is_some() {
        losses.declare(Feature::Audio)?;
    }
    for call in message.take("tool_calls").map(Json::into_elements).unwrap_or_default() {
        let mut call = call.into_object();
        if let Some(sealed) = signature(&mut call) {
            let seal = Some(seal::read(sealed, Text::default(), Dialect::Gemini));
            pieces.push(Part::Thinking(Thinking { text: Text::default(), seal }).piece());
        }
        let id = call.take_text("id").unwrap_or_default();
        let custom = call.take("custom").map(Json::into_object);
        let is_custom = custom.is_some();
        let mut of = custom.or_else(|| call.take("function").map(Json::into_object)).unwrap_or_default();
        let name = of.take_text("name").unwrap_or_default();
        let arguments = of.take_text(if is_custom { "input" } else { "arguments" }).unwrap_or_default();
        pieces.push(Part::Call(Call { id, name, namespace: None, arguments, is_custom }).piece());
    }
    Ok(pieces)
}

/// Where Google's own OpenAI endpoint, and so this relay, writes thought signatures.
fn signature<'a>(call: &mut Object<'a>) -> Option<Text<'a>> {
    let mut google = call.take("extra_content")?.into_object().take("google")?.into_object();
    google.take_text("thought_signature")
}

fn tool_answer<'a>(
    mut message: Object<'a>,
    content: Option<Json<'a>>,
    losses: &mut Losses,
) -> Result<Piece<'a>, Refused> {
    let id = message.take_text("tool_call_id").unwrap_or_default();
    let mut pieces = content_pieces(content, losses)?;
    // A mark on the text of a tool's answer is meant for the answer.
    let cache = pieces.iter_mut().filter_map(|piece| piece.cache.take()).last();
    let answer = ToolAnswer { id, name: Text::default(), pieces, is_error: false, is_custom: false };
    Ok(Piece { part: Part::Answer(answer), cache })
}

/// A message's content: a text, or parts.
fn content_pieces<'a>(content: Option<Json<'a>>, losses: &mut Losses) -> Result<Vec<Piece<'a>>, Refused> {
    match content {
        Some(Json::String(text)) => Ok(vec![Part::Text(text).piece()]),
        Some(Json::Array(parts)) => {
            parts.into_iter().map(|part| content_part(part.into_object(), losses)).collect()
        }
        None => Ok(Vec::new()),
        Some(_) => Err(Refused::malformed("a message's `content` must be a string or an array")),
    }
}

fn content_part<'a>(mut part: Object<'a>, losses: &mut Losses) -> Result<Piece<'a>, Refused> {
    let cache = part.take("cache_control").map(|mark| match mark.text("ttl") {
        Some("1h") => Cache::Long,
        _ => Cache::Short,
    });
    let kind = part.take_text("type").unwrap_or_default();
    let of = |part: &mut Object<'a>, key| part.take(key).map(Json::into_object).unwrap_or_default();
    let part = match kind.as_ref() {
        "text" => Part::Text(part.take_text("text").unwrap_or_default()),
        "refusal" => Part::Text(part.take_text("refusal").unwrap_or_default()),
        "image_url" => Part::Media(image(part.take("image_url").unwrap_or_default(), losses)?),
        "input_audio" => {
            losses.declare(Feature::Audio)?;
            let mut audio = of(&mut part, "input_audio");
            let format = audio.take_text("format").unwrap_or_default();
            let source = Source::Base64(audio.take_text("data").unwrap_or_default());
            Part::Media(Media {
                kind: Kind::Audio,
                mime: format!("audio/{format}").into(),
                source,
                name: None,
            })
        }
        "file" => {
            let mut file = of(&mut part, "file");
            let name = file.take_text("filename");
            match file.take_text("file_data") {
                Some(data) => Part::Media(file_data(data, name)),
                None => return Err(refused(Feature::FileIds, losses)),
            }
        }
        "video_url" => return Err(refused(Feature::Video, losses)),
        _ => return Err(Refused::malformed("a content part's `type` is not one of the dialect's")),
    };
    Ok(Piece { part, cache })
}

/// The refusal that a feature is declared with.
pub(crate) fn refused(feature: Feature, losses: &mut Losses) -> Refused {
    match losses.declare(feature) {
        Err(refused) => refused,
        Ok(()) => Refused::malformed("a part of the content cannot be carried"),
    }
}

fn image<'a>(image: Json<'a>, losses: &mut Losses) -> Result<Media<'a>, Refused> {
    let (url, detail) = match image {
        Json::String(url) => (Some(url), None),
        other => {
            let mut image = other.into_object();
            (image.take_text("url"), image.take_text("detail"))
        }
    };
    if detail.is_some_and(|detail| detail != "auto") {
        losses.declare(Feature::Detail)?;
    }
    let url = url.ok_or_else(|| Refused::malformed("an image has no `url`"))?;
    Ok(media::from_url(Kind::Image, url, None))
}

/// A file's data: a data URL, or bare base64 of a PDF.
pub(crate) fn file_data<'a>(data: Text<'a>, name: Option<Text<'a>>) -> Media<'a> {
    if data.starts_with("data:") {
        return media::from_url(Kind::Document, data, name);
    }
    Media { kind: Kind::Document, mime: "application/pdf".into(), source: Source::Base64(data), name }
}

fn tools<'a>(body: &mut Object<'a>, request: &mut Request<'a>, losses: &mut Losses) -> Result<(), Refused> {
    for tool in body.take("tools").map(Json::into_elements).unwrap_or_default() {
        let mut tool = tool.into_object();
        let cache = tool.take("cache_control").map(|_| Cache::Short);
        let custom = tool.take("custom").map(Json::into_object);
        let is_custom = custom.is_some();
        let Some(mut of) = custom.or_else(|| tool.take("function").map(Json::into_object)) else {
            losses.declare(Feature::ServerTools)?;
            continue;
        };
        let name = of.take_text("name").ok_or_else(|| Refused::malformed("a tool has no name"))?;
        let description = of.take_text("description");
        let description = match of.take("format").filter(|_| is_custom) {
            Some(format) => Some(custom_description(description, &format)),
            None => description,
        };
        if is_custom {
            losses.declare(Feature::CustomTools)?;
        }
        let (schema, strict) = (of.take("parameters"), of.take("strict").and_then(|strict| strict.as_bool()));
        request.tools.push(Tool { name, description, schema, strict, is_custom, cache });
    }
    request.parallel = body.take("parallel_tool_calls").and_then(|value| value.as_bool());
    let choice = body.take("tool_choice");
    request.choice = match choice {
        Some(Json::Object(mut choice)) if choice.text("type") == Some("allowed_tools") => {
            let allowed = choice.take("allowed_tools").map(Json::into_object).unwrap_or_default();
            openai::allowed(allowed, request, losses)?
        }
        Some(Json::Object(mut choice)) => {
            let of = choice.take("function").or_else(|| choice.take("custom"));
            of.map(Json::into_object).and_then(|mut of| of.take_text("name")).map(Choice::Tool)
        }
        Some(word) => openai::choice_word(&word),
        None => None,
    };
    Ok(())
}

fn format(mut format: Object<'_>) -> Format<'_> {
    match format.text("type") {
        Some("json_object") => Format::Json,
        Some("json_schema") => {
            let of = format.take("json_schema").map(Json::into_object).unwrap_or_default();
            openai::schema_format(of)
        }
        _ => Format::Text,
    }
}
