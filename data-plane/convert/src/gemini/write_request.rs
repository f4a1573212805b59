//! Writes generateContent requests. Model and streaming are told by the path, not by the body.

use std::collections::HashMap;

use dialects::Dialect;

use crate::{
    Target,
    anthropic::write_request::input,
    json::{Json, Object, object},
    loss::{Feature, Losses, Refused},
    media, models,
    names::MADE_UP,
    neutral::{
        Call, Choice, Effort, Format, Kind, Media, Part, Piece, Request, Role, Source, Text, Tool, ToolAnswer,
    },
    schema, turns,
};

/// What Google documents for calls that its models did not make, or whose signature the client did not keep.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Writes a request's body.
///
/// # Errors
/// It asks for what cannot be carried.
pub(crate) fn write<'a>(
    mut request: Request<'a>,
    target: &Target<'a>,
    losses: &mut Losses,
) -> Result<Json<'a>, Refused> {
    if request.user.is_some() {
        losses.declare(Feature::User)?;
    }
    let dialogue = turns::dialogue(std::mem::take(&mut request.turns), losses)?;
    let mut writer = Writer {
        names: dialogue.turns.iter().flat_map(|turn| &turn.pieces).filter_map(called).collect(),
        signs: models::gemini_levels(target.model),
        pending: None,
        losses,
    };
    let mut contents = Vec::with_capacity(dialogue.turns.len());
    for turn in dialogue.turns {
        let role = if turn.role == Role::Assistant { "model" } else { "user" };
        let parts = writer.parts(turn.pieces, role)?;
        if !parts.is_empty() {
            contents.push(object! { "role": role, "parts": parts }.into());
        }
    }
    let system = dialogue.system.into_iter().filter_map(|piece| match piece.part {
        Part::Text(text) => Some(object! { "text": text }.into()),
        _ => None,
    });
    let system: Vec<Json<'a>> = system.collect();
    let (tools, config) = tools(&mut request, losses)?;
    let generation = generation(&mut request, target, losses)?;
    Ok(object! {
        "systemInstruction": (!system.is_empty()).then(|| object! { "parts": system }),
        "contents": Json::Array(contents),
        "tools": tools,
        "toolConfig": config,
        "generationConfig": (!generation.is_empty()).then_some(generation),
    }
    .into())
}

/// A call's name by its id: this dialect's answers name the tool.
fn called(piece: &Piece<'_>) -> Option<(String, String)> {
    match &piece.part {
        Part::Call(call) => Some((call.id.to_string(), call.name.to_string())),
        _ => None,
    }
}

struct Writer<'l> {
    names: HashMap<String, String>,
    /// Whether the model refuses calls without a signature.
    signs: bool,
    /// A signature that waits for the part that it is of.
    pending: Option<String>,
    losses: &'l mut Losses,
}

