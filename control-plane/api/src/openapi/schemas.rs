//! Schemas of messages and enums, collected as they are referred to.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::comments::Comments;
use crate::{contract, rest::json::is_well_known};

/// The schemas of one document.
pub(super) struct Schemas<'a> {
    comments: &'a Comments,
    known: BTreeMap<String, Value>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(comments: &'a Comments) -> Self {
        Self { comments, known: BTreeMap::new() }
    }

    /// A reference to a message's schema, which is made where it is new.
    pub(super) fn reference(&mut self, message: &MessageDescriptor) -> Value {
        let name = name(message.full_name());
        if !self.known.contains_key(&name) {
            // A place first: a message may hold itself.
            self.known.insert(name.clone(), Value::Null);
            let schema = self.object(message, &[]);
            self.known.insert(name.clone(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// A message's schema in place, without some of its fields.
    pub(super) fn inline_without(&mut self, message: &MessageDescriptor, without: &[&str]) -> Value {
        self.object(message, without)
    }

    /// All schemas, with that of errors.
    pub(super) fn finish(self, error: Value) -> Map<String, Value> {
        let mut all: Map<String, Value> = self.known.into_iter().collect();
        all.insert("Error".into(), error);
        all
    }

    fn object(&mut self, message: &MessageDescriptor, without: &[&str]) -> Value {
        let mut properties = Map::new();
        for field in message.fields().filter(|field| !without.contains(&field.name())) {
            properties.insert(field.name().to_owned(), self.property(&field));
        }
        json!({
            "type": "object",
            "description": self.comments.at(&message.parent_file(), message.path()),
            "properties": properties,
            "additionalProperties": false,
        })
    }

    fn property(&mut self, field: &FieldDescriptor) -> Value {
        let mut schema = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let value = self.kind(&entry.map_entry_value_field().kind());
                json!({ "type": "object", "additionalProperties": value })
            }
            kind if field.is_list() => json!({ "type": "array", "items": self.kind(&kind) }),
            kind => self.kind(&kind),
        };
        let about = self.comments.at(&field.parent_message().parent_file(), field.path());
        if let Some(schema) = schema.as_object_mut() {
            if !about.is_empty() {
                schema.insert("description".into(), about.into());
            }
            if is_secret(field) && schema.get("type").is_some_and(|kind| kind == "string") {
                schema.insert("format".into(), "password".into());
            }
        }
        schema
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match (scalar(kind), kind) {
            (Some(schema), _) => schema,
            (None, Kind::Message(message)) => self.reference(message),
            (None, _) => json!({}),
        }
    }
}

/// The schema of what is no message of ours.
pub(super) fn scalar(kind: &Kind) -> Option<Value> {
    Some(match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::String => json!({ "type": "string" }),
        Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Kind::Double => json!({ "type": "number", "format": "double" }),
        Kind::Float => json!({ "type": "number", "format": "float" }),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({ "type": "integer", "format": "int64" }),
        Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "format": "int64", "minimum": 0 }),
        Kind::Uint64 | Kind::Fixed64 => json!({ "type": "integer", "minimum": 0 }),
        Kind::Enum(kind) => json!({ "type": "string", "enum": values(kind) }),
        Kind::Message(message) if is_well_known(message) => match message.name() {
            "Timestamp" => json!({ "type": "string", "format": "date-time" }),
            "Duration" => {
                json!({ "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$", "examples": ["3600s"] })
            }
            "FieldMask" => json!({ "type": "string", "description": "Field names with `,` between them." }),
            _ => json!({}),
        },
        Kind::Message(_) => return None,
    })
}

fn values(kind: &EnumDescriptor) -> Vec<String> {
    kind.values().map(|value| value.name().to_owned()).collect()
}

fn is_secret(field: &FieldDescriptor) -> bool {
    let secret = contract::extension(field.parent_pool(), "crs.types.v1.secret");
    secret.is_some_and(|secret| field.options().has_extension(&secret))
}

/// A schema's name: the message's without its package, which is unique in the contract (and a test says so).
pub(super) fn name(full_name: &str) -> String {
    let bare = ["crs.types.v1.", "crs.admin.v1."].iter().find_map(|package| full_name.strip_prefix(package));
    bare.unwrap_or(full_name).to_owned()
}
