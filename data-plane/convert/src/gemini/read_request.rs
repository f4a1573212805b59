//! Reads generateContent requests. Some clients write snake_case into the dialect's camelCase: both are read.

use std::collections::VecDeque;

use dialects::Dialect;

use crate::{
    json::{Json, Object},
    loss::{Feature, Losses, Refused},
    media,
    neutral::{
        Call, Choice, Effort, Format, Kind, Media, Part, Piece, Reasoning, Request, Role, Source, Text,
        Thinking, Tool, ToolAnswer, Turn,
    },
    openai, seal,
};

/// Reads a request's body. Whether to stream is told by the path.
///
/// # Errors
/// The body is not one, or asks for what cannot be carried.
pub(crate) fn read<'a>(body: Object<'a>, losses: &mut Losses) -> Result<Request<'a>, Refused> {
    let mut body = enveloped(body);
    let mut request = Request { stream_usage: true, ..Request::default() };
    if let Some(system) = body.take_either("systemInstruction", "system_instruction") {
        let parts = match system {
            Json::String(text) => vec![Part::Text(text).piece()],
            system => texts(system.into_object()),
        };
        request.turns.push(Turn::new(Role::System, parts));
    }
    let contents = match body.take("contents") {
        Some(Json::Array(contents)) => contents,
        Some(one @ Json::Object(_)) => vec![one],
        _ => return Err(Refused::malformed("`contents` must be an array")),
    };
    let mut ids = Ids::default();
    for content in contents {
        let mut content = content.into_object();
        let role = if content.text("role") == Some("model") { Role::Assistant } else { Role::User };
        let mut pieces = Vec::new();
        for part in content.take("parts").map(Json::into_elements).unwrap_or_default() {
            self::part(part.into_object(), &mut pieces, &mut ids, losses)?;
        }
        request.turns.push(Turn::new(role, pieces));
    }
    tools(&mut body, &mut request, losses)?;
    if let Some(config) = body.take_either("generationConfig", "generation_config") {
        generation(config.into_object(), &mut request, losses)?;
    }
    for (camel, snake, feature) in [
        ("safetySettings", "safety_settings", Feature::Safety),
        ("cachedContent", "cached_content", Feature::CachedContent),
        ("labels", "labels", Feature::Metadata),
    ] {
        if body.take_either(camel, snake).is_some() {
            losses.declare(feature)?;
        }
    }
    body.take("model");
    openai::rest(&body, losses);
    Ok(request)
}

/// Requests of the internal API stand in an envelope.
fn enveloped(mut body: Object<'_>) -> Object<'_> {
    match body.take("request") {
        Some(Json::Object(inner)) if body.get("contents").is_none() => inner,
        _ => body,
    }
}

fn texts(mut content: Object<'_>) -> Vec<Piece<'_>> {
    let parts = content.take("parts");
    let parts = match parts {
        Some(one @ Json::Object(_)) => vec![one],
        parts => parts.map(Json::into_elements).unwrap_or_default(),
    };
    let texts = parts.into_iter().filter_map(|part| part.into_object().take_text("text"));
    texts.map(|text| Part::Text(text).piece()).collect()
}

/// Ids of calls: where the dialect's own are left out they are made up by place, and answers find theirs by name.
#[derive(Default)]
struct Ids {
    made: u32,
    open: VecDeque<(String, String)>,
}

impl Ids {
    fn call<'a>(&mut self, id: Option<Text<'a>>, name: &str) -> Text<'a> {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| {
            self.made += 1;
            format!("call_{}", self.made).into()
        });
        self.open.push_back((id.to_string(), name.to_owned()));
        id
    }

    fn answer<'a>(&mut self, id: Option<Text<'a>>, name: &str) -> Text<'a> {
        let id = id.filter(|id| !id.is_empty());
        let at = self.open.iter().position(|(open, of)| match &id {
            Some(id) => open == id,
            None => of == name,
        });
        let found = at.and_then(|at| self.open.remove(at));
        id.or(found.map(|(id, _)| id.into())).unwrap_or_default()
    }
}

