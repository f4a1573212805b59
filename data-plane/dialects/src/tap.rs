//! The usage tap: it reads what an answer says of its own usage while the answer passes. It sees every piece and keeps
//! none, so nothing is delayed or altered; whatever goes wrong in it costs figures, never bytes.

use http::HeaderMap;
use proto::types::TokenUsage;

use crate::{
    Dialect,
    anthropic::{error::Found, usage::Counts},
    decode::Decoder,
};

mod stream;
#[cfg(test)]
mod tests;
mod whole;

/// The tap of one answer.
#[derive(Debug)]
pub struct UsageTap {
    decoder: Decoder,
    kind: Kind,
    undecodable: bool,
}

#[derive(Debug)]
enum Kind {
    Stream(stream::Stream),
    Whole(whole::Whole),
    /// A dialect whose usage no platform of this release serves: bytes are counted, so that its records are estimates.
    Bytes(u64),
}

/// What an answer said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tapped {
    /// Tokens, as far as they were said.
    pub usage: TokenUsage,
    /// The model that served, as the answer names it.
    pub model: Option<String>,
    /// The service tier, as the answer names it.
    pub service_tier: Option<String>,
    /// Whether the answer came to its own end: `message_stop`, or a whole document.
    pub complete: bool,
    /// Whether the final figures came, rather than none or those of the start.
    pub usage_final: bool,
    /// Whether figures were off: wrong types, negative numbers, totals that fell.
    pub irregular: bool,
    /// An error that came after the start.
    pub error: Option<Found>,
    /// About how many bytes of text the answer had.
    pub text_bytes: u64,
    /// Whether the body could not be decoded, so that nothing of the above was seen from there on.
    pub undecodable: bool,
}

impl Tapped {
    /// The usage to record, and whether it is an estimate: where the final figures never came, or figures were off, the
    /// output counts at least a token for every four bytes of text that were relayed.
    pub fn usage_or_estimate(&self) -> (TokenUsage, bool) {
        let mut usage = self.usage;
        let told = self.usage_final && !self.irregular;
        if !told {
            usage.output = usage.output.max(i64::try_from(self.text_bytes.div_ceil(4)).unwrap_or(i64::MAX));
        }
        (usage, !told)
    }
}

impl UsageTap {
    /// A tap for a streamed answer.
    pub fn stream(dialect: Dialect, content_encoding: Option<&str>) -> Self {
        let kind = match dialect {
            Dialect::AnthropicMessages => Kind::Stream(stream::Stream::new()),
            _ => Kind::Bytes(0),
        };
        Self { decoder: Decoder::new(content_encoding), kind, undecodable: false }
    }

    /// A tap for an answer that is one JSON document.
    pub fn whole(dialect: Dialect, content_encoding: Option<&str>) -> Self {
        let kind = match dialect {
            Dialect::AnthropicMessages => Kind::Whole(whole::Whole::new()),
            _ => Kind::Bytes(0),
        };
        Self { decoder: Decoder::new(content_encoding), kind, undecodable: false }
    }

    /// The tap that fits an answer with these headers.
    pub fn of(dialect: Dialect, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let encoding = text("content-encoding");
        if is_event_stream(text("content-type")) {
            Self::stream(dialect, encoding)
        } else {
            Self::whole(dialect, encoding)
        }
    }

    /// Sees the next piece of the body.
    pub fn push(&mut self, piece: &[u8]) {
        let kind = &mut self.kind;
        let result = self.decoder.push(piece, |bytes| match kind {
            Kind::Stream(stream) => stream.push(bytes),
            Kind::Whole(whole) => whole.push(bytes),
            Kind::Bytes(count) => *count += bytes.len() as u64,
        });
        self.undecodable |= result.is_err();
    }

    /// What was said, at the body's end or wherever it broke off.
    pub fn finish(self) -> Tapped {
        let mut tapped = match self.kind {
            Kind::Stream(stream) => stream.finish(),
            Kind::Whole(whole) => whole.finish(),
            Kind::Bytes(text_bytes) => Tapped { text_bytes, ..Tapped::default() },
        };
        tapped.undecodable = self.undecodable;
        tapped
    }
}

impl Tapped {
    fn with_counts(mut self, counts: Counts) -> Self {
        self.usage = counts.tokens();
        self.irregular = counts.irregular;
        self.service_tier = counts.service_tier;
        self
    }
}

/// Whether a content type is that of server-sent events.
pub fn is_event_stream(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|content_type| {
        let essence = content_type.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("text/event-stream")
    })
}
