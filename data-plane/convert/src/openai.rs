//! What OpenAI's two dialects have in common.

use crate::{
    json::{Json, Object},
    loss::{Feature, Losses, Refused},
    neutral::{Choice, Effort, Format, Reasoning, Request, Text, Tool, Usage},
    schema,
};

/// Reads the sampling parameters.
pub(crate) fn sampling(body: &mut Object<'_>, request: &mut Request<'_>) {
    let mut number = |key| body.take(key).and_then(|value| value.as_f64());
    request.sampling.temperature = number("temperature");
    request.sampling.top_p = number("top_p");
    request.sampling.frequency_penalty = number("frequency_penalty").filter(|penalty| *penalty != 0.0);
    request.sampling.presence_penalty = number("presence_penalty").filter(|penalty| *penalty != 0.0);
    request.sampling.seed = number("seed").map(|seed| seed as i64);
    request.sampling.top_k = body.take("top_k").and_then(|value| value.as_u64());
}

/// Reads the fields that both dialects name alike.
pub(crate) fn shared<'a>(
    body: &mut Object<'a>,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Refused> {
    let (user, safety) = (body.take_text("user"), body.take_text("safety_identifier"));
    request.user = safety.or(user);
    if request.user.is_some() {
        losses.declare(Feature::User)?;
    }
    request.cache_key = body.take_text("prompt_cache_key");
    if request.cache_key.is_some() {
        losses.declare(Feature::CacheKey)?;
    }
    body.take("prompt_cache_retention");
    if body.take("service_tier").is_some_and(|tier| !matches!(tier.as_str(), Some("auto" | "default"))) {
        losses.declare(Feature::ServiceTier)?;
    }
    if body.take("store").and_then(|value| value.as_bool()) == Some(true) {
        losses.declare(Feature::Store)?;
    }
    if body.take("metadata").is_some_and(|metadata| !metadata.into_object().is_empty()) {
        losses.declare(Feature::Metadata)?;
    }
    Ok(())
}

/// Declares whatever nobody took.
pub(crate) fn rest(body: &Object<'_>, losses: &mut Losses) {
    for (key, value) in &body.0 {
        if !matches!(value, Json::Null) {
            losses.unknown(key);
        }
    }
}

/// How to think: a word, and the object that gateways and the Responses API have.
pub(crate) fn reasoning(word: Option<Text<'_>>, beside: Option<Object<'_>>) -> Option<Reasoning> {
    let said = word.as_deref().or_else(|| beside.as_ref()?.text("effort"));
    let mut reasoning = Reasoning { effort: said.and_then(Effort::of), ..Reasoning::default() };
    if let Some(beside) = &beside {
        reasoning.budget = beside.get("max_tokens").and_then(Json::as_u64);
        reasoning.shown = beside.text("summary").map(|summary| summary != "none");
        if beside.get("exclude").and_then(Json::as_bool) == Some(true) {
            reasoning.shown = Some(false);
        }
    }
    (reasoning != Reasoning::default()).then_some(reasoning)
}

/// A choice told in one word.
pub(crate) fn choice_word<'a>(word: &Json<'_>) -> Option<Choice<'a>> {
    Some(match word.as_str()? {
        "none" => Choice::None,
        "required" => Choice::Any,
        _ => Choice::Auto,
    })
}

/// A choice among some of the tools: the others are not told.
pub(crate) fn allowed<'a>(
    mut allowed: Object<'a>,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<Option<Choice<'a>>, Refused> {
    losses.declare(Feature::AllowedTools)?;
    let named = allowed.take("tools").map(Json::into_elements).unwrap_or_default();
    let name_of = |tool: &Json<'a>| {
        let of = tool.get("function").or_else(|| tool.get("custom")).unwrap_or(tool);
        of.text("name").map(str::to_owned)
    };
    let names: Vec<String> = named.iter().filter_map(name_of).collect();
    request.tools.retain(|tool: &Tool<'_>| names.iter().any(|name| *name == tool.name));
    Ok(Some(if allowed.text("mode") == Some("required") { Choice::Any } else { Choice::Auto }))
}

/// A format by schema.
pub(crate) fn schema_format(mut of: Object<'_>) -> Format<'_> {
    Format::Schema {
        name: of.take_text("name"),
        description: of.take_text("description"),
        schema: of.take("schema").unwrap_or_else(schema::of_nothing),
        strict: of.take("strict").and_then(|strict| strict.as_bool()),
    }
}

/// A custom tool's description with its grammar.
pub(crate) fn custom_description<'a>(description: Option<Text<'a>>, format: &Json<'_>) -> Text<'a> {
    let of = format.get("grammar").unwrap_or(format);
    let Some(definition) = of.text("definition") else { return description.unwrap_or_default() };
    let syntax = of.text("syntax").unwrap_or("text");
    let description = description.unwrap_or_default();
    format!("{description}\n\nThe input must follow this {syntax} grammar:\n{definition}").into()
}

/// Reads usage in the words of Chat (`prompt_tokens`) or of Responses (`input_tokens`).
pub(crate) fn usage(usage: &Json<'_>) -> Usage {
    let number = |of: Option<&Json<'_>>, key: &str| of.and_then(|of| of.get(key)?.as_u64()).unwrap_or(0);
    let both = |one, other| number(Some(usage), one).max(number(Some(usage), other));
    let details = usage.get("prompt_tokens_details").or_else(|| usage.get("input_tokens_details"));
    let out = usage.get("completion_tokens_details").or_else(|| usage.get("output_tokens_details"));
    let prompt = both("prompt_tokens", "input_tokens");
    let cache_read = number(details, "cached_tokens").min(prompt);
    let cache_write = number(details, "cache_creation_tokens").min(prompt - cache_read);
    let output = both("completion_tokens", "output_tokens");
    Usage {
        input: prompt - cache_read - cache_write,
        cache_read,
        cache_write,
        cache_write_long: 0,
        output,
        reasoning: number(out, "reasoning_tokens").min(output),
    }
}
