//! Some values of a JSON object that arrives in pieces, as they were written: so that of a whole answer only its usage,
//! model and error are kept, never its text. They stand at the top (`usage`), or in an object there (`response.usage`).
//! What came before a document broke off counts.

use std::ops::Range;

use crate::json::{Container, Literal, Malformed, Reader, Sink, Take, Text};

#[cfg(test)]
mod tests;

/// Values longer than this are not kept.
const MAX_VALUE: usize = 64 * 1024;

/// Collects the values of some keys.
#[derive(Debug)]
pub struct Fields {
    reader: Reader,
    spans: Spans,
    /// By wanted key: the value's bytes so far.
    values: Vec<Vec<u8>>,
}

/// Where the wanted values are.
#[derive(Debug)]
struct Spans {
    wanted: &'static [&'static str],
    depth: u32,
    key: Vec<u8>,
    /// The top-level key whose object has wanted values; empty: the last key is no such one.
    outer: &'static str,
    /// Whether its object passes now.
    inside: bool,
    /// The wanted key whose value passes now, or last did.
    current: Option<usize>,
    /// Literals that ended in this piece, by wanted key: they are told only at their end, which may lie in another
    /// piece than their start.
    literals: Vec<(usize, &'static [u8])>,
    /// By wanted key: the value's span; its end is 0 while it passes.
    found: Vec<Range<usize>>,
}

impl Fields {
    /// A collector for these keys, `key` or `key.key`. Of a repeated key the last value counts, as most readers have it.
    pub fn new(wanted: &'static [&'static str]) -> Self {
        let found = vec![0..0; wanted.len()];
        let spans = Spans {
            wanted,
            depth: 0,
            key: Vec::new(),
            outer: "",
            inside: false,
            current: None,
            literals: Vec::new(),
            found,
        };
        Self { reader: Reader::default(), spans, values: vec![Vec::new(); wanted.len()] }
    }

    /// Reads the next piece. After an error what was complete before it stays.
    ///
    /// # Errors
    /// When the document is malformed; it is then at its end.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        let before = self.reader.offset();
        let result = self.reader.push(piece, &mut self.spans);
        for (span, value) in self.spans.found.iter().zip(&mut self.values) {
            if span.start == 0 {
                continue;
            }
            if span.start >= before {
                value.clear();
            }
            let end = if span.end == 0 { before + piece.len() } else { span.end };
            let part = span.start.max(before)..end.min(before + piece.len());
            if part.start < part.end && value.len() + part.len() <= MAX_VALUE {
                value.extend_from_slice(&piece[part.start - before..part.end - before]);
            }
        }
        for (index, spelling) in self.spans.literals.drain(..) {
            self.values[index] = spelling.to_vec();
        }
        result
    }

    /// The value of a wanted key, as written; `None` when it did not come whole or was too long.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let index = self.spans.wanted.iter().position(|wanted| *wanted == key)?;
        let (span, value) = (&self.spans.found[index], &self.values[index]);
        (span.end != 0 && value.len() == span.len()).then_some(value)
    }

    /// Whether the document is complete.
    pub fn is_done(&self) -> bool {
        self.reader.is_done()
    }
}

impl Spans {
    /// Whether values at this depth may be wanted.
    #[inline]
    fn looks(&self) -> bool {
        self.depth == 1 || (self.depth == 2 && self.inside)
    }

    fn starts(&mut self, at: usize) {
        if let (true, Some(index)) = (self.looks(), self.current) {
            self.found[index] = at..0;
        }
    }

    /// A key has ended: which wanted one it is.
    fn named(&mut self) {
        let key = self.key.as_slice();
        if self.depth == 2 {
            let outer = self.outer;
            self.current = self.wanted.iter().position(|wanted| {
                wanted.split_once('.').is_some_and(|(first, then)| first == outer && then.as_bytes() == key)
            });
            return;
        }
        self.current = self.wanted.iter().position(|wanted| wanted.as_bytes() == key);
        let firsts = self.wanted.iter().filter_map(|wanted| wanted.split_once('.'));
        self.outer = firsts.map(|(first, _)| first).find(|first| first.as_bytes() == key).unwrap_or_default();
    }

    fn ended(&mut self, end: usize) {
        if self.looks()
            && let Some(index) = self.current.take()
        {
            self.found[index].end = end;
        }
    }
}

impl Sink for Spans {
    type Error = Malformed;

    fn open(&mut self, container: Container, at: usize) -> Result<(), Malformed> {
        if self.depth == 1 && container == Container::Object && !self.outer.is_empty() {
            self.inside = true;
            self.current = None;
        }
        self.starts(at);
        // The members of an array at the top have no keys, so none is ever current.
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Malformed> {
        self.depth -= 1;
        if self.depth == 1 && std::mem::take(&mut self.inside) {
            self.current = None;
        }
        self.ended(end);
        Ok(())
    }

    #[inline]
    fn begin(&mut self, text: Text, at: usize) -> Result<Take, Malformed> {
        if text == Text::Key && self.looks() {
            self.key.clear();
            return Ok(Take::Decoded);
        }
        self.starts(at);
        Ok(Take::Skip)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        // A wanted key is short; the rest of a long one changes nothing.
        if self.key.len() < 256 {
            self.key.extend_from_slice(bytes);
        }
        Ok(())
    }

    #[inline]
    fn end(&mut self, text: Text, end: usize) -> Result<(), Malformed> {
        if text == Text::Key {
            if self.looks() {
                self.named();
            }
        } else {
            self.ended(end);
        }
        Ok(())
    }

    fn literal(&mut self, literal: Literal, at: usize, end: usize) -> Result<(), Malformed> {
        self.starts(at);
        if let (true, Some(index)) = (self.looks(), self.current) {
            self.literals.push((index, literal.spelling()));
        }
        self.ended(end);
        Ok(())
    }
}
