//! A JSON reader over pieces: it checks the whole document against RFC 8259 while the bytes arrive, whatever the
//! split, builds nothing, and tells a [`Sink`] what passes by. It keeps a few dozen bytes of state.
//!
//! What it is not: a parser into values, nor a judge of UTF-8 (a sink that takes a text judges that text; the rest is
//! passed on byte for byte and is the receiver's to judge). [`crate::peek`] and [`crate::fields`] stand on it.

mod lexical;
#[cfg(test)]
pub(crate) mod tests;

pub use lexical::plain_run;

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: u32 = 128;

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It starts with U+FEFF.
    #[error("a byte order mark is not allowed")]
    ByteOrderMark,
    /// A byte that cannot stand there.
    #[error("unexpected character")]
    Unexpected,
    /// It ends too soon.
    #[error("unexpected end")]
    Truncated,
    /// It nests deeper than [`MAX_DEPTH`].
    #[error("nested too deeply")]
    TooDeep,
    /// An unescaped control character in a string.
    #[error("control character in a string")]
    Control,
    /// A backslash followed by what is no escape.
    #[error("invalid escape")]
    Escape,
    /// What starts like a number and is none.
    #[error("invalid number")]
    Number,
    /// What starts like `true`, `false` or `null` and is none.
    #[error("invalid literal")]
    Literal,
    /// Something follows the document.
    #[error("trailing characters")]
    Trailing,
}

/// A fault and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {at}")]
pub struct Malformed {
    /// Offset from the document's first byte.
    pub at: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// An array or an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// `[…]`
    Array,
    /// `{…}`
    Object,
}

/// A token with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// An object's key.
    Key,
    /// A string that is a value.
    String,
    /// A number, in its own spelling.
    Number,
}

/// `null`, `true` or `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
}

impl Literal {
    /// How it is written.
    pub const fn spelling(self) -> &'static [u8] {
        match self {
            Self::Null => b"null",
            Self::True => b"true",
            Self::False => b"false",
        }
    }
}

/// How a sink wants a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Not at all.
    Skip,
    /// As it is written, escapes unread.
    Raw,
    /// With escapes read. A lone surrogate becomes three bytes that are not UTF-8.
    Decoded,
}

/// Who listens. Offsets count from the document's first byte.
pub trait Sink {
    /// What it may refuse with.
    type Error: From<Malformed>;

    /// An array or object starts at `at`.
    ///
    /// # Errors
    /// Whatever the sink refuses.
    fn open(&mut self, container: Container, at: usize) -> Result<(), Self::Error>;

    /// The innermost array or object ended just before `end`.
    ///
    /// # Errors
    /// Whatever the sink refuses.
    fn close(&mut self, end: usize) -> Result<(), Self::Error>;

    /// A text starts at `at` (a string at its quote).
    ///
    /// # Errors
    /// Whatever the sink refuses.
    fn begin(&mut self, text: Text, at: usize) -> Result<Take, Self::Error>;

    /// The next bytes of a text that was taken.
    ///
    /// # Errors
    /// Whatever the sink refuses.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// The next bytes of a text that is skipped: a run without escapes, or what of it lies in this piece.
    #[inline]
    fn skipped(&mut self, _run: &[u8]) {}

    /// The text ended just before `end` (a string after its quote).
    ///
    /// # Errors
    /// Whatever the sink refuses.
    fn end(&mut self, text: Text, end: usize) -> Result<(), Self::Error>;

    /// A literal from `at` to just before `end`.
    ///
    /// # Errors
    /// Whatever the sink refuses.
    fn literal(&mut self, literal: Literal, at: usize, end: usize) -> Result<(), Self::Error>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Value,
    FirstElement,
    FirstKey,
    Key,
    Colon,
    After,
    Done,
    String,
    Escape,
    Hex { seen: u8, unit: u16 },
    Number(lexical::Number),
    Literal { word: &'static [u8], seen: u8 },
}

/// The reader.
#[derive(Debug)]
pub struct Reader {
    state: State,
    /// One bit a level, the innermost lowest: set for an object.
    objects: u128,
    depth: u32,
    /// Bytes of the pieces before this one.
    before: usize,
    key: bool,
    take: Take,
    /// A high surrogate that waits for its low one.
    high: u16,
}

impl Default for Reader {
    fn default() -> Self {
        Self { state: State::Value, objects: 0, depth: 0, before: 0, key: false, take: Take::Skip, high: 0 }
    }
}

impl Reader {
    /// How many bytes have been read.
    pub fn offset(&self) -> usize {
        self.before
    }

