//! From HTTP method and path to a route: a tree of segments in which literals come before variables.

use std::collections::BTreeMap;

use http::Method;

use super::{bindings::Binding, template::Segment};

/// The routes.
pub struct Router {
    bindings: Vec<Binding>,
    root: Branch,
}

#[derive(Default)]
struct Branch {
    literals: BTreeMap<String, Branch>,
    any: Option<Box<Branch>>,
    rest: Vec<usize>,
    here: Vec<usize>,
}

/// What a path leads to.
pub enum Found<'a> {
    /// A route, and the path's segments without the verb.
    Route(&'a Binding, Vec<String>),
    /// The path is known, but not with this method; these are.
    OtherMethods(Vec<Method>),
    /// Nothing.
    Nothing,
}

impl Router {
    /// Arranges routes.
    pub fn new(bindings: Vec<Binding>) -> Self {
        let mut root = Branch::default();
        for (n, binding) in bindings.iter().enumerate() {
            let mut branch = &mut root;
            let mut rest = false;
            for segment in &binding.template.segments {
                branch = match segment {
                    Segment::Literal(literal) => branch.literals.entry(literal.clone()).or_default(),
                    Segment::Any => branch.any.get_or_insert_default(),
                    Segment::Rest => {
                        rest = true;
                        break;
                    }
                };
            }
            if rest { branch.rest.push(n) } else { branch.here.push(n) }
        }
        Self { bindings, root }
    }

    /// The routes, in the order given.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Finds the route of a request.
    pub fn find(&self, method: &Method, segments: &[String]) -> Found<'_> {
        let with_verb = segments.last().and_then(|last| last.rsplit_once(':')).map(|(last, verb)| {
            let mut bare = segments.to_vec();
            if let Some(place) = bare.last_mut() {
                last.clone_into(place);
            }
            (bare, verb)
        });
        let mut others = Vec::new();
        // A route with a verb is the narrower one, so it is looked for first.
        if let Some((bare, verb)) = &with_verb
            && !bare.last().is_some_and(String::is_empty)
            && let Some(binding) = self.pick(method, bare, Some(verb), &mut others)
        {
            return Found::Route(binding, bare.clone());
        }
        if let Some(binding) = self.pick(method, segments, None, &mut others) {
            return Found::Route(binding, segments.to_vec());
        }
        others.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        others.dedup();
        if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
    }

    fn pick(
        &self,
        method: &Method,
        segments: &[String],
        verb: Option<&str>,
        others: &mut Vec<Method>,
    ) -> Option<&Binding> {
        let mut fitting = Vec::new();
        collect(&self.root, segments, &mut fitting);
        for binding in fitting.into_iter().map(|n| &self.bindings[n]) {
            if binding.template.verb.as_deref() != verb {
                continue;
            }
            if binding.verb == *method {
                return Some(binding);
            }
            others.push(binding.verb.clone());
        }
        None
    }
}

/// All routes that fit, the most literal first.
fn collect(branch: &Branch, segments: &[String], fitting: &mut Vec<usize>) {
    match segments.split_first() {
        None => fitting.extend(&branch.here),
        Some((first, rest)) => {
            if let Some(next) = branch.literals.get(first) {
                collect(next, rest, fitting);
            }
            if let Some(next) = &branch.any {
                collect(next, rest, fitting);
            }
            fitting.extend(&branch.rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contract, rest::bindings};

    fn found(method: Method, path: &str) -> String {
        let router = Router::new(bindings::read(contract::pool(), contract::methods()).unwrap());
        let segments: Vec<String> = path[1..].split('/').map(str::to_owned).collect();
        match router.find(&method, &segments) {
            Found::Route(binding, _) => binding.method.name().to_owned(),
            Found::OtherMethods(methods) => format!("{methods:?}"),
            Found::Nothing => "nothing".into(),
        }
    }

    #[test]
    fn routes_are_found() {
        assert_eq!(found(Method::GET, "/api/v2/keys"), "ListKeys");
        assert_eq!(found(Method::GET, "/api/v2/keys/x"), "GetKey");
        assert_eq!(found(Method::PUT, "/api/v2/keys/x"), "UpdateKey");
        assert_eq!(found(Method::GET, "/api/v2/accounts"), "ListAccounts");
        assert_eq!(found(Method::GET, "/api/v2/accounts/claude"), "ListAccounts");
        assert_eq!(found(Method::POST, "/api/v2/accounts/p/x/reset-rate-limit"), "ResetRateLimit");
        assert_eq!(found(Method::DELETE, "/api/v2/keys"), "[GET, POST]");
        assert_eq!(found(Method::GET, "/api/v2/nowhere"), "nothing");
        assert_eq!(found(Method::GET, "/api/v2/keys/x/y/z"), "nothing");
    }
}
