//! JSON Schema as each provider takes it.

use std::borrow::Cow;

use crate::json::{Json, Object, object};

/// Keywords that Gemini documents for `parametersJsonSchema` and `responseJsonSchema`.
const GEMINI: [&str; 24] = [
    "$id",
    "$defs",
    "$ref",
    "$anchor",
    "type",
    "format",
    "title",
    "description",
    "enum",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "anyOf",
    "oneOf",
    "properties",
    "additionalProperties",
    "required",
    "propertyOrdering",
    "default",
    "examples",
    "nullable",
];
/// Keywords that structured answers of Claude refuse.
const NOT_CLAUDE: [&str; 14] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "not",
    "if",
];

/// The schema as Gemini takes it, and whether keywords were lost.
pub fn for_gemini(schema: Json<'_>) -> (Json<'_>, bool) {
    let mut lost = false;
    let schema = gemini(schema, &mut lost);
    (schema, lost)
}

/// The schema as structured answers of Claude take it, and whether keywords were lost.
pub fn for_claude(schema: Json<'_>) -> (Json<'_>, bool) {
    let mut lost = false;
    let schema = claude(schema, &mut lost);
    (schema, lost)
}

/// Whether a schema is one that OpenAI calls strict: every object closed, and every property required.
pub fn is_strict(schema: &Json<'_>) -> bool {
    match schema {
        Json::Object(object) => {
            let closed = object.get("additionalProperties").and_then(Json::as_bool) == Some(false);
            let properties = object.get("properties");
            let strict = match properties {
                Some(Json::Object(properties)) => {
                    let required = object.get("required").map(Json::elements).unwrap_or_default();
                    let needed = |name: &str| required.iter().any(|text| text.as_str() == Some(name));
                    closed && properties.0.iter().all(|(name, _)| needed(name))
                }
                _ => object.text("type") != Some("object"),
            };
            strict && object.0.iter().all(|(_, value)| is_strict(value))
        }
        Json::Array(elements) => elements.iter().all(is_strict),
        _ => true,
    }
}

/// What a keyword holds.
enum Holds {
    Schema,
    Schemas,
    Named,
    Value,
}

fn holds(keyword: &str) -> Holds {
    match keyword {
        "items" | "additionalProperties" | "contains" => Holds::Schema,
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => Holds::Schemas,
        "properties" | "$defs" | "definitions" => Holds::Named,
        _ => Holds::Value,
    }
}

fn within<'a>(
    keyword: &str,
    value: Json<'a>,
    lost: &mut bool,
    each: fn(Json<'a>, &mut bool) -> Json<'a>,
) -> Json<'a> {
    match (holds(keyword), value) {
        (Holds::Schema, value @ Json::Object(_)) => each(value, lost),
        (Holds::Schemas, Json::Array(schemas)) => {
            Json::Array(schemas.into_iter().map(|schema| each(schema, lost)).collect())
        }
        (Holds::Named, Json::Object(named)) => Json::Object(Object(
            named.0.into_iter().map(|(name, schema)| (name, each(schema, lost))).collect(),
        )),
        (_, value) => value,
    }
}

fn gemini<'a>(schema: Json<'a>, lost: &mut bool) -> Json<'a> {
    let Json::Object(object) = schema else { return schema };
    let mut kept = Object::default();
    for (keyword, value) in flat(object).0 {
        match keyword.as_ref() {
            "const" => kept.put("enum", vec![value]),
            "definitions" => kept.put("$defs", within("$defs", value, lost, gemini)),
            "$ref" => {
                let renamed = value.as_str().and_then(|path| path.strip_prefix("#/definitions/"));
                match renamed.map(|name| format!("#/$defs/{name}")) {
                    Some(path) => kept.put("$ref", path),
                    None => kept.put("$ref", value),
                }
            }
            // Of formats only these are taken for texts; others are refused.
            "format"
                if !matches!(
                    value.as_str(),
                    Some("date-time" | "date" | "time" | "enum" | "int32" | "int64" | "float" | "double")
                ) =>
            {
                *lost = true;
            }
            known if GEMINI.contains(&known) => {
                let value = within(&keyword, value, lost, gemini);
                kept.put_named(keyword, value);
            }
            // It says which JSON Schema it is, and nothing of what is allowed.
            "$schema" | "$comment" => {}
            _ => *lost = true,
        }
    }
    Json::Object(kept)
}