fn part<'a>(
    mut part: Object<'a>,
    pieces: &mut Vec<Piece<'a>>,
    ids: &mut Ids,
    losses: &mut Losses,
) -> Result<(), Refused> {
    let signature = part.take_either("thoughtSignature", "thought_signature").and_then(Json::into_text);
    let seal = signature.filter(|value| value != "skip_thought_signature_validator");
    let seal = seal.map(|value| seal::read(value, Text::default(), Dialect::Gemini));
    let thought = part.take("thought").and_then(|thought| thought.as_bool()).unwrap_or(false);
    let text = part.take_text("text");
    if thought {
        pieces.push(Part::Thinking(Thinking { text: text.unwrap_or_default(), seal }).piece());
        return Ok(());
    }
    if let Some(seal) = seal {
        match pieces.last_mut().map(|piece| &mut piece.part) {
            Some(Part::Thinking(thinking)) if thinking.seal.is_none() => thinking.seal = Some(seal),
            _ => pieces.push(Part::Thinking(Thinking { text: Text::default(), seal: Some(seal) }).piece()),
        }
    }
    if let Some(text) = text {
        pieces.push(Part::Text(text).piece());
    }
    if let Some(mut inline) = part.take_either("inlineData", "inline_data").map(Json::into_object) {
        let mime = mime(&mut inline);
        let data = media::standard_base64(inline.take_text("data").unwrap_or_default());
        pieces.push(Part::Media(medium(mime, Source::Base64(data), &mut inline, losses)?).piece());
    }
    if let Some(mut file) = part.take_either("fileData", "file_data").map(Json::into_object) {
        let mime = mime(&mut file);
        let uri = file.take_either("fileUri", "file_uri").and_then(Json::into_text).unwrap_or_default();
        if uri.starts_with("gs:") || uri.contains("generativelanguage.googleapis.com") {
            losses.declare(Feature::FileIds)?;
        }
        pieces.push(Part::Media(medium(mime, Source::Url(uri), &mut file, losses)?).piece());
    }
    if let Some(mut call) = part.take_either("functionCall", "function_call").map(Json::into_object) {
        let name = call.take_text("name").unwrap_or_default();
        let id = ids.call(call.take_text("id"), &name);
        let arguments = call.take("args").unwrap_or(Json::Object(Object::default())).to_text().into();
        pieces.push(Part::Call(Call { id, name, namespace: None, arguments, is_custom: false }).piece());
    }
    if let Some(answer) = part.take_either("functionResponse", "function_response").map(Json::into_object) {
        pieces.push(self::answer(answer, ids, losses)?);
    }
    for key in ["executableCode", "codeExecutionResult", "executable_code", "code_execution_result"] {
        if part.take(key).is_some() {
            losses.declare(Feature::HistoryItems)?;
        }
    }
    Ok(())
}

fn mime<'a>(of: &mut Object<'a>) -> Text<'a> {
    of.take_either("mimeType", "mime_type").and_then(Json::into_text).unwrap_or_default()
}

fn medium<'a>(
    mime: Text<'a>,
    source: Source<'a>,
    of: &mut Object<'a>,
    losses: &mut Losses,
) -> Result<Media<'a>, Refused> {
    if mime.starts_with("video/") {
        losses.declare(Feature::Video)?;
    }
    let kind = media::kind_of(&mime, Kind::Document);
    match kind {
        Kind::Audio => losses.declare(Feature::Audio)?,
        Kind::Document if matches!(source, Source::Url(_)) => losses.declare(Feature::RemoteDocuments)?,
        _ => {}
    }
    let name = of.take_either("displayName", "display_name").and_then(Json::into_text);
    Ok(Media { kind, mime, source, name })
}

