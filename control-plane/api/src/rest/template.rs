//! Path templates of `google.api.http`: `/v1/{parent=a/*}/b/{key.id}:verb`. Parsing and matching, nothing else.

use std::fmt::Write as _;

/// One part of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// Exactly this.
    Literal(String),
    /// Any one.
    Any,
    /// Any number of the rest, at least one.
    Rest,
}

/// A field that the path gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Names of fields from the request message inwards.
    pub path: Vec<String>,
    /// First segment.
    pub start: usize,
    /// One past the last segment; `usize::MAX` when it takes the rest.
    pub end: usize,
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its segments.
    pub segments: Vec<Segment>,
    /// What follows the last segment after `:`.
    pub verb: Option<String>,
    /// What the segments give.
    pub variables: Vec<Variable>,
}

/// A template that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{template}` is no path template: {why}")]
pub struct TemplateError {
    template: String,
    why: &'static str,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let wrong = |why| TemplateError { template: text.to_owned(), why };
        let rest = text.strip_prefix('/').ok_or_else(|| wrong("it does not begin with `/`"))?;
        let (rest, verb) = match rest.rsplit_once(':') {
            Some((rest, verb)) if !verb.contains(['/', '}']) => (rest, Some(verb.to_owned())),
            _ => (rest, None),
        };
        if verb.as_deref() == Some("") {
            return Err(wrong("its verb is empty"));
        }
        let mut template = Self { segments: Vec::new(), verb, variables: Vec::new() };
        for part in split_outside_braces(rest) {
            template.add(part).map_err(wrong)?;
        }
        if let Some(at) = template.segments.iter().position(|segment| *segment == Segment::Rest)
            && at + 1 != template.segments.len()
        {
            return Err(wrong("`**` is not last"));
        }
        Ok(template)
    }

    fn add(&mut self, part: &str) -> Result<(), &'static str> {
        let Some(inner) = part.strip_prefix('{') else { return self.add_plain(part) };
        let inner = inner.strip_suffix('}').ok_or("a `{` is not closed")?;
        let (path, pattern) = inner.split_once('=').unwrap_or((inner, "*"));
        let start = self.segments.len();
        for part in pattern.split('/') {
            self.add_plain(part)?;
        }
        let rest = self.segments.last() == Some(&Segment::Rest);
        let end = if rest { usize::MAX } else { self.segments.len() };
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err("a variable has no name");
        }
        self.variables.push(Variable { path, start, end });
        Ok(())
    }

    fn add_plain(&mut self, part: &str) -> Result<(), &'static str> {
        self.segments.push(match part {
            "" => return Err("a segment is empty"),
            "*" => Segment::Any,
            "**" => Segment::Rest,
            literal if literal.contains(['{', '}', '*']) => return Err("a segment mixes kinds"),
            literal => Segment::Literal(literal.to_owned()),
        });
        Ok(())
    }

    /// The template as OpenAPI writes it, its variables by [`Variable::name`]; only for templates whose variables are
    /// single segments.
    pub fn openapi(&self) -> String {
        let mut text = String::new();
        for (n, segment) in self.segments.iter().enumerate() {
            match (segment, self.variables.iter().find(|variable| variable.start == n)) {
                (Segment::Literal(literal), _) => {
                    let _ = write!(text, "/{literal}");
                }
                (_, Some(variable)) => {
                    let _ = write!(text, "/{{{}}}", variable.name());
                }
                (_, None) => {
                    let _ = write!(text, "/{{segment{n}}}");
                }
            }
        }
        if let Some(verb) = &self.verb {
            let _ = write!(text, ":{verb}");
        }
        text
    }
}

impl Variable {
    /// What OpenAPI calls it: its last field name, so that `/keys/{id}` and `/keys/{key.id}` are one path there, as
    /// they are to the router. OpenAPI forbids two that differ in their variables' names alone.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// The value that a path gives it.
    pub fn value(&self, segments: &[String]) -> String {
        segments[self.start..self.end.min(segments.len())].join("/")
    }
}

fn split_outside_braces(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b'/' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Segment {
        Segment::Literal(text.into())
    }

    #[test]
    fn templates_are_read() {
        let template = Template::parse("/v1/keys/{key.id}:rotate").unwrap();
        assert_eq!(template.segments, [literal("v1"), literal("keys"), Segment::Any]);
        assert_eq!(template.verb.as_deref(), Some("rotate"));
        assert_eq!(template.variables[0].path, ["key", "id"]);
        assert_eq!(template.openapi(), "/v1/keys/{id}:rotate");
        let template = Template::parse("/v1/{name=users/*/keys/*}/x/{rest=**}").unwrap();
        assert_eq!(template.segments.len(), 7);
        assert_eq!((template.variables[0].start, template.variables[0].end), (1, 5));
        let path: Vec<String> = "v1/users/u/keys/k/x/a/b".split('/').map(str::to_owned).collect();
        assert_eq!(template.variables[0].value(&path), "users/u/keys/k");
        assert_eq!(template.variables[1].value(&path), "a/b");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for wrong in ["", "v1", "/v1//x", "/v1/{a", "/v1/{}", "/v1/**/x", "/v1/a*", "/v1/x:", "/v1/{a..b}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
