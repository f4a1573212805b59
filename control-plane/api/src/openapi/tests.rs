//! Tests of the document's structure.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{contract, rest::bindings};

fn whole() -> Value {
    document(&bindings::read(contract::pool(), contract::methods()).unwrap())
}

fn visit(value: &Value, see: &mut impl FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|value| visit(value, see));
        }
        Value::Array(list) => list.iter().for_each(|value| visit(value, see)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = whole();
    let mut references = BTreeSet::new();
    visit(&document, &mut |object| {
        if let Some(Value::String(to)) = object.get("$ref") {
            references.insert(to.clone());
        }
    });
    assert!(references.len() > 20);
    for reference in references {
        let at = reference.trim_start_matches('#');
        assert!(document.pointer(at).is_some_and(Value::is_object), "{reference}");
    }
}

#[test]
fn operations_are_complete_and_named_once() {
    let document = whole();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            let at = format!("{verb} {path}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{at}");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{at}");
            let parameters = operation["parameters"].as_array().unwrap();
            let in_path: Vec<_> = parameters
                .iter()
                .filter(|one| one["in"] == "path")
                .map(|one| one["name"].as_str().unwrap())
                .collect();
            assert_eq!(in_path.len(), path.matches('{').count(), "{at}");
            assert!(in_path.iter().all(|name| path.contains(&format!("{{{name}}}"))), "{at}");
            let mut seen = BTreeSet::new();
            for parameter in parameters {
                assert!(seen.insert((parameter["in"].to_string(), parameter["name"].to_string())), "{at}");
                assert!(!parameter["description"].as_str().unwrap().is_empty(), "{at} {}", parameter["name"]);
            }
        }
    }
    let bindings = bindings::read(contract::pool(), contract::methods()).unwrap();
    assert_eq!(ids.len(), bindings.len());
}

#[test]
fn no_two_paths_differ_in_their_variables_names_alone() {
    let document = whole();
    let mut seen = BTreeSet::new();
    for path in document["paths"].as_object().unwrap().keys() {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
        assert!(seen.insert(parts.collect::<Vec<_>>()), "{path}");
    }
    let key = document["paths"]["/api/v2/keys/{id}"].as_object().unwrap();
    assert!(["get", "put", "patch", "delete"].iter().all(|verb| key.contains_key(*verb)));
}

#[test]
fn schemas_are_described_and_their_names_are_unique() {
    let document = whole();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(!schema["description"].as_str().unwrap_or_default().is_empty(), "{name}");
    }
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for message in contract::pool().all_messages() {
        if !matches!(message.package_name(), "crs.types.v1" | "crs.admin.v1") {
            continue;
        }
        let full = message.full_name().to_owned();
        if let Some(other) = names.insert(schemas::name(&full), full.clone()) {
            panic!("{full} and {other} have one name");
        }
    }
}

#[test]
fn what_needs_a_login_says_so() {
    let document = whole();
    let login = &document["paths"]["/api/v2/auth/admin/login"]["post"];
    assert_eq!(login["security"], json!([]));
    assert_eq!(
        login["requestBody"]["content"]["application/json"]["schema"]["properties"]["password"]["format"],
        "password"
    );
    let create = &document["paths"]["/api/v2/keys"]["post"];
    assert_eq!(create["security"], json!([{ "bearer": [] }]));
    assert_eq!(
        create["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Key"
    );
    let amount = &document["components"]["schemas"]["Limit"]["properties"]["amount"];
    assert_eq!((amount["type"].as_str(), amount["format"].as_str()), (Some("integer"), Some("int64")));
}
