//! Reads the tools of Responses requests: functions, tools that take any text, and name spaces of both.

use crate::{
    json::{Json, Object},
    loss::{Feature, Losses, Refused},
    neutral::{Choice, Request, Spaced, Tool},
    openai::{self, custom_description},
};

/// Reads tools and the choice among them.
pub(crate) fn tools<'a>(
    body: &mut Object<'a>,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Refused> {
    add(body.take("tools").map(Json::into_elements).unwrap_or_default(), request, losses)?;
    request.parallel = body.take("parallel_tool_calls").and_then(|parallel| parallel.as_bool());
    body.take("max_tool_calls");
    let choice = body.take("tool_choice");
    request.choice = match choice {
        Some(Json::Object(choice)) if choice.text("type") == Some("allowed_tools") => {
            openai::allowed(choice, request, losses)?
        }
        Some(Json::Object(mut choice)) => match choice.text("type") {
            Some("function" | "custom") => choice.take_text("name").map(Choice::Tool),
            _ => {
                losses.declare(Feature::ServerTools)?;
                None
            }
        },
        Some(word) => openai::choice_word(&word),
        None => None,
    };
    Ok(())
}

/// Adds tools to a request.
pub(crate) fn add<'a>(
    tools: Vec<Json<'a>>,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Refused> {
    for tool in tools {
        let mut tool = tool.into_object();
        if tool.text("type") != Some("namespace") {
            self::tool(tool, None, request, losses)?;
            continue;
        }
        let space = tool.take_text("name").unwrap_or_default();
        let about = tool.take_text("description");
        for inner in tool.take("tools").map(Json::into_elements).unwrap_or_default() {
            self::tool(inner.into_object(), Some((&space, about.as_deref())), request, losses)?;
        }
    }
    Ok(())
}

fn tool<'a>(
    mut tool: Object<'a>,
    space: Option<(&str, Option<&str>)>,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Refused> {
    let is_custom = match tool.text("type") {
        Some("function") => false,
        Some("custom") => true,
        _ => return losses.declare(Feature::ServerTools),
    };
    let name = tool.take_text("name").ok_or_else(|| Refused::malformed("a tool has no name"))?;
    let mut description = tool.take_text("description");
    if is_custom {
        losses.declare(Feature::CustomTools)?;
        if let Some(format) = tool.take("format") {
            description = Some(custom_description(description, &format));
        }
    }
    if tool.take("defer_loading").and_then(|defer| defer.as_bool()) == Some(true) {
        losses.declare(Feature::DeferLoading)?;
    }
    let name = match space {
        None => name,
        Some((space, about)) => {
            if let Some(about) = about {
                description = Some(format!("{about}\n\n{}", description.unwrap_or_default()).into());
            }
            let flat = flat(space, &name);
            let spaced = Spaced { flat: flat.clone().into(), space: space.to_owned().into(), name };
            request.namespaces.push(spaced);
            flat.into()
        }
    };
    let (schema, strict) = (tool.take("parameters"), tool.take("strict").and_then(|strict| strict.as_bool()));
    request.tools.push(Tool { name, description, schema, strict, is_custom, cache: None });
    Ok(())
}

/// Name space and name in one.
pub(crate) fn flat(space: &str, name: &str) -> String {
    if space.is_empty() || space.ends_with('_') {
        format!("{space}{name}")
    } else {
        format!("{space}__{name}")
    }
}
