//! AWS event streams (`application/vnd.amazon.eventstream`): binary messages with a length, headers, a payload and two
//! checksums. A message is told once it is whole and both checksums hold.

#[cfg(test)]
mod tests;

/// Bytes before a message's headers: two lengths and their checksum.
const PRELUDE: usize = 12;
/// Bytes around headers and payload.
const OVERHEAD: usize = PRELUDE + 4;
/// No message is longer: the format's own bounds are 128 KiB of headers and 24 MiB of payload.
const LONGEST: usize = 24 * 1024 * 1024 + 128 * 1024 + OVERHEAD;

/// What is wrong with a stream. Nothing after it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Lengths that no message has.
    #[error("a message's lengths are impossible")]
    Length,
    /// A checksum does not hold.
    #[error("a message's checksum does not hold")]
    Checksum,
    /// Headers that cannot be read.
    #[error("a message's headers cannot be read")]
    Headers,
    /// The stream ends within a message.
    #[error("the stream ends within a message")]
    Truncated,
}

/// Cuts a stream that comes in pieces of any size into messages.
#[derive(Debug, Default)]
pub struct Framer {
    open: Vec<u8>,
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    headers: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
}

impl Framer {
    /// Reads the next piece and tells each message that ends in it, in order.
    ///
    /// # Errors
    /// As soon as the stream is known to be bad.
    pub fn push(&mut self, piece: &[u8], mut tell: impl FnMut(Message<'_>)) -> Result<(), Malformed> {
        self.open.extend_from_slice(piece);
        let mut at = 0;
        while let Some(length) = length(&self.open[at..])? {
            let Some(bytes) = self.open.get(at..at + length) else { break };
            tell(message(bytes)?);
            at += length;
        }
        self.open.drain(..at);
        Ok(())
    }

    /// The stream ends here.
    ///
    /// # Errors
    /// When it ends within a message.
    pub fn finish(&self) -> Result<(), Malformed> {
        if self.open.is_empty() { Ok(()) } else { Err(Malformed::Truncated) }
    }
}

/// The length of the message that starts here; `None`: its beginning has not come yet.
fn length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let (Some(total), Some(headers), Some(sum)) = (u32_at(bytes, 0), u32_at(bytes, 4), u32_at(bytes, 8))
    else {
        return Ok(None);
    };
    if crc32fast::hash(&bytes[..8]) != sum {
        return Err(Malformed::Checksum);
    }
    let (total, headers) = (total as usize, headers as usize);
    if !(OVERHEAD..=LONGEST).contains(&total) || headers > total - OVERHEAD {
        return Err(Malformed::Length);
    }
    Ok(Some(total))
}

fn message(bytes: &[u8]) -> Result<Message<'_>, Malformed> {
    let (body, sum) = bytes.split_at(bytes.len() - 4);
    if u32_at(sum, 0) != Some(crc32fast::hash(body)) {
        return Err(Malformed::Checksum);
    }
    let headers = u32_at(bytes, 4).unwrap_or(0) as usize;
    let (headers, payload) = body[PRELUDE..].split_at(headers);
    let message = Message { headers, payload };
    let mut rest = headers;
    while !rest.is_empty() {
        rest = header(rest).ok_or(Malformed::Headers)?.2;
    }
    Ok(message)
}

impl<'a> Message<'a> {
    /// The text of a header, such as `:event-type`.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.headers;
        while let Some((key, value, after)) = header(rest) {
            if key == name.as_bytes() {
                return std::str::from_utf8(value?).ok();
            }
            rest = after;
        }
        None
    }
}

/// A header's name, its value if that is a text, and what follows.
type Header<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8]);

fn header(bytes: &[u8]) -> Option<Header<'_>> {
    let (&length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let (&kind, rest) = rest.split_first()?;
    let fixed = match kind {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        6 | 7 => {
            let (length, rest) = rest.split_at_checked(2)?;
            let length = u16::from_be_bytes([length[0], length[1]]);
            let (value, rest) = rest.split_at_checked(usize::from(length))?;
            return Some((name, (kind == 7).then_some(value), rest));
        }
        _ => return None,
    };
    Some((name, None, rest.get(fixed..)?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// A message as it stands in a stream, with headers that are texts: for tests and simulated upstreams.
pub fn encode(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(name.len().min(255) as u8);
        head.extend_from_slice(&name.as_bytes()[..name.len().min(255)]);
        head.push(7);
        head.extend_from_slice(&(value.len().min(65_535) as u16).to_be_bytes());
        head.extend_from_slice(&value.as_bytes()[..value.len().min(65_535)]);
    }
    let mut bytes = Vec::with_capacity(OVERHEAD + head.len() + payload.len());
    bytes.extend_from_slice(&((OVERHEAD + head.len() + payload.len()) as u32).to_be_bytes());
    bytes.extend_from_slice(&(head.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}
