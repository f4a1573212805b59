//! What the model "says": content blocks and token counts of a request, before any dialect, framing and misbehaviour.

use serde_json::{Value, json};

use super::{
    api::Dialect,
    count,
    ledger::Counted,
    scenario::{Behaviour, Fault},
};

/// One content block, in the pieces in which a stream tells it.
#[derive(Clone, Debug)]
pub enum Block {
    /// Thinking and its signature.
    Thinking(Vec<String>, String),
    /// Text.
    Text(Vec<String>),
    /// A call of a tool: id, name, pieces of its input's JSON.
    ToolUse(String, String, Vec<String>),
}

/// What a request asks, whatever its dialect.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Model asked for.
    pub model: String,
    /// Tools by name, with the schema of what they take.
    pub tools: Vec<(String, Value)>,
    /// The tool that must be used; an empty name: any.
    pub forced: Option<String>,
    /// Whether none may be used.
    pub no_tool: bool,
    /// The last text of the user's; none: it is a tool's turn to have spoken.
    pub said: Option<String>,
    /// Whether it thinks first.
    pub thinks: bool,
    /// The schema that the answer must have.
    pub schema: Option<Value>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Hexadecimal; each dialect puts its own beginning before it.
    pub id: String,
    /// Model that answers.
    pub model: String,
    /// What it says.
    pub blocks: Vec<Block>,
    /// Why it stops.
    pub stop: Stop,
    /// What it counts.
    pub counted: Counted,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All is said.
    End,
    /// A tool is to be used.
    Tool,
}

const WORDS: [&str; 16] = [
    "river ",
    "stone ",
    "lantern ",
    "quiet ",
    "Ωmega ",
    "harbour ",
    "maple ",
    "signal ",
    "paper ",
    "„quote“ ",
    "violet ",
    "copper ",
    "north ",
    "😀 ",
    "line\n",
    "\"quoted\" ",
];

/// Makes the answer to a question that came in that body.
pub fn make(dialect: Dialect, body: &[u8], question: &Question, behaviour: &Behaviour) -> Answer {
    let digest = count::digest(body);
    let mut blocks = Vec::new();
    if question.thinks {
        blocks.push(Block::Thinking(vec!["Let me ".into(), "think.".into()], hex::encode(&digest[..24])));
    }
    let stop = match question.tool() {
        Some((name, input)) => {
            blocks.push(Block::Text(vec!["I will ".into(), format!("use {name}.")]));
            blocks.push(Block::ToolUse(hex::encode(&digest[4..16]), name, pieces(&input.to_string(), 7)));
            Stop::Tool
        }
        None => {
            let schema = question.schema.as_ref().map(|schema| pieces(&example(schema).to_string(), 9));
            blocks.push(Block::Text(schema.unwrap_or_else(|| text(&digest, behaviour))));
            Stop::End
        }
    };
    let output = 3 + blocks.iter().map(Block::pieces).sum::<usize>() as i64 * 2 + i64::from(digest[3] % 5);
    let counted = match dialect {
        Dialect::AnthropicMessages => count::messages(body, &digest, output),
        _ => count::others(body, &digest, output),
    };
    Answer { id: hex::encode(&digest[..12]), model: question.model.clone(), blocks, stop, counted }
}

impl Question {
    /// The tool to be used, and with what: one that must be, or one that the user asks for as `use the tool NAME` or
    /// `use the tool NAME with {…}`.
    fn tool(&self) -> Option<(String, Value)> {
        let named = |name: &str| self.tools.iter().find(|tool| tool.0 == name);
        if self.no_tool || self.tools.is_empty() {
            return None;
        }
        if let Some(forced) = &self.forced {
            let (name, schema) = if forced.is_empty() { self.tools.first() } else { named(forced) }?;
            return Some((name.clone(), example(schema)));
        }
        let rest = self.said.as_deref()?.split("use the tool ").nth(1)?;
        let name: String =
            rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '-').collect();
        let (_, schema) = named(&name)?;
        let given = rest[name.len()..].strip_prefix(" with ").and_then(|json| {
            serde_json::Deserializer::from_str(json).into_iter::<Value>().next().and_then(Result::ok)
        });
        Some((name, given.unwrap_or_else(|| example(schema))))
    }
}

fn text(digest: &[u8; 32], behaviour: &Behaviour) -> Vec<String> {
    let deltas = if behaviour.deltas == 0 { 8 } else { behaviour.deltas as usize };
    let one = |at: usize| match behaviour.delta_bytes as usize {
        0 => WORDS[(usize::from(digest[at % 32]) + at / 32) % WORDS.len()].to_owned(),
        length => "0123456789abcdef".chars().cycle().skip(at % 16).take(length).collect(),
    };
    let mut deltas: Vec<String> = (0..deltas).map(one).collect();
    if let (Some(Fault::HugeEvent { bytes }), Some(second)) = (&behaviour.fault, deltas.get_mut(1)) {
        *second = "x".repeat(*bytes as usize);
    }
    deltas
}

fn pieces(text: &str, length: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(length).map(|chunk| chunk.iter().collect()).collect()
}

/// An input that a schema would take.
fn example(schema: &Value) -> Value {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let value = |property: &Value| match property["type"].as_str().map(str::to_lowercase).as_deref() {
        Some("integer" | "number") => json!(7),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => property["enum"].get(0).cloned().unwrap_or_else(|| json!("Paris")),
    };
    properties.iter().map(|(name, property)| (name.clone(), value(property))).collect()
}

impl Block {
    /// In how many pieces it is told.
    fn pieces(&self) -> usize {
        match self {
            Self::Thinking(pieces, _) | Self::Text(pieces) | Self::ToolUse(_, _, pieces) => pieces.len(),
        }
    }
}
