//! A REST request into the method's request message: body, then path, then query; and the mask of an update.

use domain::Violations;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};

use super::{
    bindings::{Binding, Body, field_at},
    json, query,
};

/// Builds the request message of a route.
///
/// # Errors
/// Everything that is wrong with the request, by field.
pub fn build(
    binding: &Binding,
    segments: &[String],
    query_text: &str,
    body: &[u8],
) -> Result<DynamicMessage, Violations> {
    let input = binding.method.input();
    let (mut message, body_fields) = read_body(binding, &input, body)?;
    let mut wrong = Violations::default();
    for variable in &binding.template.variables {
        let value = variable.value(segments);
        set_path(&mut message, &variable.path, value, &mut wrong);
    }
    let given_by_path = |names: &[String]| binding.template.variables.iter().any(|v| v.path == names);
    let given_by_body = |names: &[String]| match &binding.body {
        Body::None => false,
        Body::All => true,
        Body::Field(field) => names.first().is_some_and(|name| name == field.name()),
    };
    let pairs = query::pairs(query_text)?;
    query::apply(&mut message, &pairs, |names| given_by_path(names) || given_by_body(names), &mut wrong);
    wrong.or(())?;
    if let Some(fields) = body_fields {
        fill_mask(&mut message, fields);
    }
    Ok(message)
}

/// The message with what the body says, and for updates the names of the fields that the body holds.
fn read_body(
    binding: &Binding,
    input: &MessageDescriptor,
    body: &[u8],
) -> Result<(DynamicMessage, Option<Vec<String>>), Violations> {
    match &binding.body {
        Body::None if body.is_empty() => Ok((DynamicMessage::new(input.clone()), None)),
        Body::None => Err(Violations::one("", "this method takes no body")),
        Body::All => Ok((json::message(input, json::object(body)?)?, None)),
        Body::Field(field) => {
            let Kind::Message(inner) = field.kind() else {
                return Err(Violations::one(field.name(), "is no message"));
            };
            let object = json::object(body)?;
            let names = object
                .keys()
                .filter_map(|key| {
                    let field = inner.get_field_by_name(key).or_else(|| inner.get_field_by_json_name(key))?;
                    Some(field.name().to_owned())
                })
                .collect();
            let mut message = DynamicMessage::new(input.clone());
            message.set_field(field, Value::Message(json::message(&inner, object)?));
            let is_update = matches!(binding.verb, http::Method::PATCH | http::Method::PUT);
            Ok((message, is_update.then_some(names)))
        }
    }
}

/// Sets a field that the path gives; the body may say the same, but nothing else.
fn set_path(message: &mut DynamicMessage, path: &[String], text: String, wrong: &mut Violations) {
    let Some(field) = field_at(&message.descriptor(), path) else { return };
    let value = match field.kind() {
        Kind::String => Some(Value::String(text)),
        Kind::Int64 => text.parse().ok().map(Value::I64),
        Kind::Uint64 => text.parse().ok().map(Value::U64),
        Kind::Int32 => text.parse().ok().map(Value::I32),
        Kind::Uint32 => text.parse().ok().map(Value::U32),
        _ => None,
    };
    let Some(value) = value else {
        wrong.add(path.join("."), "cannot be read");
        return;
    };
    let mut inside = message;
    for name in &path[..path.len() - 1] {
        let Some(next) = inside.get_field_by_name_mut(name).and_then(Value::as_message_mut) else { return };
        inside = next;
    }
    if inside.has_field(&field) && *inside.get_field(&field) != value {
        wrong.add(path.join("."), "differs between the path and the body");
    }
    inside.set_field(&field, value);
}

/// An update without a mask changes what its body holds.
fn fill_mask(message: &mut DynamicMessage, mut fields: Vec<String>) {
    let Some(mask) = message.descriptor().get_field_by_name("update_mask") else { return };
    let Kind::Message(kind) = mask.kind() else { return };
    if kind.full_name() != "google.protobuf.FieldMask" || message.has_field(&mask) {
        return;
    }
    // The etag guards the update and is no part of it; a mask of nothing would mean "all that is set".
    fields.retain(|field| field != "etag");
    let paths = fields.into_iter().map(Value::String).collect();
    let mut value = DynamicMessage::new(kind);
    value.set_field_by_name("paths", Value::List(paths));
    message.set_field(&mask, Value::Message(value));
}

#[cfg(test)]
mod tests;