    /// Whether the document is complete. A number alone at the top is complete only after [`Self::finish`].
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// A fault of the document, or what the sink refused. The reader is of no use after that.
    pub fn push<S: Sink>(&mut self, piece: &[u8], sink: &mut S) -> Result<(), S::Error> {
        let mut at = 0;
        while at < piece.len() {
            at = match self.state {
                State::String => self.string(piece, at, sink)?,
                State::Escape => self.escape(piece, at, sink)?,
                State::Hex { seen, unit } => self.hex(piece, at, seen, unit, sink)?,
                State::Number(number) => self.number(piece, at, number, sink)?,
                State::Literal { word, seen } => self.word(piece, at, word, seen, sink)?,
                _ => self.structure(piece, at, sink)?,
            };
        }
        self.before += piece.len();
        Ok(())
    }

    /// The document ends here.
    ///
    /// # Errors
    /// [`Fault::Truncated`] unless it is complete.
    pub fn finish<S: Sink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        if let State::Number(number) = self.state
            && self.depth == 0
            && number.may_end()
        {
            self.state = State::Done;
            sink.end(Text::Number, self.before)?;
        }
        if self.state == State::Done { Ok(()) } else { Err(self.fault(0, Fault::Truncated)) }
    }

    #[cold]
    fn fault<E: From<Malformed>>(&self, at: usize, fault: Fault) -> E {
        E::from(Malformed { at: self.before + at, fault })
    }

    fn structure<S: Sink>(&mut self, piece: &[u8], at: usize, sink: &mut S) -> Result<usize, S::Error> {
        let byte = piece[at];
        match (byte, self.state) {
            (b' ' | b'\n' | b'\t' | b'\r', _) => {}
            (b'"', State::Key | State::FirstKey) => self.begin_string(true, at, sink)?,
            (b':', State::Colon) => self.state = State::Value,
            (b',', State::After) => {
                self.state = if self.objects & 1 == 1 { State::Key } else { State::Value };
            }
            (b'}', State::After | State::FirstKey) if self.objects & 1 == 1 => self.close(at, sink)?,
            (b']', State::After | State::FirstElement) if self.objects & 1 == 0 => self.close(at, sink)?,
            (_, State::Value | State::FirstElement) => self.value(byte, at, sink)?,
            (_, State::Done) => return Err(self.fault(at, Fault::Trailing)),
            _ => return Err(self.fault(at, Fault::Unexpected)),
        }
        Ok(at + 1)
    }

    fn value<S: Sink>(&mut self, byte: u8, at: usize, sink: &mut S) -> Result<(), S::Error> {
        match byte {
            b'"' => self.begin_string(false, at, sink)?,
            b'{' => self.open(Container::Object, at, sink)?,
            b'[' => self.open(Container::Array, at, sink)?,
            b'-' | b'0'..=b'9' => self.begin_number(byte, at, sink)?,
            b't' => self.state = State::Literal { word: b"true", seen: 1 },
            b'f' => self.state = State::Literal { word: b"false", seen: 1 },
            b'n' => self.state = State::Literal { word: b"null", seen: 1 },
            0xef if self.before + at == 0 => return Err(self.fault(at, Fault::ByteOrderMark)),
            _ => return Err(self.fault(at, Fault::Unexpected)),
        }
        Ok(())
    }

    fn open<S: Sink>(&mut self, container: Container, at: usize, sink: &mut S) -> Result<(), S::Error> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault(at, Fault::TooDeep));
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(container == Container::Object);
        self.state = match container {
            Container::Array => State::FirstElement,
            Container::Object => State::FirstKey,
        };
        sink.open(container, self.before + at)
    }

    fn close<S: Sink>(&mut self, at: usize, sink: &mut S) -> Result<(), S::Error> {
        // `After` at depth 0 is never reached: the state is then `Done`.
        self.depth -= 1;
        self.objects >>= 1;
        self.value_ended();
        sink.close(self.before + at + 1)
    }

    fn value_ended(&mut self) {
        self.state = if self.depth == 0 { State::Done } else { State::After };
    }
}
