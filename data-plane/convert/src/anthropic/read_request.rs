//! Reads Messages requests.

use dialects::{Dialect, session};

use super::answer;
use crate::{
    json::{Json, Object},
    loss::{Feature, Losses, Refused},
    media,
    neutral::{
        Cache, Call, Choice, Effort, Format, Kind, Media, Part, Piece, Reasoning, Request, Role, Seal,
        Source, Text, Thinking, Tool, ToolAnswer, Turn,
    },
    openai, seal,
};

/// How Claude Code's first instruction begins, which is its own book-keeping and no instruction.
const BILLING: &str = "x-anthropic-billing-header:";

/// Reads a request's body.
///
/// # Errors
/// The body is not one, or asks for what cannot be carried.
pub(crate) fn read<'a>(mut body: Object<'a>, losses: &mut Losses) -> Result<Request<'a>, Refused> {
    let mut request = Request { stream_usage: true, ..Request::default() };
    if let Some(said) = body.take("system") {
        request.turns.push(system(said, losses)?);
    }
    let Some(Json::Array(messages)) = body.take("messages") else {
        return Err(Refused::malformed("`messages` must be an array"));
    };
    for said in messages {
        request.turns.push(message(said.into_object(), losses)?);
    }
    body.take("model");
    request.stream = body.take("stream").and_then(|stream| stream.as_bool()).unwrap_or(false);
    request.max_output = body.take("max_tokens").and_then(|max| max.as_u64());
    openai::sampling(&mut body, &mut request);
    request.stop = body
        .take("stop_sequences")
        .map(Json::into_elements)
        .unwrap_or_default()
        .into_iter()
        .filter_map(Json::into_text)
        .collect();
    tools(&mut body, &mut request, losses)?;
    reasoning(&mut body, &mut request);
    if let Some(mut metadata) = body.take("metadata").map(Json::into_object) {
        request.user = metadata.take_text("user_id");
        // A session's name keeps its cached prefix apart from others', which OpenAI asks for.
        request.cache_key = request.user.as_deref().and_then(session::session_of_user_id).map(Text::from);
    }
    for (key, feature) in [
        ("context_management", Feature::ContextManagement),
        ("container", Feature::Container),
        ("mcp_servers", Feature::ServerTools),
        ("cache_control", Feature::CacheControl),
    ] {
        if body.take(key).is_some() {
            losses.declare(feature)?;
        }
    }
    if body.take("service_tier").is_some_and(|tier| !matches!(tier.as_str(), Some("auto"))) {
        losses.declare(Feature::ServiceTier)?;
    }
    // These say which version of the dialect it is, and mean nothing to another.
    for key in ["anthropic_version", "anthropic_beta", "betas"] {
        body.take(key);
    }
    openai::rest(&body, losses);
    Ok(request)
}

fn system<'a>(said: Json<'a>, losses: &mut Losses) -> Result<Turn<'a>, Refused> {
    let mut pieces = content(said, losses)?;
    let before = pieces.len();
    pieces.retain(|piece| !matches!(&piece.part, Part::Text(text) if text.starts_with(BILLING)));
    if pieces.len() < before {
        losses.unknown("system.x-anthropic-billing-header");
    }
    Ok(Turn::new(Role::System, pieces))
}

fn message<'a>(mut message: Object<'a>, losses: &mut Losses) -> Result<Turn<'a>, Refused> {
    let said = message.take("content").unwrap_or_default();
    let role = match message.take_text("role").as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => return Err(Refused::malformed("a message's `role` is not one of the dialect's")),
    };
    for (key, _) in &message.0 {
        losses.unknown(&format!("messages.{key}"));
    }
    Ok(Turn::new(role, content(said, losses)?))
}

/// How to think, by `thinking`.
pub(crate) fn thinking(thinking: &Object<'_>) -> Reasoning {
    let mut reasoning = Reasoning::default();
    match thinking.text("type") {
        Some("enabled") => reasoning.budget = thinking.get("budget_tokens").and_then(Json::as_u64),
        Some("adaptive") => reasoning.adaptive = true,
        _ => reasoning.effort = Some(Effort::None),
    }
    reasoning.shown = thinking.text("display").map(|display| display != "omitted");
    reasoning
}

fn reasoning<'a>(body: &mut Object<'a>, request: &mut Request<'a>) {
    let told = body.take("thinking").map(Json::into_object);
    let mut config = body.take("output_config").map(Json::into_object).unwrap_or_default();
    let effort = config.take_text("effort").and_then(|word| Effort::of(&word));
    request.reasoning = told.as_ref().map(thinking);
    if let Some(effort) = effort {
        let reasoning = request.reasoning.get_or_insert_default();
        reasoning.effort = reasoning.effort.or(Some(effort));
    }
    let format = config.take("format").or_else(|| body.take("output_format"));
    if let Some(mut format) = format.map(Json::into_object)
        && let Some(schema) = format.take("schema")
    {
        request.format = Format::Schema { name: None, description: None, schema, strict: None };
    }
}

fn cache(block: &mut Object<'_>, losses: &mut Losses) -> Result<Option<Cache>, Refused> {
    let Some(control) = block.take("cache_control") else { return Ok(None) };
    losses.declare(Feature::CacheControl)?;
    Ok(Some(if control.text("ttl") == Some("1h") { Cache::Long } else { Cache::Short }))
}

/// A text, or blocks.
fn content<'a>(content: Json<'a>, losses: &mut Losses) -> Result<Vec<Piece<'a>>, Refused> {
    match content {
        Json::String(text) => Ok(vec![Part::Text(text).piece()]),
        Json::Array(blocks) => {
            let mut pieces = Vec::with_capacity(blocks.len());
            for block in blocks {
                let mut block = block.into_object();
                let cache = cache(&mut block, losses)?;
                if let Some(part) = part(block, losses)? {
                    pieces.push(Piece { part, cache });
                }
            }
            Ok(pieces)
        }
        Json::Null => Ok(Vec::new()),
        _ => Err(Refused::malformed("a message's `content` must be a string or an array")),
    }
}

