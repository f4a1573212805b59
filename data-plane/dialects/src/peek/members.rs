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

    /// The splices by which these members go and others are put first (`put`: members with the commas between them;
    /// empty: none), in order. What stays is touched nowhere, and the document stays whole.
    pub fn edit(&self, put: String, gone: &[&str]) -> Vec<(Range<usize>, String)> {
        let mut splices = Vec::new();
        // Members that go from the beginning on, one after the other.
        let mut lead: Option<&Member> = None;
        for member in self.noted.iter().filter(|member| gone.contains(&member.name)) {
            if member.before.is_none() || lead.is_some_and(|last| member.before == Some(last.end)) {
                lead = Some(member);
            } else {
                splices.push((member.before.unwrap_or(member.key)..member.end, String::new()));
            }
        }
        let first = match lead {
            // Whatever follows brings the comma before it.
            Some(last) if !put.is_empty() => Some((self.start..last.end, put)),
            Some(last) => Some((self.start..last.after.unwrap_or(last.end), put)),
            None if put.is_empty() => None,
            None if self.last_end.is_none() => Some((self.start..self.start, put)),
            None => Some((self.start..self.start, put + ",")),
        };
        splices.splice(0..0, first);
        splices
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

    /// The body after an edit, however it was cut into pieces.
    fn edited(body: &str, put: &str, gone: &[&str]) -> String {
        let mut results = Vec::new();
        for step in 1..=body.len() {
            let mut scanner = Scanner::new(Dialect::AnthropicMessages);
            body.as_bytes().chunks(step).for_each(|piece| scanner.push(piece).unwrap());
            let (mut result, mut at) = (String::new(), 0);
            for (range, with) in scanner.finish().unwrap().members.edit(put.to_owned(), gone) {
                result += &body[at..range.start];
                result += &with;
                at = range.end;
            }
            results.push(result + &body[at..]);
        }
        results.dedup();
        assert_eq!(results.len(), 1);
        results.remove(0)
    }

    #[test]
    fn wherever_members_stand_the_document_stays_whole() {
        const ALL: [(&str, &str); 4] = [
            ("model", r#""model" :"m""#),
            ("stream", r#""stream":true"#),
            ("max_tokens", r#""max_tokens":1"#),
            ("x", r#""x":{"model":[ 2 ]}"#),
        ];
        let mut bodies = vec!["{}".to_owned(), " { } ".to_owned()];
        for (a, (_, alone)) in ALL.iter().enumerate() {
            bodies.push(format!("{{{alone}}}"));
            for b in (0..4).filter(|&b| b != a) {
                bodies.push(format!("{{ {} , {} }}", alone, ALL[b].1));
                for c in (0..4).filter(|&c| c != a && c != b) {
                    bodies.push(format!("{{{},\n{},{}}}", alone, ALL[b].1, ALL[c].1));
                }
            }
        }
        for body in bodies {
            for gone in [&["model", "stream"][..], &["stream"], &["model", "max_tokens", "stream"], &[]] {
                for put in ["", r#""put":1,"more":2"#] {
                    let mut expected: serde_json::Value = serde_json::from_str(&body).unwrap();
                    let object = expected.as_object_mut().unwrap();
                    object.retain(|name, _| !gone.contains(&name.as_str()));
                    if !put.is_empty() {
                        object.extend([("put".to_owned(), 1.into()), ("more".to_owned(), 2.into())]);
                    }
                    let left = edited(&body, put, gone);
                    assert_eq!(
                        serde_json::from_str::<serde_json::Value>(&left).ok(),
                        Some(expected),
                        "{left}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_stays_is_as_it_was() {
        let body = "{ \"a\" : 1 ,\t\"stream\":true, \"b\":[ 1 ] }";
        assert_eq!(edited(body, "", &["stream"]), "{ \"a\" : 1, \"b\":[ 1 ] }");
        assert_eq!(edited(body, "", &[]), body);
    }
}
