//! Names of tools and ids of calls. Each dialect takes other ones; what does not fit is changed on the way to the
//! upstream and changed back on the way to the client. A change depends on the name alone, so that the same name is
//! the same in every turn of a conversation.

use std::borrow::Cow;

use dialects::Dialect;

use crate::{
    loss::{Feature, Losses, Refused},
    neutral::{Choice, Part, Request, Text, Turn},
};

/// How ids begin that were made up for an upstream that has none; they are not sent to it.
pub const MADE_UP: &str = "call_crs";

/// A tool as the client knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// The name space that it stands in.
    pub namespace: Option<String>,
    /// Whether it takes any text.
    pub is_custom: bool,
}

/// Leads from names that the upstream was told to those that the client knows. Holds only those that differ.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<(String, Known)>);

impl Names {
    /// The tool that the upstream calls by this name; none: as it is.
    pub fn known(&self, sent: &str) -> Option<&Known> {
        self.0.iter().find(|(name, _)| name == sent).map(|(_, known)| known)
    }
}

/// Makes all names and ids of a request fit for a dialect.
///
/// # Errors
/// Two tools would have the same name.
pub fn fit(request: &mut Request<'_>, to: Dialect, losses: &mut Losses) -> Result<Names, Refused> {
    let mut names = Names::default();
    for tool in &mut request.tools {
        let sent = fitting(&tool.name, to);
        if sent != tool.name {
            losses.declare(Feature::ToolNames)?;
        }
        let spaced = request.namespaces.iter().find(|spaced| spaced.flat == tool.name);
        if sent != tool.name || tool.is_custom || spaced.is_some() {
            let known = Known {
                name: spaced.map_or_else(|| tool.name.to_string(), |spaced| spaced.name.to_string()),
                namespace: spaced.map(|spaced| spaced.space.to_string()),
                is_custom: tool.is_custom,
            };
            names.0.push((sent.to_string(), known));
        }
        replace(&mut tool.name, to);
    }
    let mut seen: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_ref()).collect();
    seen.sort_unstable();
    if seen.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Refused::malformed("two tools have the same name"));
    }
    if let Some(Choice::Tool(name)) = &mut request.choice {
        replace(name, to);
    }
    request.turns.iter_mut().for_each(|turn| fit_turn(turn, to));
    Ok(names)
}

fn fit_turn(turn: &mut Turn<'_>, to: Dialect) {
    for piece in &mut turn.pieces {
        match &mut piece.part {
            Part::Call(call) => {
                replace(&mut call.name, to);
                fit_id(&mut call.id, to);
            }
            Part::Answer(answer) => {
                replace(&mut answer.name, to);
                fit_id(&mut answer.id, to);
            }
            _ => {}
        }
    }
}

fn replace(name: &mut Text<'_>, to: Dialect) {
    if let Cow::Owned(changed) = fitting(name, to) {
        *name = Cow::Owned(changed);
    }
}

/// The name as a dialect takes it.
fn fitting(name: &str, to: Dialect) -> Text<'_> {
    let (longest, more) = match to {
        Dialect::AnthropicMessages => (128, ""),
        Dialect::OpenaiChat | Dialect::OpenaiResponses => (64, ""),
        Dialect::Gemini => (64, ".:"),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || more.contains(c);
    let starts = to != Dialect::Gemini || name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    // A tool's answer need not name it.
    if name.is_empty() || (name.len() <= longest && name.chars().all(fits) && starts) {
        return Cow::Borrowed(name);
    }
    // Eight digits of a hash keep apart what a cut or a changed letter would make one.
    let start = if starts { "" } else { "_" };
    let room = longest - 9 - start.len();
    let kept: String = name.chars().take(room).map(|c| if fits(c) { c } else { '_' }).collect();
    Cow::Owned(format!("{start}{kept}_{:08x}", hash(name) as u32))
}

fn fit_id(id: &mut Text<'_>, to: Dialect) {
    let longest = if to == Dialect::OpenaiChat { 40 } else { 64 };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !id.is_empty() && (id.len() > longest || !id.bytes().all(fits)) {
        *id = Cow::Owned(format!("call_{:016x}", hash(id)));
    }
}

/// FNV-1a: it need not withstand anybody, since a client can harm but its own conversation.
pub fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_stay_apart() {
        let long = format!("mcp__{}__tool", "x".repeat(100));
        let other = format!("mcp__{}__tool2", "x".repeat(100));
        for to in Dialect::ALL {
            assert_eq!(fitting("get_weather", to), "get_weather");
            for name in ["a b", "über", "", "x".repeat(300).as_str()] {
                let sent = fitting(name, to);
                if !name.is_empty() {
                    assert!(sent.len() <= 128 && sent.is_ascii() && !sent.is_empty(), "{sent}");
                }
            }
        }
        let (one, two) = (fitting(&long, Dialect::OpenaiChat), fitting(&other, Dialect::OpenaiChat));
        assert!(one.len() == 64 && two.len() == 64 && one != two);
        assert_eq!(fitting("1st", Dialect::Gemini).chars().next(), Some('_'));
    }

    #[test]
    fn ids_map_stably() {
        let map = |id: &'static str, to| {
            let mut id = Cow::Borrowed(id);
            fit_id(&mut id, to);
            id
        };
        assert_eq!(
            map("toolu_01A09q90qw90lq917835lq9", Dialect::OpenaiChat),
            "toolu_01A09q90qw90lq917835lq9"
        );
        assert_eq!(
            map("functions.f:0", Dialect::AnthropicMessages),
            map("functions.f:0", Dialect::AnthropicMessages)
        );
        assert_ne!(
            map("functions.f:0", Dialect::AnthropicMessages),
            map("functions.f:1", Dialect::AnthropicMessages)
        );
    }
}