fn part<'a>(mut block: Object<'a>, losses: &mut Losses) -> Result<Option<Part<'a>>, Refused> {
    let kind = block.take_text("type").unwrap_or_default();
    Ok(Some(match kind.as_ref() {
        "text" => Part::Text(block.take_text("text").unwrap_or_default()),
        "image" => medium(Kind::Image, block, losses)?,
        "document" => medium(Kind::Document, block, losses)?,
        "thinking" => {
            let text = block.take_text("thinking").unwrap_or_default();
            let signature = block.take_text("signature").filter(|signature| !signature.is_empty());
            let seal = signature.map(|value| seal::read(value, Text::default(), Dialect::AnthropicMessages));
            Part::Thinking(Thinking { text, seal })
        }
        "redacted_thinking" => {
            let seal: Seal<'a> = answer::redacted(block.take_text("data").unwrap_or_default());
            Part::Thinking(Thinking { text: Text::default(), seal: Some(seal) })
        }
        "tool_use" => Part::Call(Call {
            id: block.take_text("id").unwrap_or_default(),
            name: block.take_text("name").unwrap_or_default(),
            namespace: None,
            arguments: block.take("input").unwrap_or(Json::Object(Object::default())).to_text().into(),
            is_custom: false,
        }),
        "tool_result" => Part::Answer(ToolAnswer {
            id: block.take_text("tool_use_id").unwrap_or_default(),
            name: Text::default(),
            pieces: content(block.take("content").unwrap_or_default(), losses)?,
            is_error: block.take("is_error").and_then(|error| error.as_bool()).unwrap_or(false),
            is_custom: false,
        }),
        // What a search of tools found: those tools are all told, so that the model may simply call them.
        "tool_reference" => {
            let name = block.take_text("tool_name").unwrap_or_default();
            Part::Text(format!("The tool `{name}` is available.").into())
        }
        "search_result" => Part::Text(search_result(block).into()),
        "container_upload" => {
            losses.declare(Feature::FileIds)?;
            return Ok(None);
        }
        _ => {
            losses.declare(Feature::HistoryItems)?;
            return Ok(None);
        }
    }))
}

fn search_result(mut block: Object<'_>) -> String {
    let mut text = String::new();
    for key in ["title", "source"] {
        if let Some(line) = block.take_text(key) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    for part in block.take("content").map(Json::into_elements).unwrap_or_default() {
        text.push_str(part.text("text").unwrap_or_default());
    }
    text
}

fn medium<'a>(kind: Kind, mut block: Object<'a>, losses: &mut Losses) -> Result<Part<'a>, Refused> {
    if block.get("citations").and_then(|citations| citations.get("enabled")?.as_bool()) == Some(true) {
        losses.declare(Feature::Citations)?;
    }
    let name = block.take_text("title");
    let mut source = block.take("source").map(Json::into_object).unwrap_or_default();
    let mime = source.take_text("media_type").unwrap_or_default();
    let data = source.take_text("data");
    let source = match (source.text("type"), data) {
        (Some("base64"), Some(data)) => Source::Base64(data),
        (Some("text"), Some(data)) => Source::Plain(data),
        (Some("url"), _) => {
            if kind == Kind::Document {
                losses.declare(Feature::RemoteDocuments)?;
            }
            return Ok(Part::Media(media::from_url(kind, source.take_text("url").unwrap_or_default(), name)));
        }
        (Some("content"), _) => {
            let pieces = content(source.take("content").unwrap_or_default(), losses)?;
            let texts = pieces.into_iter().filter_map(|piece| match piece.part {
                Part::Text(text) => Some(text),
                _ => None,
            });
            Source::Plain(texts.collect::<Vec<_>>().join("\n").into())
        }
        (Some("file"), _) => {
            losses.declare(Feature::FileIds)?;
            return Err(Refused::malformed("a file's id cannot be carried"));
        }
        _ => return Err(Refused::malformed("an image or document has no source")),
    };
    Ok(Part::Media(Media { kind, mime, source, name }))
}

fn tools<'a>(body: &mut Object<'a>, request: &mut Request<'a>, losses: &mut Losses) -> Result<(), Refused> {
    for tool in body.take("tools").map(Json::into_elements).unwrap_or_default() {
        let mut tool = tool.into_object();
        let cache = cache(&mut tool, losses)?;
        let schema = tool.take("input_schema");
        if schema.is_none() && tool.text("type").is_some_and(|kind| kind != "custom") {
            losses.declare(Feature::ServerTools)?;
            continue;
        }
        if tool.take("defer_loading").and_then(|defer| defer.as_bool()) == Some(true) {
            losses.declare(Feature::DeferLoading)?;
        }
        let name = tool.take_text("name").ok_or_else(|| Refused::malformed("a tool has no name"))?;
        let description = tool.take_text("description");
        let strict = tool.take("strict").and_then(|strict| strict.as_bool());
        request.tools.push(Tool { name, description, schema, strict, is_custom: false, cache });
    }
    let Some(mut choice) = body.take("tool_choice").map(Json::into_object) else { return Ok(()) };
    if choice.take("disable_parallel_tool_use").and_then(|single| single.as_bool()) == Some(true) {
        request.parallel = Some(false);
    }
    request.choice = match choice.text("type") {
        Some("none") => Some(Choice::None),
        Some("any") => Some(Choice::Any),
        Some("tool") => choice.take_text("name").map(Choice::Tool),
        _ => Some(Choice::Auto),
    };
    Ok(())
}