impl Writer<'_> {
    fn parts<'a>(&mut self, pieces: Vec<Piece<'a>>, role: &str) -> Result<Vec<Json<'a>>, Refused> {
        let mut parts: Vec<Json<'a>> = Vec::with_capacity(pieces.len());
        let mut unsigned = self.signs;
        for piece in pieces {
            match piece.part {
                Part::Text(text) => parts.push(self.signed(object! { "text": text })),
                Part::Media(media) => parts.push(medium(media, self.losses)?.into()),
                Part::Thinking(thinking) => match thinking.seal {
                    Some(seal) if seal.origin == Dialect::Gemini => {
                        self.pending = Some(seal.value.into_owned());
                    }
                    Some(_) => self.losses.declare(Feature::ForeignThoughts)?,
                    None => self.losses.declare(Feature::UnsealedThoughts)?,
                },
                Part::Call(call) => {
                    let args = input(&call, self.losses)?;
                    let Call { id, name, .. } = call;
                    // The first call of a step carries the signature of all.
                    if std::mem::replace(&mut unsigned, false) && self.pending.is_none() {
                        self.pending = Some(NO_SIGNATURE.to_owned());
                    }
                    let call = object! { "id": sent(id), "name": name, "args": args };
                    parts.push(self.signed(object! { "functionCall": call }));
                }
                Part::Answer(answer) => {
                    let (answer, media) = self.answer(answer)?;
                    parts.push(answer);
                    if !media.is_empty() {
                        self.losses.declare(Feature::ToolMedia)?;
                    }
                    for media in media {
                        parts.push(medium(media, self.losses)?.into());
                    }
                }
            }
        }
        if let Some(signature) = self.pending.take().filter(|_| role == "model") {
            parts.push(object! { "text": "", "thoughtSignature": signature }.into());
        }
        // Answers stand before media that came with them.
        parts.sort_by_key(|part| part.get("functionResponse").is_none() && role == "user");
        Ok(parts)
    }

    fn signed<'a>(&mut self, mut part: Object<'a>) -> Json<'a> {
        part.put("thoughtSignature", self.pending.take());
        part.into()
    }

    fn answer<'a>(&self, answer: ToolAnswer<'a>) -> Result<(Json<'a>, Vec<Media<'a>>), Refused> {
        let (mut texts, mut media) = (Vec::new(), Vec::new());
        for piece in answer.pieces {
            match piece.part {
                Part::Text(text) => texts.push(text),
                Part::Media(medium) => media.push(medium),
                _ => {}
            }
        }
        let text: Text<'a> = if texts.len() == 1 { texts.remove(0) } else { texts.join("\n").into() };
        let name: Text<'a> = match self.names.get(answer.id.as_ref()) {
            _ if !answer.name.is_empty() => answer.name,
            Some(name) => name.clone().into(),
            None => return Err(Refused::malformed("a tool's answer names no call of the conversation")),
        };
        let response = if answer.is_error {
            object! { "error": text }
        } else {
            object! { "output": text }
        };
        let response = object! { "id": sent(answer.id), "name": name, "response": response };
        Ok((object! { "functionResponse": response }.into(), media))
    }
}

/// An id, unless it was made up for an answer that had none.
fn sent(id: Text<'_>) -> Option<Text<'_>> {
    (!id.is_empty() && !id.starts_with(MADE_UP)).then_some(id)
}

fn medium<'a>(media: Media<'a>, losses: &mut Losses) -> Result<Object<'a>, Refused> {
    if media.kind == Kind::Audio {
        losses.declare(Feature::Audio)?;
    }
    let mime = media::mime(&media).to_owned();
    Ok(match media.source {
        Source::Url(uri) => object! { "fileData": object! { "mimeType": mime, "fileUri": uri } },
        Source::Base64(data) => object! { "inlineData": object! { "mimeType": mime, "data": data } },
        Source::Plain(text) => {
            let data = media::encoded(text.as_bytes());
            object! { "inlineData": object! { "mimeType": mime, "data": data } }
        }
    })
}

type Told<'a> = (Option<Vec<Json<'a>>>, Option<Object<'a>>);

fn tools<'a>(request: &mut Request<'a>, losses: &mut Losses) -> Result<Told<'a>, Refused> {
    if request.tools.is_empty() {
        return Ok((None, None));
    }
    if request.parallel == Some(false) {
        losses.declare(Feature::ParallelTools)?;
    }
    let mut declarations = Vec::with_capacity(request.tools.len());
    for tool in std::mem::take(&mut request.tools) {
        let Tool { name, description, schema, strict, is_custom, cache } = tool;
        if strict == Some(true) {
            losses.declare(Feature::StrictTools)?;
        }
        if cache.is_some() {
            losses.declare(Feature::CacheControl)?;
        }
        let schema = if is_custom { Some(schema::of_custom()) } else { schema };
        // A function without parameters has no schema: an empty object is refused by some models.
        let schema = schema.filter(has_properties).map(schema::for_gemini);
        if schema.as_ref().is_some_and(|(_, lost)| *lost) {
            losses.declare(Feature::SchemaKeywords)?;
        }
        let declaration = object! {
            "name": name,
            "description": description.filter(|text| !text.is_empty()),
            "parametersJsonSchema": schema.map(|(schema, _)| schema),
        };
        declarations.push(declaration.into());
    }
    let config = request.choice.take().map(|choice| {
        let (mode, allowed) = match choice {
            Choice::Auto => ("AUTO", None),
            Choice::None => ("NONE", None),
            Choice::Any => ("ANY", None),
            Choice::Tool(name) => ("ANY", Some(vec![Json::String(name)])),
        };
        object! { "functionCallingConfig": object! { "mode": mode, "allowedFunctionNames": allowed } }
    });
    let tools = vec![object! { "functionDeclarations": declarations }.into()];
    Ok((Some(tools), config))
}

