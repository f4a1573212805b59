//! Where a body's top-level members stand, so that one can be taken out, replaced or put beside others by a splice over
//! its own bytes (and a comma), never by writing the document anew.

use std::ops::Range;

use smallvec::SmallVec;

/// One member. Offsets count from the body's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Where its key starts, quote included.
    pub key: usize,
    /// Just after its value.
    pub end: usize,
    /// Just after the value of the member before it; none: it is the first.
    before: Option<usize>,
    /// Where the key of the member after it starts; none: it is the last.
    after: Option<usize>,
}

impl Member {
    /// What to leave out so that the member is gone and the document still whole.
    pub fn removal(&self) -> Range<usize> {
        match (self.before, self.after) {
            (Some(before), _) => before..self.end,
            (None, Some(after)) => self.key..after,
            (None, None) => self.key..self.end,
        }
    }

    /// What another member that takes its place stands for.
    pub fn place(&self) -> Range<usize> {
        self.key..self.end
    }
}

/// The members that a dialect's scanner knows of, in the order in which they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    noted: SmallVec<[Member; 6]>,
    /// The member that is being read is the last of `noted`.
    open: bool,
    /// Just after the body's opening brace.
    start: usize,
    /// Just after the last value that ended at the top.
    last_end: Option<usize>,
}

impl Members {
    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&Member> {
        self.noted.iter().find(|member| member.name == name)
    }

    /// Just after the body's opening brace: where a member can be put, with a comma behind it unless the body is empty.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Whether the body has no member at all.
    pub fn is_empty(&self) -> bool {
        self.last_end.is_none()
    }

    pub(super) fn begin(&mut self, at: usize) {
        self.start = at + 1;
    }

    /// A key stands at `key`; `name` where it is one to note.
    pub(super) fn key(&mut self, key: usize, name: Option<&'static str>) {
        if let Some(last) = self.noted.last_mut().filter(|last| last.after.is_none() && last.end > 0) {
            last.after = Some(key);
        }
        self.open = name.is_some();
        if let Some(name) = name {
            self.noted.push(Member { name, key, end: 0, before: self.last_end, after: None });
        }
    }

    /// A value at the top ended just before `end`.
    pub(super) fn value_ended(&mut self, end: usize) {
        self.last_end = Some(end);
        if std::mem::take(&mut self.open)
            && let Some(last) = self.noted.last_mut()
        {
            last.end = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Dialect, peek::Scanner};

    /// The body without that member, however it was cut into pieces.
    fn without(body: &str, name: &str) -> String {
        let mut results = Vec::new();
        for step in 1..=body.len() {
            let mut scanner = Scanner::new(Dialect::AnthropicMessages);
            body.as_bytes().chunks(step).for_each(|piece| scanner.push(piece).unwrap());
            let range = scanner.finish().unwrap().members.get(name).unwrap().removal();
            results.push([&body[..range.start], &body[range.end..]].concat());
        }
        results.dedup();
        assert_eq!(results.len(), 1);
        results.remove(0)
    }

    #[test]
    fn a_member_leaves_a_whole_document_behind() {
        for body in [
            r#"{"model":"m","stream":true,"max_tokens":1}"#,
            r#"{ "max_tokens" : 1 , "stream" : true , "model" : "m" }"#,
            r#"{"stream":true,"messages":[{"stream":1}],"model":"m"}"#,
            r#"{"x":{"model":2},"model":"m","stream":false}"#,
        ] {
            for name in ["model", "stream"] {
                let left: serde_json::Value = serde_json::from_str(&without(body, name)).unwrap();
                let mut expected: serde_json::Value = serde_json::from_str(body).unwrap();
                expected.as_object_mut().unwrap().remove(name);
                assert_eq!(left, expected, "{body} without {name}");
            }
        }
        assert_eq!(without(r#"{"model":"m"}"#, "model"), "{}");
    }

    #[test]
    fn where_a_member_can_be_put_first() {
        let peek = |body: &str| crate::peek::peek(Dialect::AnthropicMessages, body.as_bytes()).unwrap();
        let body = " { \"model\":\"m\"}";
        assert_eq!((peek(body).members.start(), peek(body).members.is_empty()), (2, false));
        assert!(peek("{}").members.is_empty());
    }
}
