//! Writes Responses requests. Nothing is stored at the provider, so that encrypted thoughts are asked for and travel
//! through the client.

use dialects::Dialect;

use super::items;
use crate::{
    Target,
    json::{Json, object},
    loss::{Feature, Losses, Refused},
    media, models,
    neutral::{
        Call, Choice, Format, Kind, Media, Part, Piece, Request, Role, Source, Text, Tool, ToolAnswer, Turn,
    },
    openai_chat::write_request::{effort, joined, sampling, schema_object, text_of, user},
    schema,
};

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
    if !request.stop.is_empty() {
        losses.declare(Feature::StopSequences)?;
    }
    if request.sampling.seed.is_some() {
        losses.declare(Feature::Seed)?;
    }
    if request.sampling.frequency_penalty.is_some() || request.sampling.presence_penalty.is_some() {
        losses.declare(Feature::Penalties)?;
    }
    let (instructions, input) = input(std::mem::take(&mut request.turns), losses)?;
    let max = models::capped(target.model, request.max_output, losses)?;
    let (temperature, top_p) = sampling(&request, model.thinks, losses)?;
    let effort = effort(&request, &model, losses)?;
    let shown = request.reasoning.is_some_and(|reasoning| reasoning.shown != Some(false));
    let summary = (model.thinks && shown).then_some("auto");
    let reasoning = object! { "effort": effort, "summary": summary };
    let include = model.thinks.then(|| vec![Json::from("reasoning.encrypted_content")]);
    let format = format(std::mem::take(&mut request.format));
    let tools = tools(&mut request);
    let has_tools = tools.is_some();
    Ok(object! {
        "model": target.model,
        "instructions": instructions,
        "input": input,
        "tools": tools,
        "tool_choice": request.choice.take().filter(|_| has_tools).map(choice),
        "parallel_tool_calls": request.parallel.filter(|_| has_tools),
        "max_output_tokens": max,
        "temperature": temperature,
        "top_p": top_p,
        "reasoning": (!reasoning.is_empty()).then_some(reasoning),
        "text": format.map(|format| object! { "format": format }),
        "user": request.user.take().map(user),
        "prompt_cache_key": request.cache_key.take(),
        "store": false,
        "include": include,
        "stream": request.stream.then_some(true),
    }
    .into())
}

/// Instructions that stand before all else, and the items.
type Input<'a> = (Option<Text<'a>>, Vec<Json<'a>>);

fn input<'a>(turns: Vec<Turn<'a>>, losses: &mut Losses) -> Result<Input<'a>, Refused> {
    let (mut instructions, mut items) = (Vec::new(), Vec::new());
    let mut last = Role::User;
    for turn in turns {
        last = turn.role;
        match turn.role {
            Role::System => {
                let texts = turn.pieces.into_iter().filter_map(text_of).filter(|text| !text.is_empty());
                if items.is_empty() {
                    instructions.extend(texts);
                    continue;
                }
                let content = texts.map(|text| object! { "type": "input_text", "text": text }.into());
                let content: Vec<Json<'a>> = content.collect();
                if !content.is_empty() {
                    items.push(items::message("developer", content));
                }
            }
            Role::User => user_turn(turn.pieces, &mut items, losses)?,
            Role::Assistant => assistant(turn.pieces, &mut items, losses)?,
        }
    }
    if last == Role::Assistant {
        losses.declare(Feature::LastTurn)?;
    }
    if items.is_empty() && !instructions.is_empty() {
        // Instructions alone: they are what is asked.
        let text = joined(std::mem::take(&mut instructions), "\n\n");
        items.push(items::message("developer", vec![object! { "type": "input_text", "text": text }.into()]));
    }
    let instructions = (!instructions.is_empty()).then(|| joined(instructions, "\n\n"));
    Ok((instructions, items))
}

fn user_turn<'a>(
    pieces: Vec<Piece<'a>>,
    items: &mut Vec<Json<'a>>,
    losses: &mut Losses,
) -> Result<(), Refused> {
    let mut content = Vec::new();
    for piece in pieces {
        match piece.part {
            Part::Answer(answer) => items.push(output(answer, losses)?),
            Part::Text(text) => content.push(object! { "type": "input_text", "text": text }.into()),
            Part::Media(media) => content.push(medium(media, losses)?),
            Part::Thinking(_) | Part::Call(_) => {}
        }
    }
    if !content.is_empty() {
        items.push(items::message("user", content));
    }
    Ok(())
}

