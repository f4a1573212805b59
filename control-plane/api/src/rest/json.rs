//! JSON bodies: read strictly, and into messages by their descriptors. What is wrong is told with the field's path.

use std::fmt;

use domain::Violations;
use prost_reflect::{DeserializeOptions, DynamicMessage, Kind, MessageDescriptor};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// JSON in which every key of an object stands once.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{key}` stands twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// Reads a body as a JSON object; an empty body is an empty object.
///
/// # Errors
/// What is wrong with it.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, Violations> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice::<Strict>(body) {
        Ok(Strict(Value::Object(object))) => Ok(object),
        Ok(_) => Err(Violations::one("", "the body must be a JSON object")),
        Err(why) => Err(Violations::one("", format!("the body is not JSON: {why}"))),
    }
}

/// Reads an object as a message. Field names may be as in proto or in camel case; numbers may be strings.
///
/// # Errors
/// What is wrong, with the path of each field.
pub fn message(
    descriptor: &MessageDescriptor,
    object: Map<String, Value>,
) -> Result<DynamicMessage, Violations> {
    let value = Value::Object(object);
    let mut wrong = Violations::default();
    unknown(descriptor, &value, "", &mut wrong);
    if !wrong.0.is_empty() {
        return Err(wrong);
    }
    read(descriptor, &value).map_err(|why| culprit(descriptor, &value, "", &why))
}

fn read(descriptor: &MessageDescriptor, value: &Value) -> Result<DynamicMessage, String> {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    DynamicMessage::deserialize_with_options(descriptor.clone(), value, &options)
        .map_err(|why| why.to_string())
}

/// Whether a message has a JSON form of its own.
pub fn is_well_known(descriptor: &MessageDescriptor) -> bool {
    descriptor.package_name() == "google.protobuf"
}

/// What a well-known message looks like, for the sentence that says that it does not.
pub fn expected(descriptor: &MessageDescriptor) -> Option<&'static str> {
    match descriptor.name() {
        "Timestamp" => Some("must be a time such as `2026-01-31T12:00:00Z`"),
        "Duration" => Some("must be a duration in seconds such as `3.5s`"),
        "FieldMask" => Some("must be field names with `,` between them"),
        _ => None,
    }
}

/// Notes every key that names no field.
fn unknown(descriptor: &MessageDescriptor, value: &Value, path: &str, wrong: &mut Violations) {
    let (Value::Object(object), false) = (value, is_well_known(descriptor)) else { return };
    for (key, value) in object {
        let field = descriptor.get_field_by_name(key).or_else(|| descriptor.get_field_by_json_name(key));
        let path = join(path, key);
        let Some(field) = field else {
            wrong.add(path, "there is no such field");
            continue;
        };
        if field.is_map() {
            let Kind::Message(entry) = field.kind() else { continue };
            let Kind::Message(inner) = entry.map_entry_value_field().kind() else { continue };
            for (key, value) in value.as_object().into_iter().flatten() {
                unknown(&inner, value, &join(&path, key), wrong);
            }
        } else if let Kind::Message(inner) = field.kind() {
            match value {
                Value::Array(items) if field.is_list() => {
                    for (n, item) in items.iter().enumerate() {
                        unknown(&inner, item, &format!("{path}[{n}]"), wrong);
                    }
                }
                value => unknown(&inner, value, &path, wrong),
            }
        }
    }
}

/// Finds the field that made a reading fail, by reading the fields one by one.
fn culprit(descriptor: &MessageDescriptor, value: &Value, path: &str, why: &str) -> Violations {
    let (Value::Object(object), false) = (value, is_well_known(descriptor)) else {
        return Violations::one(path, format!("cannot be read: {why}"));
    };
    for (key, value) in object {
        let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
        let Err(why) = read(descriptor, &alone) else { continue };
        let field = descriptor.get_field_by_name(key).or_else(|| descriptor.get_field_by_json_name(key));
        let path = join(path, key);
        let Some(Kind::Message(inner)) = field.as_ref().map(|field| field.kind()) else {
            return Violations::one(path, format!("cannot be read: {why}"));
        };
        if is_well_known(&inner) {
            let why = expected(&inner).map_or_else(|| format!("cannot be read: {why}"), str::to_owned);
            return Violations::one(path, why);
        }
        let list = field.is_some_and(|field| field.is_list());
        return match value {
            Value::Array(items) if list => items
                .iter()
                .enumerate()
                .find_map(|(n, item)| {
                    let why = read(&inner, item).err()?;
                    Some(culprit(&inner, item, &format!("{path}[{n}]"), &why))
                })
                .unwrap_or_else(|| Violations::one(path, format!("cannot be read: {why}"))),
            Value::Object(_) if !inner.is_map_entry() => culprit(&inner, value, &path, &why),
            _ => Violations::one(path, format!("cannot be read: {why}")),
        };
    }
    Violations::one(path, format!("cannot be read: {why}"))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    fn key(text: &str) -> Result<DynamicMessage, String> {
        let descriptor = contract::pool().get_message_by_name("crs.types.v1.Key").unwrap();
        message(&descriptor, object(text.as_bytes()).map_err(|w| w.to_string())?).map_err(|w| w.to_string())
    }

    #[test]
    fn both_cases_and_string_numbers_are_read() {
        let read = key(r#"{"secretHint":"x","limits":[{"amount":"5"},{"amount":6}]}"#).unwrap();
        assert_eq!(read, key(r#"{"secret_hint":"x","limits":[{"amount":5},{"amount":"6"}]}"#).unwrap());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (r#"{"nmae":"x"}"#, "nmae: there is no such field"),
            (r#"{"limits":[{},{"windw":{}}]}"#, "limits[1].windw: there is no such field"),
            (r#"{"account_binding":{"claude":{"x":1}}}"#, "account_binding.claude.x: there is no such field"),
            (r#"{"name":5}"#, "name: cannot be read"),
            (r#"{"limits":[{"window":{"minutes":-1}}]}"#, "limits[0].window.minutes: cannot be read"),
            (r#"{"expiration":{"expires_at":"soon"}}"#, "expiration.expires_at: must be a time such as"),
            (r#"{"expiration":{"duration":"24h"}}"#, "expiration.duration: must be a duration in seconds"),
            (r#"{"service_multipliers":{"claude":"x"}}"#, "service_multipliers: cannot be read"),
            (r#"{"name":"a","name":"b"}"#, "`name` stands twice"),
            ("[]", "must be a JSON object"),
            ("{", "is not JSON"),
        ];
        for (text, expected) in cases {
            let wrong = key(text).unwrap_err();
            assert!(wrong.contains(expected), "{text}: {wrong}");
        }
    }
}