fn answer<'a>(mut answer: Object<'a>, ids: &mut Ids, losses: &mut Losses) -> Result<Piece<'a>, Refused> {
    let name = answer.take_text("name").unwrap_or_default();
    let id = ids.answer(answer.take_text("id"), &name);
    let mut response = answer.take("response").map(Json::into_object).unwrap_or_default();
    // The one or the other alone is by convention what the tool said; anything else is said as it is.
    let alone = response.0.len() == 1;
    let is_error = alone && response.get("error").is_some();
    let said = match (alone, is_error) {
        (true, true) => response.take("error"),
        (true, false) if response.get("output").is_some() => response.take("output"),
        (true, false) if response.get("result").is_some() => response.take("result"),
        _ => None,
    };
    let text = match said {
        Some(Json::String(text)) => text,
        Some(other) => other.to_text().into(),
        None => Json::Object(response).to_text().into(),
    };
    let mut pieces = vec![Part::Text(text).piece()];
    for part in answer.take("parts").map(Json::into_elements).unwrap_or_default() {
        self::part(part.into_object(), &mut pieces, ids, losses)?;
    }
    Ok(Part::Answer(ToolAnswer { id, name, pieces, is_error, is_custom: false }).piece())
}

fn tools<'a>(body: &mut Object<'a>, request: &mut Request<'a>, losses: &mut Losses) -> Result<(), Refused> {
    for tool in body.take("tools").map(Json::into_elements).unwrap_or_default() {
        let mut tool = tool.into_object();
        let declared = tool.take_either("functionDeclarations", "function_declarations");
        if !tool.is_empty() {
            losses.declare(Feature::ServerTools)?;
        }
        for declared in declared.map(Json::into_elements).unwrap_or_default() {
            let mut declared = declared.into_object();
            let name = declared.take_text("name").ok_or_else(|| Refused::malformed("a tool has no name"))?;
            let description = declared.take_text("description");
            let plain = declared.take_either("parametersJsonSchema", "parameters_json_schema");
            let schema = plain.or_else(|| declared.take("parameters").map(json_schema));
            request.tools.push(Tool {
                name,
                description,
                schema,
                strict: None,
                is_custom: false,
                cache: None,
            });
        }
    }
    let config = body.take_either("toolConfig", "tool_config").map(Json::into_object).unwrap_or_default();
    choice(config, request, losses)
}

fn choice<'a>(mut config: Object<'a>, request: &mut Request<'a>, losses: &mut Losses) -> Result<(), Refused> {
    let calling = config.take_either("functionCallingConfig", "function_calling_config");
    let Some(mut calling) = calling.map(Json::into_object) else { return Ok(()) };
    let allowed = calling.take_either("allowedFunctionNames", "allowed_function_names");
    let mut allowed = allowed.map(Json::into_elements).unwrap_or_default();
    request.choice = match calling.text("mode") {
        Some("NONE") => Some(Choice::None),
        Some("ANY") if allowed.len() == 1 => allowed.pop().and_then(Json::into_text).map(Choice::Tool),
        Some("ANY") => {
            if !allowed.is_empty() {
                losses.declare(Feature::AllowedTools)?;
                request.tools.retain(|tool| allowed.iter().any(|name| name.as_str() == Some(&tool.name)));
            }
            Some(Choice::Any)
        }
        _ => Some(Choice::Auto),
    };
    Ok(())
}

