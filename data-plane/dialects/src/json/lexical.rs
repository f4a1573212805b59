//! The reader's inner loops: strings with their escapes, numbers and literals.

use super::{Fault, Literal, Reader, Sink, State, Take, Text};

/// Where in a number the reader is (RFC 8259, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Number {
    /// What follows this byte; `None` when it does not belong to the number.
    fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => Self::ExponentDigits,
            _ => return None,
        })
    }

    pub(super) fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits)
    }
}

/// How many bytes from the start are neither quote, backslash nor control character.
#[inline]
pub fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    for block in bytes[..bytes.len().min(SHORT)].as_chunks::<16>().0 {
        let hits = special_bytes(block);
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += block.len();
    }
    if at == SHORT {
        return at + long_run(&bytes[at..]);
    }
    at + bytes[at..].iter().take_while(|&&byte| !is_special(byte)).count()
}

/// Most strings are shorter. Beyond, a search with the processor's widest vectors is worth its call.
const SHORT: usize = 64;

fn long_run(bytes: &[u8]) -> usize {
    let run = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
    let least = bytes[..run].iter().fold(u8::MAX, |least, &byte| least.min(byte));
    if least >= 0x20 { run } else { bytes.iter().take_while(|&&byte| !is_special(byte)).count() }
}

/// The bytes that are special, each as 0xff, the first lowest. Written so that the compiler makes vector code of it:
/// an array of fixed length, no early exit, no branch.
#[inline]
fn special_bytes(block: &[u8; 16]) -> u128 {
    let mut hits = [0; 16];
    for (hit, byte) in hits.iter_mut().zip(block) {
        *hit = if is_special(*byte) { 0xff } else { 0 };
    }
    u128::from_le_bytes(hits)
}

