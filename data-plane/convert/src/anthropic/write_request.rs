//! Writes Messages requests.

use std::borrow::Cow;

use dialects::Dialect;

use super::thinking;
use crate::{
    Target,
    json::{Json, Object, object},
    loss::{Feature, Losses, Refused},
    media,
    models::{self, Claude},
    neutral::{
        Cache, Call, Choice, Format, Kind, Media, Part, Piece, Request, Role, Source, Text, Tool, ToolAnswer,
        Turn,
    },
    schema, turns,
};

/// Output tokens where the client names no cap, which this dialect cannot do without: v1's figure, and more where
/// thoughts count as output.
const MAX_OUTPUT: u64 = 4_096;
const MAX_OUTPUT_THINKING: u64 = 16_384;

/// Writes a request's body.
///
/// # Errors
/// It asks for what cannot be carried.
pub(crate) fn write<'a>(
    mut request: Request<'a>,
    target: &Target<'a>,
    losses: &mut Losses,
) -> Result<Json<'a>, Refused> {
    let claude = models::claude(target.model);
    let told = thinking::tell(&request, &claude, losses)?;
    let thinks = told.thinking.as_ref().is_some_and(|thinking| thinking.text("type") != Some("disabled"));
    let (format, instruction) = format(std::mem::take(&mut request.format), &claude, losses)?;
    let mut dialogue = turns::dialogue(std::mem::take(&mut request.turns), losses)?;
    dialogue.system.extend(instruction.map(|text| Part::Text(text.into()).piece()));
    trim_end(&mut dialogue.turns, &claude, losses)?;
    if request.cache_key.is_some() {
        mark(&mut dialogue);
    }
    request.max_output = models::capped(target.model, request.max_output, losses)?;
    let max = match request.max_output {
        Some(max) => max.max(1).max(told.budget + 1),
        None if thinks => MAX_OUTPUT_THINKING + told.budget,
        None => MAX_OUTPUT,
    };
    let mut messages = Vec::with_capacity(dialogue.turns.len());
    for turn in dialogue.turns {
        let role = if turn.role == Role::Assistant { "assistant" } else { "user" };
        let content = pieces(turn.pieces, losses)?;
        if !content.is_empty() {
            messages.push(object! { "role": role, "content": content }.into());
        }
    }
    let (choice, tools) = tools(&mut request, losses)?;
    let sampling = sampling(&request, &claude, thinks, losses)?;
    let config = object! { "effort": told.effort, "format": format };
    let user = request.user.take();
    Ok(object! {
        "model": target.model,
        "max_tokens": max,
        "system": system(dialogue.system),
        "messages": Json::Array(messages),
        "tools": tools,
        "tool_choice": choice,
        "thinking": told.thinking,
        "output_config": (!config.is_empty()).then_some(config),
        "temperature": sampling.0,
        "top_p": sampling.1,
        "top_k": sampling.2,
        "stop_sequences": stop(&mut request),
        "metadata": user.map(|user| object! { "user_id": user }),
        "stream": request.stream.then_some(true),
    }
    .into())
}

fn stop<'a>(request: &mut Request<'a>) -> Option<Vec<Json<'a>>> {
    // Texts of blanks alone are refused.
    let texts = std::mem::take(&mut request.stop).into_iter().filter(|text| !text.trim().is_empty());
    let texts: Vec<Json<'a>> = texts.map(Json::from).collect();
    (!texts.is_empty()).then_some(texts)
}

type Sampled = (Option<f64>, Option<f64>, Option<u64>);

fn sampling(
    request: &Request<'_>,
    claude: &Claude,
    thinks: bool,
    losses: &mut Losses,
) -> Result<Sampled, Refused> {
    let sampling = &request.sampling;
    if sampling.seed.is_some() {
        losses.declare(Feature::Seed)?;
    }
    if sampling.frequency_penalty.is_some() || sampling.presence_penalty.is_some() {
        losses.declare(Feature::Penalties)?;
    }
    let (mut temperature, mut top_p, mut top_k) = (sampling.temperature, sampling.top_p, sampling.top_k);
    // One is the default of both, and the only value that a model takes while it thinks.
    if !claude.samples || thinks {
        let plain = |value: Option<f64>| value.is_none_or(|value| value == 1.0);
        if !plain(temperature) || !plain(top_p) || top_k.is_some() {
            losses.declare(Feature::SamplingOfModel)?;
        }
        return Ok((None, None, None));
    }
    if temperature.is_some_and(|temperature| temperature > 1.0) {
        losses.declare(Feature::SamplingRange)?;
        temperature = Some(1.0);
    }
    if temperature.is_some() && top_p.is_some() && !claude.samples_both {
        if top_p != Some(1.0) {
            losses.declare(Feature::SamplingBoth)?;
        }
        top_p = None;
    }
    top_k = top_k.filter(|top_k| *top_k > 0);
    Ok((temperature, top_p, top_k))
}

