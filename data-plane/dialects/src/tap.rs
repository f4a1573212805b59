//! The usage tap: it reads what an answer says of its own usage while the answer passes. It sees every piece and keeps
//! none, so nothing is delayed or altered; whatever goes wrong in it costs figures, never bytes.

use http::HeaderMap;
use proto::types::TokenUsage;

use crate::{Dialect, decode::Decoder, error::Found, framing::Framing, usage::Counts};

#[cfg(test)]
mod dialects;
mod stream;
#[cfg(test)]
mod tests;
mod text;
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
    Stream(Box<stream::Stream>),
    Whole(Box<whole::Whole>),
}

/// What an answer said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tapped {
    /// Tokens, as far as they were said.
    pub usage: TokenUsage,
    /// The answer's own id, by which a later request may name it.
    pub answer_id: Option<String>,
    /// The model that served, as the answer names it.
    pub model: Option<String>,
    /// The service tier, as the answer names it.
    pub service_tier: Option<String>,
    /// Whether the answer came to its own end: its last event, or a whole document.
    pub complete: bool,
    /// Whether the final figures came, rather than none or those of the start.
    pub usage_final: bool,
    /// Whether figures were off: wrong types, negative numbers, totals that fell.
    pub irregular: bool,
    /// An error that came after the start.
    pub error: Option<Found>,
    /// About how many bytes of text the answer had.
    pub text_bytes: u64,
    /// At least so many events brought text: a token each, if not more.
    pub text_events: u64,
    /// Whether the body could not be decoded, so that nothing of the above was seen from there on.
    pub undecodable: bool,
}

impl Tapped {
    /// The usage to record, and whether it is an estimate: where the final figures never came, or figures were off, the
    /// output counts at least a token for every four bytes of text that were relayed, and one for each event of text.
    pub fn usage_or_estimate(&self) -> (TokenUsage, bool) {
        let mut usage = self.usage;
        let told = self.usage_final && !self.irregular;
        if !told {
            let tokens = self.text_bytes.div_ceil(4).max(self.text_events);
            usage.output = usage.output.max(i64::try_from(tokens).unwrap_or(i64::MAX));
        }
        (usage, !told)
    }
}

impl UsageTap {
    /// A tap for an answer of this dialect and framing.
    pub fn new(dialect: Dialect, framing: Framing, content_encoding: Option<&str>) -> Self {
        let kind = match framing {
            Framing::Document => Kind::Whole(Box::new(whole::Whole::new(dialect))),
            _ => Kind::Stream(Box::new(stream::Stream::new(dialect, framing))),
        };
        Self { decoder: Decoder::new(content_encoding), kind, undecodable: false }
    }

    /// A tap for an answer that is a stream of server-sent events.
    pub fn stream(dialect: Dialect, content_encoding: Option<&str>) -> Self {
        Self::new(dialect, Framing::Sse, content_encoding)
    }

    /// A tap for an answer that is one JSON document.
    pub fn whole(dialect: Dialect, content_encoding: Option<&str>) -> Self {
        Self::new(dialect, Framing::Document, content_encoding)
    }

    /// The tap that fits an answer with these headers to a request that asked, or did not ask, for a stream.
    pub fn of(dialect: Dialect, streaming: bool, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self::new(dialect, Framing::of(dialect, streaming, text("content-type")), text("content-encoding"))
    }

    /// The answer's own id, as far as it was said until now.
    pub fn answer_id(&self) -> Option<String> {
        match &self.kind {
            Kind::Stream(stream) => stream.answer_id(),
            Kind::Whole(whole) => whole.answer_id(),
        }
    }

    /// Whether an event, if any may follow, can be put behind what has come: for a stream that breaks off.
    pub fn boundary(&self) -> Boundary {
        match &self.kind {
            Kind::Stream(stream) => stream.boundary(),
            Kind::Whole(_) => Boundary::Within,
        }
    }

    /// Sees the next piece of the body.
    pub fn push(&mut self, piece: &[u8]) {
        let kind = &mut self.kind;
        let result = self.decoder.push(piece, |bytes| match kind {
            Kind::Stream(stream) => stream.push(bytes),
            Kind::Whole(whole) => whole.push(bytes),
        });
        self.undecodable |= result.is_err();
    }

    /// What was said, at the body's end or wherever it broke off.
    pub fn finish(self) -> Tapped {
        let mut tapped = match self.kind {
            Kind::Stream(stream) => stream.finish(),
            Kind::Whole(whole) => whole.finish(),
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

/// Where in its framing an answer has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// Nothing of its first event has come.
    Start,
    /// Between two events.
    Between,
    /// Within one.
    Within,
}

/// Whether a content type is that of server-sent events.
pub fn is_event_stream(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|content_type| {
        let essence = content_type.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("text/event-stream")
    })
}
