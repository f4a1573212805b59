//! How a Claude model is told to think: which of the two ways it takes, and when it must not.

use crate::{
    json::{Object, object},
    loss::{Feature, Losses, Refused},
    models::{self, Claude},
    neutral::{Choice, Effort, Part, Request, Role, Turn},
};

/// The least number of tokens that a model takes to think.
const LEAST: u64 = 1_024;

/// What goes into the body.
#[derive(Default)]
pub(crate) struct Told {
    /// `thinking`.
    pub(crate) thinking: Option<Object<'static>>,
    /// `output_config.effort`.
    pub(crate) effort: Option<&'static str>,
    /// Tokens of the thoughts, of which the cap on the output must be more.
    pub(crate) budget: u64,
}

/// What to tell the model.
///
/// # Errors
/// Never on its own; what it declares may be.
pub(crate) fn tell(request: &Request<'_>, claude: &Claude, losses: &mut Losses) -> Result<Told, Refused> {
    let Some(wanted) = request.reasoning else { return Ok(Told::default()) };
    let effort = wanted.effort.or_else(|| wanted.budget.map(models::effort_of));
    if !claude.thinks {
        return Ok(Told::default());
    }
    if effort == Some(Effort::None) {
        return Ok(Told { thinking: Some(object! { "type": "disabled" }), ..Told::default() });
    }
    if matches!(request.choice, Some(Choice::Any | Choice::Tool(_))) {
        losses.declare(Feature::ThinkingWithTool)?;
        return Ok(Told::default());
    }
    if claude.adaptive {
        if wanted.budget.is_some() && wanted.effort.is_none() {
            losses.declare(Feature::ThinkingBudget)?;
        }
        let display = match wanted.shown {
            Some(false) => Some("omitted"),
            _ => Some("summarized"),
        };
        let thinking = object! { "type": "adaptive", "display": display };
        let effort = effort.map(word);
        return Ok(Told { thinking: Some(thinking), effort, budget: 0 });
    }
    if lacks_thoughts(&request.turns) {
        losses.declare(Feature::ThinkingInToolLoop)?;
        return Ok(Told::default());
    }
    if wanted.budget.is_none() {
        losses.declare(Feature::Effort)?;
    }
    let budget = wanted.budget.unwrap_or_else(|| models::budget_of(effort.unwrap_or(Effort::Medium)));
    // The client's cap is one on thoughts and answer together, and both must fit.
    let most = request.max_output.map_or(u64::MAX, |max| max / 4 * 3);
    let budget = budget.min(most).max(LEAST);
    let thinking = object! { "type": "enabled", "budget_tokens": budget };
    Ok(Told { thinking: Some(thinking), effort: None, budget })
}

/// Anthropic's word for an effort.
fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Max => "max",
    }
}

/// Whether tools were called since the user last spoke, by a turn that does not begin with signed thoughts.
fn lacks_thoughts(turns: &[Turn<'_>]) -> bool {
    let answered = |turn: &Turn<'_>| turn.pieces.iter().any(|piece| matches!(piece.part, Part::Answer(_)));
    let Some(last) = turns.iter().rposition(|turn| turn.role != Role::System) else { return false };
    if !answered(&turns[last]) {
        return false;
    }
    let said = turns[..last].iter().rev().find(|turn| turn.role == Role::Assistant);
    let first = said.and_then(|turn| turn.pieces.first());
    !first.is_some_and(|piece| match &piece.part {
        Part::Thinking(thinking) => {
            thinking.seal.as_ref().is_some_and(|seal| seal.origin == dialects::Dialect::AnthropicMessages)
        }
        _ => false,
    })
}