/// `output_config.format`, or an instruction in its place.
type Formatted<'a> = (Option<Object<'a>>, Option<String>);

fn format<'a>(format: Format<'a>, claude: &Claude, losses: &mut Losses) -> Result<Formatted<'a>, Refused> {
    match format {
        Format::Text => Ok((None, None)),
        Format::Json => {
            losses.declare(Feature::JsonMode)?;
            Ok((None, Some("Answer with one JSON object and nothing else.".to_owned())))
        }
        Format::Schema { schema, .. } if claude.structured => {
            let (schema, lost) = schema::for_claude(schema);
            if lost {
                losses.declare(Feature::SchemaKeywords)?;
            }
            Ok((Some(object! { "type": "json_schema", "schema": schema }), None))
        }
        Format::Schema { schema, .. } => {
            losses.declare(Feature::SchemaOfModel)?;
            let text = schema.to_text();
            Ok((
                None,
                Some(format!("Answer with JSON that follows this JSON Schema, and nothing else:\n{text}")),
            ))
        }
    }
}

/// The model's own last words must not end in blanks, and newer models do not continue them.
fn trim_end(turns: &mut Vec<Turn<'_>>, claude: &Claude, losses: &mut Losses) -> Result<(), Refused> {
    let Some(last) = turns.last_mut().filter(|turn| turn.role == Role::Assistant) else { return Ok(()) };
    if !claude.continues {
        losses.declare(Feature::LastTurn)?;
        turns.push(Turn::text(Role::User, ".".into()));
    } else if let Some(Piece { part: Part::Text(text), .. }) = last.pieces.last_mut() {
        let end = text.trim_end().len();
        match text {
            Cow::Borrowed(text) => *text = &text[..end],
            Cow::Owned(text) => text.truncate(end),
        }
    }
    Ok(())
}

/// Marks for the cache what the client's own upstream would have cached by itself.
fn mark(dialogue: &mut turns::Dialogue<'_>) {
    let marked = |piece: &Piece<'_>| piece.cache.is_some();
    let turns = dialogue.turns.iter();
    if turns.flat_map(|turn| &turn.pieces).chain(&dialogue.system).any(marked) {
        return;
    }
    if let Some(piece) = dialogue.system.last_mut() {
        piece.cache = Some(Cache::Short);
    }
    let last = dialogue.turns.last_mut().and_then(|turn| turn.pieces.last_mut());
    if let Some(piece) = last.filter(|piece| !matches!(piece.part, Part::Thinking(_))) {
        piece.cache = Some(Cache::Short);
    }
}

fn control(cache: Option<Cache>) -> Option<Object<'static>> {
    let ttl = match cache? {
        Cache::Short => None,
        Cache::Long => Some("1h"),
    };
    Some(object! { "type": "ephemeral", "ttl": ttl })
}

fn system<'a>(system: Vec<Piece<'a>>) -> Option<Json<'a>> {
    let block = |piece: Piece<'a>| match piece.part {
        Part::Text(text) => {
            Some(object! { "type": "text", "text": text, "cache_control": control(piece.cache) }.into())
        }
        // Instructions are texts in every dialect.
        _ => None,
    };
    let blocks: Vec<Json<'a>> = system.into_iter().filter_map(block).collect();
    (!blocks.is_empty()).then_some(Json::Array(blocks))
}

fn pieces<'a>(pieces: Vec<Piece<'a>>, losses: &mut Losses) -> Result<Vec<Json<'a>>, Refused> {
    let mut content = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let Some(mut block) = part(piece.part, losses)? else { continue };
        block.put("cache_control", control(piece.cache));
        content.push(block.into());
    }
    Ok(content)
}

fn part<'a>(part: Part<'a>, losses: &mut Losses) -> Result<Option<Object<'a>>, Refused> {
    Ok(match part {
        Part::Text(text) if text.trim().is_empty() => None,
        Part::Text(text) => Some(object! { "type": "text", "text": text }),
        Part::Media(media) => Some(medium(media, losses)?),
        Part::Thinking(thinking) => match thinking.seal {
            Some(seal) if seal.origin == Dialect::AnthropicMessages => Some(if seal.tag == "redacted" {
                object! { "type": "redacted_thinking", "data": seal.value }
            } else {
                object! { "type": "thinking", "thinking": thinking.text, "signature": seal.value }
            }),
            Some(_) => {
                losses.declare(Feature::ForeignThoughts)?;
                None
            }
            None => {
                losses.declare(Feature::UnsealedThoughts)?;
                None
            }
        },
        Part::Call(call) => {
            let input = input(&call, losses)?;
            Some(object! { "type": "tool_use", "id": call.id, "name": call.name, "input": input })
        }
        Part::Answer(answer) => Some(tool_result(answer, losses)?),
    })
}

