//! Writes Chat Completions requests.

use dialects::Dialect;

use crate::{
    Target,
    json::{Json, Object, object},
    loss::{Feature, Losses, Refused},
    media, models,
    names::hash,
    neutral::{
        Call, Choice, Effort, Format, Kind, Media, Part, Piece, Request, Role, Seal, Source, Text, Tool,
        ToolAnswer, Turn,
    },
    openai_chat::{answer, write_events},
    schema,
};

/// Longer names of users are refused by some, and tell more of them than is needed.
const MAX_USER: usize = 64;

/// Writes a request's body.
///
/// # Errors
/// It asks for what cannot be carried.
pub(crate) fn write<'a>(
    mut request: Request<'a>,
    target: &Target<'a>,
    losses: &mut Losses,
) -> Result<Json<'a>, Refused> {
    let model = models::gpt(target.model);
    let mut messages = Vec::new();
    for turn in std::mem::take(&mut request.turns) {
        self::turn(turn, model.openai, &mut messages, losses)?;
    }
    if last_role(&messages) == Some("assistant") {
        losses.declare(Feature::LastTurn)?;
    }
    if request.stop.len() > 4 {
        losses.declare(Feature::ManyStopSequences)?;
    }
    let stop: Vec<Json<'a>> = std::mem::take(&mut request.stop).into_iter().map(Json::from).collect();
    let max = models::capped(target.model, request.max_output, losses)?;
    let (old, new) = if model.openai { (None, max) } else { (max, None) };
    let effort = effort(&request, &model, losses)?;
    let (temperature, top_p) = sampling(&request, model.thinks, losses)?;
    let format = format(std::mem::take(&mut request.format));
    let options = (request.stream && request.stream_usage).then(|| object! { "include_usage": true });
    let user = request.user.take().map(user);
    let tools = tools(&mut request, model.openai);
    let has_tools = tools.is_some();
    Ok(object! {
        "model": target.model,
        "messages": messages,
        "tools": tools,
        "tool_choice": request.choice.take().filter(|_| has_tools).map(choice),
        "parallel_tool_calls": request.parallel.filter(|_| has_tools),
        "max_tokens": old,
        "max_completion_tokens": new,
        "temperature": temperature,
        "top_p": top_p,
        "frequency_penalty": request.sampling.frequency_penalty,
        "presence_penalty": request.sampling.presence_penalty,
        "seed": request.sampling.seed,
        "stop": (!stop.is_empty()).then_some(stop),
        "reasoning_effort": effort,
        "response_format": format,
        "user": user,
        "prompt_cache_key": request.cache_key.take().filter(|_| model.openai),
        "stream": request.stream.then_some(true),
        "stream_options": options,
    }
    .into())
}

fn last_role<'j>(messages: &'j [Json<'_>]) -> Option<&'j str> {
    messages.last()?.text("role")
}

/// A user's name that is short enough, and the same for the same user.
pub(crate) fn user(user: Text<'_>) -> Text<'_> {
    if user.len() <= MAX_USER { user } else { format!("user_{:016x}", hash(&user)).into() }
}

/// Temperature and nucleus, which models that think do not take.
pub(crate) fn sampling(
    request: &Request<'_>,
    thinks: bool,
    losses: &mut Losses,
) -> Result<(Option<f64>, Option<f64>), Refused> {
    if request.sampling.top_k.is_some() {
        losses.declare(Feature::TopK)?;
    }
    let (temperature, top_p) = (request.sampling.temperature, request.sampling.top_p);
    if !thinks {
        return Ok((temperature, top_p));
    }
    if temperature.is_some_and(|temperature| temperature != 1.0) || top_p.is_some_and(|top_p| top_p != 1.0) {
        losses.declare(Feature::SamplingOfModel)?;
    }
    Ok((None, None))
}

/// OpenAI's word for how much to think, where the model thinks.
pub(crate) fn effort(
    request: &Request<'_>,
    model: &models::Gpt,
    losses: &mut Losses,
) -> Result<Option<&'static str>, Refused> {
    let Some(wanted) = request.reasoning else { return Ok(None) };
    let of_budget = wanted.budget.map(models::effort_of);
    if wanted.effort.is_none() && of_budget.is_some() {
        losses.declare(Feature::ThinkingBudget)?;
    }
    let effort = wanted.effort.or(of_budget);
    // Other APIs like OpenAI's are told what was asked, but not what they would not know.
    let told = model.thinks || (!model.openai && effort != Some(Effort::None));
    Ok(effort.filter(|_| told).map(|effort| model.effort(effort)))
}

/// `custom`: whether the API knows tools that take any text, as OpenAI's own does.
fn turn<'a>(
    turn: Turn<'a>,
    custom: bool,
    messages: &mut Vec<Json<'a>>,
    losses: &mut Losses,
) -> Result<(), Refused> {
    match turn.role {
        Role::System => {
            let texts = turn.pieces.into_iter().filter_map(text_of);
            let texts: Vec<Text<'a>> = texts.filter(|text| !text.is_empty()).collect();
            if !texts.is_empty() {
                let text = joined(texts, "\n\n");
                messages.push(object! { "role": "system", "content": text }.into());
            }
            Ok(())
        }
        Role::User => user_turn(turn.pieces, messages, losses),
        Role::Assistant => assistant(turn.pieces, custom, messages, losses),
    }
}

