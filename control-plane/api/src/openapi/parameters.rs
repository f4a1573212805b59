//! Parameters of an operation: what the path gives, and every field that neither path nor body gives.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Value, json};

use super::{comments::Comments, schemas};
use crate::rest::{
    bindings::{Binding, Body, field_at},
    json::is_well_known,
};

/// How deep fields of fields are offered.
const DEPTH: usize = 3;

pub(super) fn of(binding: &Binding, comments: &Comments) -> Vec<Value> {
    let input = binding.method.input();
    let mut parameters = Vec::new();
    for variable in &binding.template.variables {
        let Some(field) = field_at(&input, &variable.path) else { continue };
        parameters.push(json!({
            "name": variable.name(),
            "in": "path",
            "required": true,
            "description": about(&field, comments),
            "schema": schemas::scalar(&field.kind()).unwrap_or_else(|| json!({ "type": "string" })),
        }));
    }
    let taken = |path: &[String]| {
        let by_path = binding.template.variables.iter().any(|variable| variable.path == path);
        let by_body = match &binding.body {
            Body::None => false,
            Body::All => true,
            Body::Field(field) => path.first().is_some_and(|name| name == field.name()),
        };
        by_path || by_body
    };
    collect(&input, &mut Vec::new(), &taken, comments, &mut parameters);
    parameters
}

fn collect(
    message: &MessageDescriptor,
    path: &mut Vec<String>,
    taken: &dyn Fn(&[String]) -> bool,
    comments: &Comments,
    parameters: &mut Vec<Value>,
) {
    for field in message.fields() {
        path.push(field.name().to_owned());
        if !taken(path) && !field.is_map() {
            match (schemas::scalar(&field.kind()), field.kind()) {
                (Some(schema), _) => {
                    let schema = match field.is_list() {
                        true => json!({ "type": "array", "items": schema }),
                        false => schema,
                    };
                    parameters.push(json!({
                        "name": path.join("."),
                        "in": "query",
                        "required": false,
                        "description": about(&field, comments),
                        "schema": schema,
                    }));
                }
                (None, Kind::Message(inner))
                    if !field.is_list() && path.len() < DEPTH && !is_well_known(&inner) =>
                {
                    collect(&inner, path, taken, comments, parameters);
                }
                _ => {}
            }
        }
        path.pop();
    }
}

fn about(field: &FieldDescriptor, comments: &Comments) -> String {
    comments.at(&field.parent_message().parent_file(), field.path())
}