/// A call's arguments as an object.
pub(crate) fn input<'a>(call: &Call<'a>, losses: &mut Losses) -> Result<Json<'static>, Refused> {
    if call.is_custom {
        return Ok(object! { "input": call.arguments.to_string() }.into());
    }
    if call.arguments.trim().is_empty() {
        return Ok(Json::Object(Object::default()));
    }
    match Json::parse_text(&call.arguments) {
        Ok(input @ Json::Object(_)) => Ok(input.into_owned()),
        _ => {
            losses.declare(Feature::Arguments)?;
            Ok(object! { "arguments": call.arguments.to_string() }.into())
        }
    }
}

fn tool_result<'a>(answer: ToolAnswer<'a>, losses: &mut Losses) -> Result<Object<'a>, Refused> {
    let content = match <[Piece<'a>; 1]>::try_from(answer.pieces) {
        Ok([Piece { part: Part::Text(text), .. }]) => (!text.is_empty()).then_some(Json::String(text)),
        Ok(one) => Some(Json::Array(pieces(one.into(), losses)?)),
        Err(many) if many.is_empty() => None,
        Err(many) => Some(Json::Array(pieces(many, losses)?)),
    };
    Ok(object! {
        "type": "tool_result",
        "tool_use_id": answer.id,
        "content": content,
        "is_error": answer.is_error.then_some(true),
    })
}

fn medium<'a>(media: Media<'a>, losses: &mut Losses) -> Result<Object<'a>, Refused> {
    let kind = match media.kind {
        Kind::Image => "image",
        Kind::Document => "document",
        Kind::Audio => {
            losses.declare(Feature::Audio)?;
            return Err(Refused::malformed("sound cannot be carried"));
        }
    };
    let mime: Text<'a> = media::mime(&media).to_owned().into();
    let source = match media.source {
        // Documents in base64 are PDFs; texts are told as such.
        Source::Base64(data) if media.kind == Kind::Document && mime.starts_with("text/") => {
            let text =
                media::decoded_text(&data).ok_or_else(|| Refused::malformed("a document is no text"))?;
            object! { "type": "text", "media_type": "text/plain", "data": text }
        }
        Source::Base64(data) => object! { "type": "base64", "media_type": mime, "data": data },
        Source::Plain(data) => object! { "type": "text", "media_type": "text/plain", "data": data },
        Source::Url(url) => object! { "type": "url", "url": url },
    };
    let title = media.name.filter(|_| media.kind == Kind::Document);
    Ok(object! { "type": kind, "source": source, "title": title })
}

type Told<'a> = (Option<Object<'a>>, Option<Vec<Json<'a>>>);

fn tools<'a>(request: &mut Request<'a>, losses: &mut Losses) -> Result<Told<'a>, Refused> {
    if request.tools.is_empty() {
        return Ok((None, None));
    }
    let mut tools = Vec::with_capacity(request.tools.len());
    for tool in std::mem::take(&mut request.tools) {
        let Tool { name, description, schema, strict, is_custom, cache } = tool;
        if strict == Some(true) {
            losses.declare(Feature::StrictTools)?;
        }
        let schema = if is_custom { schema::of_custom() } else { schema.unwrap_or_else(schema::of_nothing) };
        let tool = object! {
            "name": name,
            "description": description.filter(|text| !text.is_empty()),
            "input_schema": object_schema(schema),
            "cache_control": control(cache),
        };
        tools.push(tool.into());
    }
    let single = (request.parallel == Some(false)).then_some(true);
    let choice = match request.choice.take() {
        None | Some(Choice::Auto) if single.is_some() => Some(("auto", None)),
        None => None,
        Some(Choice::Auto) => Some(("auto", None)),
        Some(Choice::None) => Some(("none", None)),
        Some(Choice::Any) => Some(("any", None)),
        Some(Choice::Tool(name)) => Some(("tool", Some(name))),
    };
    let choice = choice.map(|(kind, name)| {
        let single = single.filter(|_| kind != "none");
        object! { "type": kind, "name": name, "disable_parallel_tool_use": single }
    });
    Ok((choice, Some(tools)))
}

/// A schema must be that of an object.
fn object_schema(schema: Json<'_>) -> Json<'_> {
    match schema {
        Json::Object(mut object) => {
            if object.get("type").is_none() {
                object.0.insert(0, ("type".into(), "object".into()));
            }
            Json::Object(object)
        }
        _ => schema::of_nothing(),
    }
}