/// A piece's text.
pub(crate) fn text_of(piece: Piece<'_>) -> Option<Text<'_>> {
    match piece.part {
        Part::Text(text) => Some(text),
        _ => None,
    }
}

/// Texts as one.
pub(crate) fn joined<'a>(mut texts: Vec<Text<'a>>, between: &str) -> Text<'a> {
    if texts.len() == 1 { texts.remove(0) } else { texts.join(between).into() }
}

fn user_turn<'a>(
    pieces: Vec<Piece<'a>>,
    messages: &mut Vec<Json<'a>>,
    losses: &mut Losses,
) -> Result<(), Refused> {
    let (mut answered, mut content) = (Vec::new(), Vec::new());
    for piece in pieces {
        match piece.part {
            Part::Answer(answer) => messages.push(tool_message(answer, &mut answered, losses)?),
            Part::Text(text) => content.push(object! { "type": "text", "text": text }.into()),
            Part::Media(media) => content.push(medium(media, losses)?),
            Part::Thinking(_) | Part::Call(_) => {}
        }
    }
    answered.append(&mut content);
    push_user(answered, messages);
    Ok(())
}

fn push_user<'a>(mut content: Vec<Json<'a>>, messages: &mut Vec<Json<'a>>) {
    let single = content.len() == 1 && content[0].text("type") == Some("text");
    let content = match content.pop() {
        None => return,
        Some(Json::Object(mut part)) if single => part.take("text").unwrap_or_default(),
        Some(last) => {
            content.push(last);
            Json::Array(content)
        }
    };
    messages.push(object! { "role": "user", "content": content }.into());
}

/// A tool's answer; its media, which this dialect has no place for there, go to `beside`.
fn tool_message<'a>(
    answer: ToolAnswer<'a>,
    beside: &mut Vec<Json<'a>>,
    losses: &mut Losses,
) -> Result<Json<'a>, Refused> {
    if answer.is_error {
        losses.declare(Feature::ToolError)?;
    }
    let mut texts = Vec::new();
    for piece in answer.pieces {
        match piece.part {
            Part::Text(text) => texts.push(text),
            Part::Media(media) => {
                losses.declare(Feature::ToolMedia)?;
                beside.push(medium(media, losses)?);
            }
            _ => {}
        }
    }
    let content = joined(texts, "\n");
    Ok(object! { "role": "tool", "tool_call_id": answer.id, "content": content }.into())
}

fn assistant<'a>(
    pieces: Vec<Piece<'a>>,
    custom: bool,
    messages: &mut Vec<Json<'a>>,
    losses: &mut Losses,
) -> Result<(), Refused> {
    let (mut texts, mut calls, mut signature) = (Vec::new(), Vec::new(), None);
    for piece in pieces {
        match piece.part {
            Part::Text(text) => texts.push(text),
            Part::Call(call) => calls.push(call_json(call, custom, signature.take())),
            Part::Thinking(thinking) => match thinking.seal {
                // Google's own endpoint of this dialect takes them back.
                Some(seal) if seal.origin == Dialect::Gemini => signature = Some(write_events::owned(&seal)),
                Some(_) => losses.declare(Feature::ForeignThoughts)?,
                None => losses.declare(Feature::UnsealedThoughts)?,
            },
            Part::Media(_) | Part::Answer(_) => {}
        }
    }
    if texts.is_empty() && calls.is_empty() {
        return Ok(());
    }
    let content = if texts.is_empty() { Json::Null } else { Json::String(joined(texts, "")) };
    let calls = (!calls.is_empty()).then_some(calls);
    messages.push(object! { "role": "assistant", "content": content, "tool_calls": calls }.into());
    Ok(())
}