fn output<'a>(answer: ToolAnswer<'a>, losses: &mut Losses) -> Result<Json<'a>, Refused> {
    if answer.is_error {
        losses.declare(Feature::ToolError)?;
    }
    let kind = if answer.is_custom { "custom_tool_call_output" } else { "function_call_output" };
    let mut pieces = answer.pieces;
    let output = if pieces.iter().all(|piece| matches!(piece.part, Part::Text(_))) && pieces.len() < 2 {
        Json::String(pieces.pop().and_then(text_of).unwrap_or_default())
    } else {
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece.part {
                Part::Text(text) => parts.push(object! { "type": "input_text", "text": text }.into()),
                Part::Media(media) => parts.push(medium(media, losses)?),
                _ => {}
            }
        }
        Json::Array(parts)
    };
    Ok(object! { "type": kind, "call_id": answer.id, "output": output }.into())
}

fn assistant<'a>(
    pieces: Vec<Piece<'a>>,
    items: &mut Vec<Json<'a>>,
    losses: &mut Losses,
) -> Result<(), Refused> {
    for piece in pieces {
        match piece.part {
            Part::Text(text) if text.is_empty() => {}
            Part::Text(text) => {
                let part = object! { "type": "output_text", "text": text };
                items.push(items::message("assistant", vec![part.into()]));
            }
            Part::Thinking(thinking) => match thinking.seal {
                Some(seal) if seal.origin == Dialect::OpenaiResponses => {
                    let summary = items::summary(thinking.text);
                    let id = Some(seal.tag).filter(|tag| !tag.is_empty());
                    items.push(
                        object! {
                            "type": "reasoning",
                            "id": id,
                            "summary": summary,
                            "encrypted_content": seal.value,
                        }
                        .into(),
                    );
                }
                Some(_) => losses.declare(Feature::ForeignThoughts)?,
                None => losses.declare(Feature::UnsealedThoughts)?,
            },
            Part::Call(call) => items.push(call_item(call)),
            Part::Media(_) | Part::Answer(_) => {}
        }
    }
    Ok(())
}

fn call_item(call: Call<'_>) -> Json<'_> {
    let Call { id, name, arguments, is_custom, .. } = call;
    if is_custom {
        return object! { "type": "custom_tool_call", "call_id": id, "name": name, "input": arguments }
            .into();
    }
    let arguments = if arguments.trim().is_empty() { "{}".into() } else { arguments };
    object! { "type": "function_call", "call_id": id, "name": name, "arguments": arguments }.into()
}

fn medium<'a>(media: Media<'a>, losses: &mut Losses) -> Result<Json<'a>, Refused> {
    Ok(match media.kind {
        Kind::Image => {
            let url = media::to_url(&media).into_owned();
            object! { "type": "input_image", "image_url": url, "detail": "auto" }.into()
        }
        Kind::Audio => {
            losses.declare(Feature::Audio)?;
            return Err(Refused::malformed("sound cannot be carried"));
        }
        Kind::Document => match media.source {
            Source::Plain(text) => object! { "type": "input_text", "text": text }.into(),
            Source::Url(url) => object! { "type": "input_file", "file_url": url }.into(),
            Source::Base64(_) => {
                let data = media::to_url(&media).into_owned();
                let name = media.name.unwrap_or_else(|| "document.pdf".into());
                object! { "type": "input_file", "filename": name, "file_data": data }.into()
            }
        },
    })
}

fn tools<'a>(request: &mut Request<'a>) -> Option<Vec<Json<'a>>> {
    let tools = std::mem::take(&mut request.tools).into_iter().map(|tool| {
        let Tool { name, description, schema, strict, is_custom, .. } = tool;
        let description = description.filter(|text| !text.is_empty());
        if is_custom {
            return object! { "type": "custom", "name": name, "description": description }.into();
        }
        // Where nothing is said this API takes a schema to be strict, and most are not.
        object! {
            "type": "function",
            "name": name,
            "description": description,
            "parameters": schema.unwrap_or_else(schema::of_nothing),
            "strict": strict.unwrap_or(false),
        }
        .into()
    });
    let tools: Vec<Json<'a>> = tools.collect();
    (!tools.is_empty()).then_some(tools)
}

fn choice(choice: Choice<'_>) -> Json<'_> {
    match choice {
        Choice::Auto => "auto".into(),
        Choice::None => "none".into(),
        Choice::Any => "required".into(),
        Choice::Tool(name) => object! { "type": "function", "name": name }.into(),
    }
}

fn format(format: Format<'_>) -> Option<Json<'_>> {
    match format {
        Format::Text => None,
        Format::Json => Some(object! { "type": "json_object" }.into()),
        schema => {
            let mut of = schema_object(schema)?;
            of.0.insert(0, ("type".into(), "json_schema".into()));
            Some(of.into())
        }
    }
}