#[inline]
const fn is_special(byte: u8) -> bool {
    // Not `||`: a branch here is what keeps a loop over this from becoming vector code.
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

impl Reader {
    pub(super) fn begin_string<S: Sink>(
        &mut self,
        key: bool,
        at: usize,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        self.key = key;
        self.state = State::String;
        self.take = sink.begin(if key { Text::Key } else { Text::String }, self.before + at)?;
        Ok(())
    }

    #[inline]
    pub(super) fn string<S: Sink>(
        &mut self,
        piece: &[u8],
        at: usize,
        sink: &mut S,
    ) -> Result<usize, S::Error> {
        let mut at = at;
        loop {
            let run = plain_run(&piece[at..]);
            if self.take == Take::Skip {
                sink.skipped(&piece[at..at + run]);
            } else if run > 0 {
                self.lone_surrogate(sink)?;
                sink.bytes(&piece[at..at + run])?;
            }
            at += run;
            match piece.get(at) {
                None => return Ok(at),
                Some(b'"') => {
                    self.end_string(at, sink)?;
                    return Ok(at + 1);
                }
                Some(b'\\') if self.take == Take::Skip && piece.get(at + 1).is_some_and(|&b| is_short(b)) => {
                    at += 2;
                }
                Some(b'\\') => {
                    self.state = State::Escape;
                    return Ok(at + 1);
                }
                Some(_) => return Err(self.fault(at, Fault::Control)),
            }
        }
    }

    fn end_string<S: Sink>(&mut self, at: usize, sink: &mut S) -> Result<(), S::Error> {
        self.lone_surrogate(sink)?;
        let text = if self.key {
            self.state = State::Colon;
            Text::Key
        } else {
            self.value_ended();
            Text::String
        };
        sink.end(text, self.before + at + 1)
    }

    pub(super) fn escape<S: Sink>(
        &mut self,
        piece: &[u8],
        at: usize,
        sink: &mut S,
    ) -> Result<usize, S::Error> {
        let byte = piece[at];
        if byte == b'u' {
            self.state = State::Hex { seen: 0, unit: 0 };
            if self.take == Take::Raw {
                sink.bytes(b"\\u")?;
            }
            return Ok(at + 1);
        }
        let Some(plain) = short(byte) else { return Err(self.fault(at, Fault::Escape)) };
        match self.take {
            Take::Skip => {}
            Take::Raw => sink.bytes(&[b'\\', byte])?,
            Take::Decoded => {
                self.lone_surrogate(sink)?;
                sink.bytes(&[plain])?;
            }
        }
        self.state = State::String;
        Ok(at + 1)
    }

    pub(super) fn hex<S: Sink>(
        &mut self,
        piece: &[u8],
        at: usize,
        seen: u8,
        unit: u16,
        sink: &mut S,
    ) -> Result<usize, S::Error> {
        let Some(digit) = char::from(piece[at]).to_digit(16) else {
            return Err(self.fault(at, Fault::Escape));
        };
        if self.take == Take::Raw {
            sink.bytes(&piece[at..=at])?;
        }
        let unit = unit << 4 | digit as u16;
        if seen < 3 {
            self.state = State::Hex { seen: seen + 1, unit };
            return Ok(at + 1);
        }
        self.state = State::String;
        if self.take == Take::Decoded {
            self.code_unit(unit, sink)?;
        }
        Ok(at + 1)
    }

    fn code_unit<S: Sink>(&mut self, unit: u16, sink: &mut S) -> Result<(), S::Error> {
        if self.high != 0 && (0xdc00..0xe000).contains(&unit) {
            let scalar = 0x1_0000 + ((u32::from(self.high) - 0xd800) << 10) + (u32::from(unit) - 0xdc00);
            self.high = 0;
            return sink.bytes(&utf8(scalar)[..4]);
        }
        self.lone_surrogate(sink)?;
        if (0xd800..0xdc00).contains(&unit) {
            self.high = unit;
            return Ok(());
        }
        let length = if unit < 0x80 { 1 } else { 2 + usize::from(unit >= 0x800) };
        sink.bytes(&utf8(u32::from(unit))[..length])
    }

    /// Gives out a high surrogate that no low one followed.
    #[inline]
    fn lone_surrogate<S: Sink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        if self.high == 0 {
            return Ok(());
        }
        sink.bytes(&utf8(u32::from(std::mem::take(&mut self.high)))[..3])
    }

    pub(super) fn begin_number<S: Sink>(
        &mut self,
        byte: u8,
        at: usize,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        self.take = sink.begin(Text::Number, self.before + at)?;
        if self.take != Take::Skip {
            sink.bytes(&[byte])?;
        }
        self.state = State::Number(match byte {
            b'-' => Number::Minus,
            b'0' => Number::Zero,
            _ => Number::Integer,
        });
        Ok(())
    }

    pub(super) fn number<S: Sink>(
        &mut self,
        piece: &[u8],
        at: usize,
        mut number: Number,
        sink: &mut S,
    ) -> Result<usize, S::Error> {
        let mut end = at;
        while let Some(next) = piece.get(end).and_then(|&byte| number.next(byte)) {
            number = next;
            end += 1;
        }
        if end > at && self.take != Take::Skip {
            sink.bytes(&piece[at..end])?;
        }
        if end == piece.len() {
            self.state = State::Number(number);
            return Ok(end);
        }
        if !number.may_end() || piece[end].is_ascii_digit() {
            return Err(self.fault(end, Fault::Number));
        }
        self.value_ended();
        sink.end(Text::Number, self.before + end)?;
        Ok(end)
    }

    pub(super) fn word<S: Sink>(
        &mut self,
        piece: &[u8],
        at: usize,
        word: &'static [u8],
        seen: u8,
        sink: &mut S,
    ) -> Result<usize, S::Error> {
        if piece[at] != word[usize::from(seen)] {
            return Err(self.fault(at, Fault::Literal));
        }
        let seen = seen + 1;
        if usize::from(seen) < word.len() {
            self.state = State::Literal { word, seen };
            return Ok(at + 1);
        }
        self.value_ended();
        let literal = match word[0] {
            b't' => Literal::True,
            b'f' => Literal::False,
            _ => Literal::Null,
        };
        let end = self.before + at + 1;
        sink.literal(literal, end - word.len(), end)?;
        Ok(at + 1)
    }
}

#[inline]
const fn is_short(byte: u8) -> bool {
    short(byte).is_some()
}

/// What a one-letter escape stands for.
const fn short(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' | b'/' => byte,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}

/// UTF-8 of a scalar, also of a surrogate, left-aligned.
fn utf8(scalar: u32) -> [u8; 4] {
    let tail = |shift: u32| 0x80 | (scalar >> shift & 0x3f) as u8;
    match scalar {
        0..0x80 => [scalar as u8, 0, 0, 0],
        0x80..0x800 => [0xc0 | (scalar >> 6) as u8, tail(0), 0, 0],
        0x800..0x1_0000 => [0xe0 | (scalar >> 12) as u8, tail(6), tail(0), 0],
        _ => [0xf0 | (scalar >> 18) as u8, tail(12), tail(6), tail(0)],
    }
}
