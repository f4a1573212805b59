//! What a command prints: tables for people; JSON, YAML or names for programs.

use std::{
    io::{self, Write as _},
    sync::LazyLock,
};

use anyhow::{Context, Result};
use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(proto::DESCRIPTOR_SET).ok());

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// As the REST API answers.
    Json,
    /// The same as YAML.
    Yaml,
    /// Ids alone, one a line.
    Name,
}

/// One answer in all the ways it can be printed.
pub struct Shown {
    /// As the REST API answers.
    pub json: Value,
    /// Headings and rows.
    pub table: (Vec<&'static str>, Vec<Vec<String>>),
    /// Ids.
    pub names: Vec<String>,
    /// A line for people under the table.
    pub note: Option<String>,
}

/// Prints an answer. A closed pipe is no error.
pub fn print(format: Format, shown: Shown) -> Result<()> {
    let text = match format {
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&shown.json)?),
        Format::Yaml => yaml(&shown.json),
        Format::Name => shown.names.iter().map(|name| format!("{name}\n")).collect(),
        Format::Table => table(&shown),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A message as the REST API would answer it: proto field names, 64-bit numbers as numbers, defaults written out.
pub fn json(full_name: &str, message: &impl Message) -> Result<Value> {
    let pool = POOL.as_ref().context("the descriptor set is damaged")?;
    let descriptor =
        pool.get_message_by_name(full_name).with_context(|| format!("no message {full_name}"))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(false)
        .skip_default_fields(false);
    Ok(dynamic.serialize_with_options(serde_json::value::Serializer, &options)?)
}

fn table(shown: &Shown) -> String {
    let (headings, rows) = &shown.table;
    let mut text = String::new();
    if !headings.is_empty() {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(headings.clone());
        table.add_rows(rows.clone());
        text.push_str(&table.trim_fmt());
        text.push('\n');
    }
    if let Some(note) = &shown.note {
        text.push_str(note);
        text.push('\n');
    }
    text
}

/// Rows of one thing, a field each: who it is first, the rest by name, empty ones left out. `plain`: fields that people
/// read better otherwise.
pub fn fields(json: &Value, plain: &[(&str, String)]) -> Vec<Vec<String>> {
    const FIRST: [&str; 3] = ["id", "name", "status"];
    let fields = json.as_object().into_iter().flatten();
    let (first, rest): (Vec<_>, Vec<_>) = fields.partition(|(name, _)| FIRST.contains(&name.as_str()));
    let row = |(name, value): (&String, &Value)| {
        let text = match (plain.iter().find(|(field, _)| field == name), value) {
            (Some((_, text)), _) => text.clone(),
            (None, Value::Null) => String::new(),
            (None, Value::String(text)) => text.clone(),
            (None, Value::Array(items)) if items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
            }
            (None, Value::Array(items)) if items.is_empty() => String::new(),
            (None, Value::Object(fields)) if fields.is_empty() => String::new(),
            (None, other) => other.to_string(),
        };
        (!text.is_empty()).then(|| vec![name.clone(), text])
    };
    first.into_iter().chain(rest).filter_map(row).collect()
}

/// YAML of a JSON value: block style, every text quoted as JSON does, which YAML 1.2 reads alike.
pub fn yaml(value: &Value) -> String {
    let mut text = String::new();
    write_yaml(value, 0, &mut text);
    text
}

fn write_yaml(value: &Value, depth: usize, into: &mut String) {
    let pad = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                into.push_str(&format!("{pad}{}:", Value::from(name.as_str())));
                write_nested(field, depth, into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                into.push_str(&format!("{pad}-"));
                write_nested(item, depth, into);
            }
        }
        other => into.push_str(&format!("{pad}{other}\n")),
    }
}

fn write_nested(value: &Value, depth: usize, into: &mut String) {
    let nested = value.as_object().is_some_and(|fields| !fields.is_empty())
        || value.as_array().is_some_and(|items| !items.is_empty());
    if nested {
        into.push('\n');
        write_yaml(value, depth + 1, into);
    } else {
        into.push_str(&format!(" {value}\n"));
    }
}

/// A time for people: local to the caller, to the second; empty: never.
pub fn time(timestamp: Option<&prost_types::Timestamp>) -> String {
    timestamp
        .and_then(|at| jiff::Timestamp::new(at.seconds, at.nanos).ok())
        .map(|at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

/// The same with the zone that it is told in.
pub fn time_in_zone(timestamp: Option<&prost_types::Timestamp>) -> String {
    let at = timestamp.and_then(|at| jiff::Timestamp::new(at.seconds, at.nanos).ok());
    let at = at.map(|at| at.to_zoned(jiff::tz::TimeZone::system()));
    at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()).unwrap_or_default()
}

/// Money for people.
pub fn money(nano_dollars: i64) -> String {
    proto::rules::money::NanoDollars(nano_dollars).to_string()
}

/// A large number for people: thousands apart.
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { String::from("-") } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_as_rest_answers() {
        let key = sdk::types::Key { id: "k".into(), name: "n".into(), ..Default::default() };
        let value = json("crs.types.v1.Key", &key).unwrap();
        assert_eq!(value["id"], "k");
        assert_eq!(value["owner_user_id"], "");
        let limit = sdk::types::Limit { amount: 5, ..Default::default() };
        assert_eq!(json("crs.types.v1.Limit", &limit).unwrap()["amount"], 5);
    }

    #[test]
    fn one_thing_is_shown_by_its_fields() {
        let json = serde_json::json!({
            "clients": ["a", "b"], "empty": [], "gone": null, "id": "k", "limits": [{"x": 1}], "text": "",
        });
        let rows = fields(&json, &[("limits", "requests:1/1h".into())]);
        assert_eq!(rows, [["id", "k"], ["clients", "a, b"], ["limits", "requests:1/1h"]]);
    }

    #[test]
    fn yaml_nests() {
        let value = serde_json::json!({"a": [{"b": 1, "c": []}], "d": "x: y"});
        assert_eq!(yaml(&value), "\"a\":\n  -\n    \"b\": 1\n    \"c\": []\n\"d\": \"x: y\"\n");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(-1_234_567), "-1,234,567");
    }
}