fn has_properties(schema: &Json<'_>) -> bool {
    match schema {
        Json::Object(object) => match object.get("properties") {
            Some(Json::Object(properties)) => !properties.is_empty(),
            _ => object.0.len() > 1,
        },
        _ => false,
    }
}

fn generation<'a>(
    request: &mut Request<'a>,
    target: &Target<'a>,
    losses: &mut Losses,
) -> Result<Object<'a>, Refused> {
    if request.stop.len() > 5 {
        losses.declare(Feature::ManyStopSequences)?;
    }
    let stop: Vec<Json<'a>> = std::mem::take(&mut request.stop).into_iter().map(Json::from).collect();
    let (mime, schema) = match std::mem::take(&mut request.format) {
        Format::Text => (None, None),
        Format::Json => (Some("application/json"), None),
        Format::Schema { schema, .. } => {
            let (schema, lost) = schema::for_gemini(schema);
            if lost {
                losses.declare(Feature::SchemaKeywords)?;
            }
            (Some("application/json"), Some(schema))
        }
    };
    let sampling = request.sampling;
    Ok(object! {
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k.filter(|top_k| *top_k > 0),
        "seed": sampling.seed,
        "presencePenalty": sampling.presence_penalty,
        "frequencyPenalty": sampling.frequency_penalty,
        "maxOutputTokens": models::capped(target.model, request.max_output, losses)?,
        "stopSequences": (!stop.is_empty()).then_some(stop),
        "responseMimeType": mime,
        "responseJsonSchema": schema,
        "thinkingConfig": thinking(request, target, losses)?,
    })
}

fn thinking(
    request: &Request<'_>,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Option<Object<'static>>, Refused> {
    let Some(wanted) = request.reasoning.filter(|_| models::gemini_thinks(target.model)) else {
        return Ok(None);
    };
    let off = wanted.effort == Some(Effort::None) || wanted.budget == Some(0);
    let shown = wanted.shown.unwrap_or(true) && !off;
    let said = wanted.effort.is_some() || wanted.budget.is_some();
    if models::gemini_levels(target.model) {
        if wanted.budget.is_some() {
            losses.declare(Feature::ThinkingBudget)?;
        }
        let level = match wanted.effort.or_else(|| wanted.budget.map(models::effort_of)) {
            None => None,
            Some(Effort::High | Effort::Max) => Some("high"),
            // Not every model of the family knows a level between.
            Some(Effort::Medium) if target.model.contains("flash") => Some("medium"),
            Some(Effort::Medium) => Some("high"),
            Some(Effort::None | Effort::Minimal) if target.model.contains("flash") => Some("minimal"),
            Some(_) => Some("low"),
        };
        if said {
            losses.declare(Feature::Effort)?;
        }
        return Ok(Some(object! { "thinkingLevel": level, "includeThoughts": shown }));
    }
    let budget = wanted.budget.or_else(|| wanted.effort.map(models::budget_of));
    if wanted.effort.is_some() && wanted.budget.is_none() {
        losses.declare(Feature::Effort)?;
    }
    // The larger models cannot be told not to think.
    let least = if target.model.contains("pro") { 128 } else { 0 };
    let budget = budget.map(|budget| budget.clamp(least, 24_576));
    Ok(Some(object! { "thinkingBudget": budget, "includeThoughts": shown }))
}
