//! OpenAPI 3.1 of the REST routes: from the same bindings that the router serves, described by the contract's comments.

mod comments;
mod parameters;
mod schemas;

use prost_reflect::MethodDescriptor;
use serde_json::{Map, Value, json};

use self::{comments::Comments, schemas::Schemas};
use crate::{
    guard::{Rule, rule},
    rest::bindings::{Binding, Body},
};

/// The document.
pub fn document(bindings: &[Binding]) -> Value {
    let Some(first) = bindings.first() else { return json!({}) };
    let comments = Comments::of(first.method.parent_pool());
    let mut schemas = Schemas::new(&comments);
    let mut paths: Map<String, Value> = Map::new();
    for binding in bindings {
        let operation = operation(binding, &comments, &mut schemas);
        let path = paths.entry(binding.template.openapi()).or_insert_with(|| json!({}));
        path[binding.verb.as_str().to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Claude Relay Service",
            "version": proto::VERSION,
            "description": "Administration. Every operation is also a gRPC method; both come from one definition. \
                64-bit integers are JSON numbers, field names are as in the contract (camel case is understood), \
                and an update changes the fields that its body holds.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags(bindings, &comments),
        "paths": paths,
        "components": {
            "schemas": schemas.finish(error_schema()),
            "securitySchemes": { "bearer": {
                "type": "http", "scheme": "bearer",
                "description": "An access token from login, or a token for programs (`crs_at_…`).",
            }},
            "responses": { "Error": {
                "description": "It was refused or it failed.",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
            }},
        },
    })
}

fn tags(bindings: &[Binding], comments: &Comments) -> Vec<Value> {
    let mut tags: Vec<Value> = Vec::new();
    for binding in bindings {
        let service = binding.method.parent_service();
        let name = tag(&binding.method);
        if tags.iter().all(|tag| tag["name"] != name) {
            let about = comments.at(&service.parent_file(), service.path());
            tags.push(json!({ "name": name, "description": about }));
        }
    }
    tags
}

/// The service's name without the word: `KeyService` is `Key`.
fn tag(method: &MethodDescriptor) -> String {
    let service = method.parent_service();
    service.name().strip_suffix("Service").unwrap_or(service.name()).to_owned()
}

fn operation(binding: &Binding, comments: &Comments, schemas: &mut Schemas<'_>) -> Value {
    let method = &binding.method;
    let about = comments.at(&method.parent_file(), method.path());
    let summary = about.split_once(". ").map_or(about.as_str(), |(first, _)| first).trim_end_matches('.');
    let suffix = if binding.index == 0 { String::new() } else { format!("_{}", binding.index + 1) };
    let (who, security) = match rule(method) {
        Rule::Public => ("Anyone, without login.".to_owned(), json!([])),
        Rule::Role(role) => (format!("Needs the role `{role}`."), json!([{ "bearer": [] }])),
        Rule::Nobody => ("Nobody on this port.".to_owned(), json!([{ "bearer": [] }])),
    };
    let mut operation = json!({
        "operationId": format!("{}_{}{suffix}", tag(method), method.name()),
        "tags": [tag(method)],
        "summary": summary,
        "description": format!("{about}\n\n{who}"),
        "parameters": parameters::of(binding, comments),
        "security": security,
        "responses": { "200": success(method, schemas), "default": { "$ref": "#/components/responses/Error" } },
    });
    if let Some(body) = body(binding, schemas) {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": body } },
        });
    }
    operation
}

fn success(method: &MethodDescriptor, schemas: &mut Schemas<'_>) -> Value {
    let schema = schemas.reference(&method.output());
    let content = match method.is_server_streaming() {
        false => json!({ "application/json": { "schema": schema } }),
        true => json!({
            "application/x-ndjson": { "schema": schema.clone() },
            "text/event-stream": { "schema": schema },
        }),
    };
    json!({ "description": "It was done.", "content": content })
}

fn body(binding: &Binding, schemas: &mut Schemas<'_>) -> Option<Value> {
    match &binding.body {
        Body::None => None,
        Body::Field(field) => match field.kind() {
            prost_reflect::Kind::Message(message) => Some(schemas.reference(&message)),
            _ => None,
        },
        Body::All => {
            let by_path: Vec<&str> = binding
                .template
                .variables
                .iter()
                .filter_map(|variable| variable.path.first().map(String::as_str))
                .collect();
            Some(schemas.inline_without(&binding.method.input(), &by_path))
        }
    }
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "description": "What was refused or failed.",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "status", "message", "details"],
            "properties": {
                "code": { "type": "integer", "description": "HTTP status." },
                "status": { "type": "string", "description": "Name of the `google.rpc.Code`." },
                "message": { "type": "string", "description": "For people." },
                "details": {
                    "type": "array",
                    "description": "`google.rpc` details: `ErrorInfo` (a reason for programs), `BadRequest` \
                        (what is wrong with which field), `RetryInfo`.",
                    "items": {
                        "type": "object",
                        "required": ["@type"],
                        "properties": { "@type": { "type": "string" } },
                        "additionalProperties": true,
                    },
                },
            },
        }},
    })
}

#[cfg(test)]
mod tests;
