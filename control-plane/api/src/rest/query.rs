//! Query parameters into fields of the request message: nested by `.`, repeated, enums by name or number, times and
//! durations as in JSON; names as in proto or in camel case.

use domain::Violations;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value,
};

use super::{json, path};

/// Most parameters of one request.
const MAX: usize = 256;

/// Splits a query into decoded names and values.
///
/// # Errors
/// Percent signs that encode nothing, and more parameters than anyone needs.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, Violations> {
    let mut pairs = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (Some(name), Some(value)) = (path::decode(name, true), path::decode(value, true)) else {
            return Err(Violations::one("", "the query holds a percent sign that encodes nothing"));
        };
        pairs.push((name, value));
        if pairs.len() > MAX {
            return Err(Violations::one("", format!("the query holds more than {MAX} parameters")));
        }
    }
    Ok(pairs)
}

/// Sets the fields that the parameters name. `taken` says of a path of proto names that path or body gives it.
pub fn apply(
    message: &mut DynamicMessage,
    pairs: &[(String, String)],
    taken: impl Fn(&[String]) -> bool,
    wrong: &mut Violations,
) {
    let mut seen: Vec<Vec<String>> = Vec::new();
    for (name, value) in pairs {
        let Some(fields) = resolve(&message.descriptor(), name) else {
            wrong.add(name, "there is no such parameter");
            continue;
        };
        let names: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
        let Some((last, parents)) = fields.split_last() else { continue };
        if taken(&names) {
            wrong.add(name, "is given by the path or the body");
            continue;
        }
        if !last.is_list() && seen.contains(&names) {
            wrong.add(name, "stands twice");
            continue;
        }
        seen.push(names);
        match single(last, value) {
            Ok(value) => place(message, parents, last, value),
            Err(why) => wrong.add(name, why),
        }
    }
}

/// The fields from the message inwards that a dotted name names.
fn resolve(message: &MessageDescriptor, name: &str) -> Option<Vec<FieldDescriptor>> {
    let mut message = Some(message.clone());
    let mut fields = Vec::new();
    for part in name.split('.') {
        let inside = message.take()?;
        let field = inside.get_field_by_name(part).or_else(|| inside.get_field_by_json_name(part))?;
        if field.is_map() {
            return None;
        }
        if let Kind::Message(inner) = field.kind()
            && !field.is_list()
            && !json::is_well_known(&inner)
        {
            message = Some(inner);
        }
        fields.push(field);
    }
    // What is left open is a message: its fields are parameters, not it.
    message.is_none().then_some(fields)
}

/// Reads one value as the field's kind says.
fn single(field: &FieldDescriptor, text: &str) -> Result<Value, String> {
    fn number<N: std::str::FromStr>(text: &str, make: fn(N) -> Value) -> Result<Value, String> {
        text.parse().map(make).map_err(|_| "must be a number".to_owned())
    }
    match field.kind() {
        Kind::Bool => match text {
            "true" | "1" | "" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err("must be `true` or `false`".into()),
        },
        Kind::String => Ok(Value::String(text.to_owned())),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => number(text, Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => number(text, Value::I64),
        Kind::Uint32 | Kind::Fixed32 => number(text, Value::U32),
        Kind::Uint64 | Kind::Fixed64 => number(text, Value::U64),
        Kind::Float => number(text, Value::F32),
        Kind::Double => number(text, Value::F64),
        Kind::Enum(kind) => enumerated(&kind, text),
        Kind::Bytes => Err("cannot be given in a query".into()),
        Kind::Message(kind) if json::is_well_known(&kind) => well_known(&kind, text),
        Kind::Message(_) => Err("cannot be given in a query".into()),
    }
}

fn enumerated(kind: &EnumDescriptor, text: &str) -> Result<Value, String> {
    let value = match text.parse::<i32>() {
        Ok(number) => kind.get_value(number),
        Err(_) => kind.get_value_by_name(text),
    };
    value.map(|value| Value::EnumNumber(value.number())).ok_or_else(|| {
        let names: Vec<_> = kind.values().map(|value| value.name().to_owned()).collect();
        format!("must be one of {}", names.join(", "))
    })
}

fn well_known(kind: &MessageDescriptor, text: &str) -> Result<Value, String> {
    let expected = json::expected(kind).unwrap_or("cannot be read");
    let text = serde_json::Value::String(text.to_owned());
    DynamicMessage::deserialize(kind.clone(), text).map(Value::Message).map_err(|_| expected.to_owned())
}

fn place(message: &mut DynamicMessage, parents: &[FieldDescriptor], last: &FieldDescriptor, value: Value) {
    let mut inside = message;
    for parent in parents {
        let Some(next) = inside.get_field_mut(parent).as_message_mut() else { return };
        inside = next;
    }
    if last.is_list() {
        if let Some(list) = inside.get_field_mut(last).as_list_mut() {
            list.push(value);
        }
    } else {
        inside.set_field(last, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    fn read(message: &str, query: &str) -> (DynamicMessage, String) {
        let descriptor = contract::pool().get_message_by_name(message).unwrap();
        let mut message = DynamicMessage::new(descriptor);
        let mut wrong = Violations::default();
        let taken = |path: &[String]| path == ["id"];
        apply(&mut message, &pairs(query).unwrap(), taken, &mut wrong);
        (message, wrong.to_string())
    }

    #[test]
    fn nested_parameters_are_read_in_both_cases() {
        let name = "crs.admin.v1.GetTopRequest";
        let (snake, wrong) = read(name, "range.start=2026-01-31T12:00:00Z&limit=5&order_by=tokens");
        assert_eq!(wrong, "");
        let (camel, wrong) = read(name, "range.start=2026-01-31T12%3A00%3A00Z&limit=5&orderBy=tokens");
        assert_eq!((wrong.as_str(), &camel), ("", &snake));
        let (mask, wrong) =
            read("crs.admin.v1.UpdateKeyRequest", "update_mask=name,secretHint&key.tags=a&key.tags=b");
        assert_eq!(wrong, "");
        let mask = mask.transcode_to::<proto::admin::UpdateKeyRequest>().unwrap();
        assert_eq!(mask.update_mask.unwrap().paths, ["name", "secret_hint"]);
        assert_eq!(mask.key.unwrap().tags, ["a", "b"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, expected) in [
            ("pageSize=x", "pageSize: must be a number"),
            ("nope=1", "nope: there is no such parameter"),
            ("deleted=perhaps", "deleted: must be `true` or `false`"),
            ("filter=a&filter=b", "filter: stands twice"),
        ] {
            assert_eq!(read("crs.admin.v1.ListKeysRequest", query).1, expected);
        }
        assert_eq!(read("crs.admin.v1.GetKeyRequest", "id=x").1, "id: is given by the path or the body");
        assert!(read("crs.admin.v1.GetUsageRequest", "range=x").1.contains("no such parameter"));
        assert!(read("crs.admin.v1.GetUsageRequest", "range.end=x").1.contains("must be a time"));
        assert!(pairs("a=%zz").is_err());
    }
}