/// `allOf` with one schema is that schema.
fn flat(mut object: Object<'_>) -> Object<'_> {
    let single = matches!(object.get("allOf"), Some(Json::Array(schemas)) if schemas.len() == 1);
    if single && let Some(Json::Array(mut schemas)) = object.take("allOf") {
        let inner = schemas.pop().unwrap_or_default().into_object();
        for (keyword, value) in inner.0 {
            if object.get(&keyword).is_none() {
                object.0.push((keyword, value));
            }
        }
    }
    object
}

fn claude<'a>(schema: Json<'a>, lost: &mut bool) -> Json<'a> {
    let Json::Object(object) = schema else { return schema };
    let is_object = object.get("properties").is_some() || object.text("type") == Some("object");
    let mut kept = Object::default();
    for (keyword, value) in object.0 {
        match keyword.as_ref() {
            "additionalProperties" if is_object => {
                *lost |= value.as_bool() != Some(false);
            }
            // An array may be asked to hold one element, not more.
            "minItems" if value.as_u64().is_some_and(|least| least > 1) => *lost = true,
            refused if NOT_CLAUDE.contains(&refused) => *lost = true,
            "oneOf" => kept.put("anyOf", within("anyOf", value, lost, claude)),
            "$schema" | "$comment" => {}
            _ => {
                let value = within(&keyword, value, lost, claude);
                kept.put_named(keyword, value);
            }
        }
    }
    if is_object {
        kept.put("additionalProperties", false);
    }
    Json::Object(kept)
}

/// The schema of a tool that takes any text.
pub fn of_custom<'a>() -> Json<'a> {
    let text = object! { "type": "string", "description": "The tool's whole input, as it is." };
    object! {
        "type": "object",
        "properties": object! { "input": text },
        "required": vec![Json::from("input")],
        "additionalProperties": false,
    }
    .into()
}

/// The schema of a tool that takes nothing.
pub fn of_nothing<'a>() -> Json<'a> {
    Json::Object(Object(vec![
        (Cow::Borrowed("type"), "object".into()),
        (Cow::Borrowed("properties"), Json::Object(Object::default())),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(schema: &str, step: fn(Json<'_>) -> (Json<'_>, bool)) -> (String, bool) {
        let (schema, lost) = step(Json::parse_text(schema).unwrap());
        (schema.to_text(), lost)
    }

    #[test]
    fn gemini_gets_the_keywords_it_knows() {
        let (schema, lost) = on(
            r##"{"$schema":"x","type":"object","properties":{"pattern":{"type":"string","pattern":"a","const":"b"},
            "x":{"$ref":"#/definitions/d"}},"definitions":{"d":{"allOf":[{"type":"string"}]}},"additionalProperties":false}"##,
            for_gemini,
        );
        assert!(lost);
        assert_eq!(
            schema,
            r##"{"type":"object","properties":{"pattern":{"type":"string","enum":["b"]},"x":{"$ref":"#/$defs/d"}},"$defs":{"d":{"type":"string"}},"additionalProperties":false}"##
        );
        assert!(!on(r#"{"type":["string","null"]}"#, for_gemini).1);
    }

    #[test]
    fn claudes_objects_are_closed() {
        let (schema, lost) =
            on(r#"{"type":"object","properties":{"a":{"type":"integer","minimum":1}}}"#, for_claude);
        assert!(lost);
        assert_eq!(
            schema,
            r#"{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":false}"#
        );
    }

    #[test]
    fn strict_is_closed_and_required() {
        let strict = |text: &str| is_strict(&Json::parse_text(text).unwrap());
        assert!(strict(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#
        ));
        assert!(!strict(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#
        ));
        assert!(!strict(r#"{"type":"object"}"#));
    }
}
