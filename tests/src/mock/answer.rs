//! What the model "says": content blocks and token counts of a request, before any framing and any misbehaviour.

use serde_json::{Value, json};

use super::{
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

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `msg_…`
    pub id: String,
    /// Model that answers.
    pub model: String,
    /// What it says.
    pub blocks: Vec<Block>,
    /// Why it stops.
    pub stop_reason: &'static str,
    /// What it counts.
    pub counted: Counted,
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

/// Makes the answer to a messages request.
pub fn make(body: &[u8], request: &Value, behaviour: &Behaviour) -> Answer {
    let digest = count::digest(body);
    let mut blocks = Vec::new();
    if request["thinking"]["type"] == "enabled" {
        blocks.push(Block::Thinking(vec!["Let me ".into(), "think.".into()], hex::encode(&digest[..24])));
    }
    let tool = wanted_tool(request);
    let stop_reason = match tool {
        Some((name, input)) => {
            blocks.push(Block::Text(vec!["I will ".into(), format!("use {name}.")]));
            let id = format!("toolu_{}", hex::encode(&digest[4..16]));
            blocks.push(Block::ToolUse(id, name, pieces(&input.to_string(), 7)));
            "tool_use"
        }
        None => {
            blocks.push(Block::Text(text(&digest, behaviour)));
            "end_turn"
        }
    };
    let output = 3 + blocks.iter().map(Block::pieces).sum::<usize>() as i64 * 2 + i64::from(digest[3] % 5);
    let counted = count::messages(body, &digest, output);
    let model = request["model"].as_str().unwrap_or_default().to_owned();
    Answer { id: format!("msg_{}", hex::encode(&digest[..12])), model, blocks, stop_reason, counted }
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

/// The tool that a request wants used, and with what: forced by `tool_choice`, or asked for by the last user text as
/// `use the tool NAME` or `use the tool NAME with {…}`.
fn wanted_tool(request: &Value) -> Option<(String, Value)> {
    let tools = request["tools"].as_array().filter(|tools| !tools.is_empty())?;
    let named = |name: &str| tools.iter().find(|tool| tool["name"] == name);
    let choice = &request["tool_choice"];
    let tool = match choice["type"].as_str() {
        Some("none") => return None,
        Some("any") => tools.first(),
        Some("tool") => named(choice["name"].as_str()?),
        _ => None,
    };
    if let Some(tool) = tool {
        return Some((tool["name"].as_str()?.to_owned(), example(&tool["input_schema"])));
    }
    let said = last_user_text(request)?;
    let rest = said.split("use the tool ").nth(1)?;
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '-').collect();
    let tool = named(&name)?;
    let given = rest[name.len()..].strip_prefix(" with ").and_then(|json| {
        serde_json::Deserializer::from_str(json).into_iter::<Value>().next().and_then(Result::ok)
    });
    Some((name, given.unwrap_or_else(|| example(&tool["input_schema"]))))
}

/// The last message's text where it is the user's; a tool's result is no text.
fn last_user_text(request: &Value) -> Option<String> {
    let user = |message: &&Value| message["role"] == "user";
    let last = request["messages"].as_array()?.iter().rev().find(user)?;
    if let Some(text) = last["content"].as_str() {
        return Some(text.to_owned());
    }
    let blocks = last["content"].as_array()?;
    if blocks.iter().any(|block| block["type"] == "tool_result") {
        return None;
    }
    Some(blocks.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n"))
}

/// An input that a schema would take.
fn example(schema: &Value) -> Value {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let value = |property: &Value| match property["type"].as_str() {
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

    /// The block as a whole answer has it.
    fn whole(&self) -> Value {
        match self {
            Self::Thinking(pieces, signature) => {
                json!({"type": "thinking", "thinking": pieces.concat(), "signature": signature})
            }
            Self::Text(pieces) => json!({"type": "text", "text": pieces.concat()}),
            Self::ToolUse(id, name, pieces) => {
                let input: Value = serde_json::from_str(&pieces.concat()).unwrap_or_default();
                json!({"type": "tool_use", "id": id, "name": name, "input": input})
            }
        }
    }
}

/// The whole answer as JSON, with the usage object as it is to be told.
pub fn whole(answer: &Answer, usage: &Value) -> Value {
    let mut message = json!({
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": answer.blocks.iter().map(Block::whole).collect::<Vec<_>>(),
        "stop_reason": answer.stop_reason,
        "stop_sequence": null,
    });
    if !usage.is_null() {
        message["usage"] = usage.clone();
    }
    message
}