fn call_json<'a>(mut call: Call<'a>, custom: bool, signature: Option<Seal<'static>>) -> Json<'a> {
    if call.is_custom && !custom {
        call.arguments = Json::from(object! { "input": call.arguments }).to_text().into();
        call.is_custom = false;
    }
    let arguments: Text<'a> =
        if call.arguments.trim().is_empty() && !call.is_custom { "{}".into() } else { call.arguments };
    let (kind, of) = if call.is_custom {
        ("custom", object! { "name": call.name, "input": arguments })
    } else {
        ("function", object! { "name": call.name, "arguments": arguments })
    };
    let mut written = object! { "id": call.id, "type": kind };
    written.put(kind, of);
    written.put("extra_content", signature.map(|seal| answer::extra(&seal).into_owned()));
    written.into()
}

fn medium<'a>(media: Media<'a>, losses: &mut Losses) -> Result<Json<'a>, Refused> {
    Ok(match media.kind {
        Kind::Image => {
            let url = media::to_url(&media).into_owned();
            object! { "type": "image_url", "image_url": object! { "url": url } }.into()
        }
        Kind::Audio => {
            losses.declare(Feature::Audio)?;
            let format = media::mime(&media).rsplit('/').next().unwrap_or("wav").replace("mpeg", "mp3");
            let Source::Base64(data) = media.source else {
                return Err(Refused::malformed("sound by address cannot be carried"));
            };
            object! { "type": "input_audio", "input_audio": object! { "data": data, "format": format } }
                .into()
        }
        Kind::Document => match media.source {
            Source::Plain(text) => object! { "type": "text", "text": text }.into(),
            Source::Url(_) => {
                losses.declare(Feature::RemoteDocuments)?;
                return Err(Refused::malformed("documents by address cannot be carried"));
            }
            Source::Base64(_) => {
                let url = media::to_url(&media).into_owned();
                let name = media.name.unwrap_or_else(|| "document.pdf".into());
                object! { "type": "file", "file": object! { "filename": name, "file_data": url } }.into()
            }
        },
    })
}

fn tools<'a>(request: &mut Request<'a>, custom: bool) -> Option<Vec<Json<'a>>> {
    let mut tools: Vec<Json<'a>> = Vec::with_capacity(request.tools.len());
    for tool in std::mem::take(&mut request.tools) {
        let Tool { name, description, schema, strict, is_custom, .. } = tool;
        let description = description.filter(|text| !text.is_empty());
        let schema = if is_custom { Some(schema::of_custom()) } else { schema };
        if is_custom && custom {
            let of = object! { "name": name, "description": description };
            tools.push(object! { "type": "custom", "custom": of }.into());
            continue;
        }
        let of = object! {
            "name": name,
            "description": description,
            "parameters": schema.unwrap_or_else(schema::of_nothing),
            "strict": strict,
        };
        tools.push(object! { "type": "function", "function": of }.into());
    }
    (!tools.is_empty()).then_some(tools)
}

fn choice(choice: Choice<'_>) -> Json<'_> {
    match choice {
        Choice::Auto => "auto".into(),
        Choice::None => "none".into(),
        Choice::Any => "required".into(),
        Choice::Tool(name) => object! { "type": "function", "function": object! { "name": name } }.into(),
    }
}

fn format(format: Format<'_>) -> Option<Object<'_>> {
    match format {
        Format::Text => None,
        Format::Json => Some(object! { "type": "json_object" }),
        schema => Some(object! { "type": "json_schema", "json_schema": schema_object(schema)? }),
    }
}

/// A schema with its name, as OpenAI's dialects tell it; none where the format is no schema.
pub(crate) fn schema_object(format: Format<'_>) -> Option<Object<'_>> {
    let Format::Schema { name, description, schema, strict } = format else { return None };
    let strict = strict.unwrap_or_else(|| schema::is_strict(&schema));
    let name = name.unwrap_or_else(|| "answer".into());
    Some(object! { "name": name, "description": description, "schema": schema, "strict": strict })
}
