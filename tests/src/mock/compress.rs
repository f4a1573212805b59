//! Compression of an answer, flushed at each event so that every event can be read when it comes.

use std::io::{Result, Write as _};

use super::scenario::Encoding;

/// A compressor of one answer.
pub enum Compressor {
    /// None.
    Plain,
    /// gzip
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    /// brotli
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    /// zstd
    Zstd(Box<zstd::Encoder<'static, Vec<u8>>>),
}

impl Compressor {
    /// For an answer of that encoding.
    pub fn new(encoding: Option<Encoding>) -> Result<Self> {
        Ok(match encoding {
            None => Self::Plain,
            Some(Encoding::Gzip) => {
                Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()))
            }
            Some(Encoding::Br) => Self::Br(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, 4, 20))),
            Some(Encoding::Zstd) => Self::Zstd(Box::new(zstd::Encoder::new(Vec::new(), 1)?)),
        })
    }

    /// Compresses one event and flushes.
    pub fn event(&mut self, event: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(event.to_vec()),
            Self::Gzip(writer) => {
                writer.write_all(event)?;
                writer.flush()?;
                Ok(std::mem::take(writer.get_mut()))
            }
            Self::Br(writer) => {
                writer.write_all(event)?;
                writer.flush()?;
                Ok(std::mem::take(writer.get_mut()))
            }
            Self::Zstd(writer) => {
                writer.write_all(event)?;
                writer.flush()?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }

    /// The closing bytes.
    pub fn finish(self) -> Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(Vec::new()),
            Self::Gzip(writer) => writer.finish(),
            Self::Br(writer) => Ok(writer.into_inner()),
            Self::Zstd(writer) => writer.finish(),
        }
    }
}

/// The header's value.
pub fn name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Gzip => "gzip",
        Encoding::Br => "br",
        Encoding::Zstd => "zstd",
    }
}
