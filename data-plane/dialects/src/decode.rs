//! Content codings, undone beside the stream: the client gets the coded bytes as they came; gate and tap read what they
//! mean. Memory is bounded however much a few bytes unfold to.

use std::io::{self, Write};

#[cfg(test)]
mod tests;

/// So much of the input is decoded at a time,
const STEP: usize = 8 * 1024;
/// and to so much it may unfold. 512 times is far beyond any text.
const MAX_STEP: usize = 4 * 1024 * 1024;

/// Largest window of zstd, as a power of two: what its use over HTTP allows (RFC 9659). A frame's own word can claim much
/// more, all of which would be set aside at once.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The bytes cannot be decoded, or unfold to too much. Nothing more comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body does not decode as its content-encoding says")]
pub struct Undecodable;

/// A decoder that takes pieces as they come.
pub struct Decoder(Inner);

enum Inner {
    Identity,
    Gzip(Box<flate2::write::MultiGzDecoder<Out>>),
    Deflate(Box<flate2::write::ZlibDecoder<Out>>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Out>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Out>>),
    Failed,
}

/// Where decoders write to.
#[derive(Default)]
struct Out(Vec<u8>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_STEP {
            return Err(io::Error::other("unfolds to too much"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Decoder {
    /// A decoder for a `content-encoding`; `None` or empty: identity. A coding that is not known, and more than one,
    /// fail at the first byte.
    pub fn new(content_encoding: Option<&str>) -> Self {
        let coding = content_encoding.unwrap_or_default().trim().to_ascii_lowercase();
        Self(match coding.as_str() {
            "" | "identity" => Inner::Identity,
            "gzip" | "x-gzip" => Inner::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Out::default()))),
            "deflate" => Inner::Deflate(Box::new(flate2::write::ZlibDecoder::new(Out::default()))),
            "br" => {
                Inner::Brotli(Box::new(brotli_decompressor::DecompressorWriter::new(Out::default(), 4096)))
            }
            "zstd" => match zstd_decoder() {
                Ok(decoder) => Inner::Zstd(Box::new(decoder)),
                Err(_) => Inner::Failed,
            },
            _ => Inner::Failed,
        })
    }

    /// Whether the coding is one that is not known, or the bytes so far did not decode.
    pub fn has_failed(&self) -> bool {
        matches!(self.0, Inner::Failed)
    }

    /// The most memory that it takes for itself, bytes: the window that a coding may look back into.
    pub fn window(&self) -> u64 {
        match self.0 {
            Inner::Identity | Inner::Failed => 0,
            Inner::Gzip(_) | Inner::Deflate(_) => 64 << 10,
            Inner::Brotli(_) => 32 << 20,
            Inner::Zstd(_) => 2 << ZSTD_WINDOW_LOG,
        }
    }

    /// Whether bytes mean themselves.
    pub fn is_identity(&self) -> bool {
        matches!(self.0, Inner::Identity)
    }

    /// Decodes the next piece and tells what came out, in parts of bounded size; as much as the bytes so far allow.
    ///
    /// # Errors
    /// When they do not decode; then and ever after.
    pub fn push(&mut self, piece: &[u8], mut tell: impl FnMut(&[u8])) -> Result<(), Undecodable> {
        if self.is_identity() {
            tell(piece);
            return Ok(());
        }
        for step in piece.chunks(STEP) {
            let result = match &mut self.0 {
                Inner::Identity => Ok(()),
                Inner::Gzip(decoder) => {
                    decode(decoder.as_mut(), step, |decoder| decoder.get_mut(), &mut tell)
                }
                Inner::Deflate(decoder) => {
                    decode(decoder.as_mut(), step, |decoder| decoder.get_mut(), &mut tell)
                }
                Inner::Brotli(decoder) => {
                    decode(decoder.as_mut(), step, |decoder| decoder.get_mut(), &mut tell)
                }
                Inner::Zstd(decoder) => {
                    decode(decoder.as_mut(), step, |decoder| decoder.get_mut(), &mut tell)
                }
                Inner::Failed => Err(Undecodable),
            };
            if result.is_err() {
                self.0 = Inner::Failed;
                return result;
            }
        }
        Ok(())
    }
}

fn zstd_decoder() -> io::Result<zstd::stream::write::Decoder<'static, Out>> {
    let mut decoder = zstd::stream::write::Decoder::new(Out::default())?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

/// The beginning of a coded body, decoded, at most `max` bytes of it; what does not decode is left out.
pub fn head(content_encoding: Option<&str>, coded: &[u8], max: usize) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut decoder = Decoder::new(content_encoding);
    for piece in coded.chunks(STEP) {
        let room = max - plain.len();
        let result = decoder.push(piece, |bytes| plain.extend_from_slice(&bytes[..bytes.len().min(room)]));
        if result.is_err() || plain.len() >= max {
            break;
        }
    }
    plain.truncate(max);
    plain
}

fn decode<D: Write>(
    decoder: &mut D,
    step: &[u8],
    out: impl Fn(&mut D) -> &mut Out,
    tell: &mut impl FnMut(&[u8]),
) -> Result<(), Undecodable> {
    let result = decoder.write_all(step).and_then(|()| decoder.flush());
    let out = &mut out(decoder).0;
    if !out.is_empty() {
        tell(out);
    }
    out.clear();
    out.shrink_to(64 * 1024);
    result.map_err(|_| Undecodable)
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Inner::Identity => "Decoder(identity)",
            Inner::Gzip(_) => "Decoder(gzip)",
            Inner::Deflate(_) => "Decoder(deflate)",
            Inner::Brotli(_) => "Decoder(br)",
            Inner::Zstd(_) => "Decoder(zstd)",
            Inner::Failed => "Decoder(failed)",
        })
    }
}