/// Google's own form of a schema as JSON Schema: its types are in capitals, `nullable` is a type.
fn json_schema(schema: Json<'_>) -> Json<'_> {
    let Json::Object(object) = schema else { return schema };
    let mut written = Object::default();
    let nullable = object.get("nullable").and_then(Json::as_bool) == Some(true);
    for (key, value) in object.0 {
        let value = match (key.as_ref(), value) {
            ("type", Json::String(name)) => {
                let name = Json::from(name.to_ascii_lowercase());
                if nullable { Json::Array(vec![name, "null".into()]) } else { name }
            }
            ("properties", Json::Object(named)) => Json::Object(Object(
                named.0.into_iter().map(|(name, schema)| (name, json_schema(schema))).collect(),
            )),
            ("items", value) => json_schema(value),
            ("anyOf" | "any_of", Json::Array(schemas)) => {
                Json::Array(schemas.into_iter().map(json_schema).collect())
            }
            ("nullable" | "propertyOrdering" | "property_ordering", _) => continue,
            // Whole numbers are written as texts by some of its clients.
            ("minItems" | "maxItems" | "minLength" | "maxLength", Json::String(number)) => {
                number.parse::<u64>().map_or(Json::String(number), Json::from)
            }
            (_, value) => value,
        };
        let key = if key == "any_of" { "anyOf".into() } else { key };
        written.put_named(key, value);
    }
    Json::Object(written)
}

fn generation<'a>(
    mut config: Object<'a>,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Refused> {
    let mut number = |camel, snake| config.take_either(camel, snake).and_then(|value| value.as_f64());
    request.sampling.temperature = number("temperature", "temperature");
    request.sampling.top_p = number("topP", "top_p");
    request.sampling.top_k = number("topK", "top_k").map(|top_k| top_k as u64);
    request.sampling.seed = number("seed", "seed").map(|seed| seed as i64);
    request.sampling.presence_penalty = number("presencePenalty", "presence_penalty").filter(|it| *it != 0.0);
    request.sampling.frequency_penalty =
        number("frequencyPenalty", "frequency_penalty").filter(|it| *it != 0.0);
    request.max_output = number("maxOutputTokens", "max_output_tokens").map(|max| max as u64);
    if number("candidateCount", "candidate_count").is_some_and(|count| count > 1.0) {
        losses.declare(Feature::Candidates)?;
    }
    let stop = config.take_either("stopSequences", "stop_sequences").map(Json::into_elements);
    request.stop = stop.unwrap_or_default().into_iter().filter_map(Json::into_text).collect();
    let mime = config.take_either("responseMimeType", "response_mime_type").and_then(Json::into_text);
    let plain = config.take_either("responseJsonSchema", "response_json_schema");
    let own = config.take_either("responseSchema", "response_schema").map(json_schema);
    request.format = match plain.or(own) {
        Some(schema) => Format::Schema { name: None, description: None, schema, strict: None },
        None if mime.as_deref() == Some("application/json") => Format::Json,
        None => Format::Text,
    };
    if let Some(thinking) = config.take_either("thinkingConfig", "thinking_config") {
        request.reasoning = Some(self::thinking(thinking.into_object()));
    }
    let modalities = config.take_either("responseModalities", "response_modalities");
    let is_text = |kind: &Json<'_>| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("text"));
    if modalities.is_some_and(|kinds| !kinds.elements().iter().all(is_text)) {
        losses.declare(Feature::AudioOutput)?;
    }
    for (camel, snake, feature) in [
        ("responseLogprobs", "response_logprobs", Feature::Logprobs),
        ("logprobs", "logprobs", Feature::Logprobs),
        ("mediaResolution", "media_resolution", Feature::Detail),
        ("speechConfig", "speech_config", Feature::AudioOutput),
    ] {
        if config.take_either(camel, snake).is_some_and(|value| value.as_bool() != Some(false)) {
            losses.declare(feature)?;
        }
    }
    openai::rest(&config, losses);
    Ok(())
}

fn thinking(mut config: Object<'_>) -> Reasoning {
    let budget = config.take_either("thinkingBudget", "thinking_budget").and_then(|value| value.as_f64());
    let level = config.take_either("thinkingLevel", "thinking_level");
    Reasoning {
        effort: level.and_then(|level| Effort::of(level.as_str()?)),
        // Minus one leaves it to the model.
        budget: budget.filter(|budget| *budget >= 0.0).map(|budget| budget as u64),
        adaptive: budget.is_some_and(|budget| budget < 0.0),
        shown: config.take_either("includeThoughts", "include_thoughts").and_then(|shown| shown.as_bool()),
    }
}
