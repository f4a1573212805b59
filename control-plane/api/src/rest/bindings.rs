//! The HTTP routes of the contract, read from its `google.api.http` options. The router serves them and OpenAPI
//! describes them, so the two cannot differ.

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
};

use super::template::{Template, TemplateError};
use crate::contract;

/// What of the request message the body is.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing: the rest comes from the query.
    None,
    /// All that the path does not give.
    All,
    /// One message field; the rest comes from the query.
    Field(FieldDescriptor),
}

/// One route of one method.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The method.
    pub method: MethodDescriptor,
    /// HTTP method.
    pub verb: http::Method,
    /// Path.
    pub template: Template,
    /// Body.
    pub body: Body,
    /// 0 for the method's own route, from 1 on for the additional ones.
    pub index: usize,
}

/// A route that this transcoder cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum BindingError {
    /// Its path.
    #[error("{method}: {source}")]
    Template {
        /// Full name of the method.
        method: String,
        /// What is wrong.
        source: TemplateError,
    },
    /// Something else.
    #[error("{method}: {why}")]
    Shape {
        /// Full name of the method.
        method: String,
        /// What is wrong.
        why: String,
    },
}

/// All routes of some methods. Methods without a route have none: they are gRPC only.
///
/// # Errors
/// The first route that cannot be served.
pub fn read(
    pool: &DescriptorPool,
    methods: impl Iterator<Item = MethodDescriptor>,
) -> Result<Vec<Binding>, BindingError> {
    let Some(http) = contract::extension(pool, "google.api.http") else { return Ok(Vec::new()) };
    let mut bindings = Vec::new();
    for method in methods {
        if !method.options().has_extension(&http) {
            continue;
        }
        let options = method.options();
        let rule = options.get_extension(&http);
        let Some(rule) = rule.as_message() else { continue };
        bindings.push(one(&method, rule, 0)?);
        let more = rule.get_field_by_name("additional_bindings");
        let more = more.as_ref().and_then(|more| more.as_list()).unwrap_or_default();
        for (n, rule) in more.iter().filter_map(|rule| rule.as_message()).enumerate() {
            bindings.push(one(&method, rule, n + 1)?);
        }
    }
    Ok(bindings)
}

fn one(method: &MethodDescriptor, rule: &DynamicMessage, index: usize) -> Result<Binding, BindingError> {
    let wrong =
        |why: &str| BindingError::Shape { method: method.full_name().to_owned(), why: why.to_owned() };
    let text = |name: &str| {
        rule.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let verbs = [
        ("get", http::Method::GET),
        ("put", http::Method::PUT),
        ("post", http::Method::POST),
        ("delete", http::Method::DELETE),
        ("patch", http::Method::PATCH),
    ];
    let (name, verb) = verbs
        .into_iter()
        .find(|(name, _)| rule.has_field_by_name(name))
        .ok_or_else(|| wrong("a route needs one of get, put, post, delete, patch"))?;
    let template = Template::parse(&text(name))
        .map_err(|source| BindingError::Template { method: method.full_name().to_owned(), source })?;
    if !text("response_body").is_empty() {
        return Err(wrong("response_body is not supported"));
    }
    let body = match text("body").as_str() {
        "" => Body::None,
        "*" => Body::All,
        field => match method.input().get_field_by_name(field) {
            Some(field)
                if matches!(field.kind(), Kind::Message(_)) && !field.is_list() && !field.is_map() =>
            {
                Body::Field(field)
            }
            _ => return Err(wrong("its body is no message field")),
        },
    };
    for variable in &template.variables {
        let field =
            field_at(&method.input(), &variable.path).ok_or_else(|| wrong("a variable is no field"))?;
        if field.cardinality() == Cardinality::Repeated || matches!(field.kind(), Kind::Message(_)) {
            return Err(wrong("a variable is no single value"));
        }
    }
    Ok(Binding { method: method.clone(), verb, template, body, index })
}

/// The field at a path of proto names.
pub fn field_at(message: &MessageDescriptor, path: &[String]) -> Option<FieldDescriptor> {
    let (last, parents) = path.split_last()?;
    let mut message = message.clone();
    for name in parents {
        match message.get_field_by_name(name)?.kind() {
            Kind::Message(inner) => message = inner,
            _ => return None,
        }
    }
    message.get_field_by_name(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_contract_has_routes_that_can_be_served() {
        let bindings = read(contract::pool(), contract::methods()).unwrap();
        for method in contract::methods() {
            let own = bindings.iter().filter(|b| b.method.full_name() == method.full_name()).count();
            assert!(own >= 1, "{} has no route", method.full_name());
        }
        assert!(bindings.iter().all(|binding| binding.template.openapi().starts_with("/api/v2/")));
    }
}
