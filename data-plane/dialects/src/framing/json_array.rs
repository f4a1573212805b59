//! A stream that is one JSON array, element by element: how Gemini streams where no server-sent events are asked for.
//! Like the framer of those it only finds ends; bytes are passed on as they came.

use crate::json::plain_run;

use super::sse::Event;

/// Finds the elements, which are objects, of an array that comes in pieces of any size.
#[derive(Debug)]
pub struct Framer {
    /// Bytes of the element that no piece held whole.
    open: Vec<u8>,
    max: usize,
    depth: u32,
    in_string: bool,
    escaped: bool,
    cut: bool,
    elements: u64,
    closed: bool,
}

impl Framer {
    /// A framer that keeps at most so many bytes of an element.
    pub fn new(max: usize) -> Self {
        Self {
            open: Vec::new(),
            max,
            depth: 0,
            in_string: false,
            escaped: false,
            cut: false,
            elements: 0,
            closed: false,
        }
    }

    /// Reads the next piece and tells each element that ends in it, in order.
    pub fn push(&mut self, piece: &[u8], mut tell: impl FnMut(Event<'_>)) {
        let (mut at, mut start) = (0, 0);
        while at < piece.len() {
            if self.in_string {
                at = self.string(piece, at);
                continue;
            }
            match piece[at] {
                b'"' if self.depth > 0 => self.in_string = true,
                b'{' | b'[' if self.depth > 0 => self.depth += 1,
                b'{' => {
                    self.depth = 1;
                    start = at;
                }
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b'}' if self.depth == 1 => {
                    self.depth = 0;
                    self.told(&piece[start..=at], &mut tell);
                }
                b']' if self.depth == 0 => self.closed = true,
                _ => {}
            }
            at += 1;
        }
        if self.depth > 0 {
            self.keep(&piece[start..]);
        }
    }

    fn string(&mut self, piece: &[u8], mut at: usize) -> usize {
        if std::mem::take(&mut self.escaped) {
            return at + 1;
        }
        at += plain_run(&piece[at..]);
        match piece.get(at) {
            Some(b'"') => self.in_string = false,
            Some(b'\\') => self.escaped = true,
            _ => {}
        }
        at + 1
    }

    fn told(&mut self, end: &[u8], tell: &mut impl FnMut(Event<'_>)) {
        self.elements += 1;
        if self.open.is_empty() && !self.cut && end.len() <= self.max {
            return tell(Event::Whole(end));
        }
        self.keep(end);
        tell(if self.cut { Event::Cut(&self.open) } else { Event::Whole(&self.open) });
        self.open.clear();
        self.open.shrink_to(16 * 1024);
        self.cut = false;
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.max - self.open.len();
        self.cut |= bytes.len() > room;
        self.open.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether no element has begun that has not ended.
    pub fn is_between(&self) -> bool {
        self.depth == 0
    }

    /// How many elements have ended.
    pub fn elements(&self) -> u64 {
        self.elements
    }

    /// Whether the array has ended.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The bytes of the element that has not ended yet.
    pub fn rest(&self) -> &[u8] {
        &self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRAY: &str = "[{\"a\":\"}]\\\"{\",\"b\":[1,{\"c\":{}}]}\n,\r\n{},{\"x\":\"\\\\\"}]\n";

    fn elements(pieces: &[&[u8]], max: usize) -> Vec<(bool, String)> {
        let mut framer = Framer::new(max);
        let mut found = Vec::new();
        for piece in pieces {
            framer.push(piece, |event| {
                let (whole, bytes) = match event {
                    Event::Whole(bytes) => (true, bytes),
                    Event::Cut(bytes) => (false, bytes),
                };
                found.push((whole, String::from_utf8(bytes.to_vec()).unwrap()));
            });
        }
        assert!(framer.is_closed() && framer.is_between());
        assert_eq!(framer.elements(), found.len() as u64);
        found
    }

    #[test]
    fn elements_at_any_split() {
        let expected: Vec<(bool, String)> =
            ["{\"a\":\"}]\\\"{\",\"b\":[1,{\"c\":{}}]}", "{}", "{\"x\":\"\\\\\"}"]
                .map(|text| (true, text.into()))
                .into();
        for cut in 0..=ARRAY.len() {
            let (first, second) = ARRAY.as_bytes().split_at(cut);
            assert_eq!(elements(&[first, second], 1000), expected, "cut at {cut}");
        }
        assert_eq!(elements(&ARRAY.as_bytes().chunks(1).collect::<Vec<_>>(), 1000), expected);
    }

    #[test]
    fn a_long_element_is_cut() {
        let found = elements(&[ARRAY.as_bytes()], 4);
        assert_eq!(found, [(false, "{\"a\"".into()), (true, "{}".into()), (false, "{\"x\"".into())]);
    }
}
