//! Where an account's platform does not speak the client's dialect: the request in a dialect that it speaks, and the way
//! back. All that follows (the platform's request, first event, usage tap) is of the upstream's dialect; what the
//! client gets is converted last.

use bytes::Bytes;
use convert::{Loss, Options, Plan, Refused, Reply, StreamConverter};
use dialects::{
    Dialect, Operation,
    decode::Decoder,
    framing::Framing,
    peek::{self, Peek},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::BodyExt as _;
use platforms::{AccountView, Platform};

use super::{Answered, Kept, Source, Wanted};
use crate::relay::{
    error::{Refusal, malformed},
    failed::Failure,
    node::Asked,
    read::Reserved,
    settle::Settlement,
};

/// Names the fields that conversion left out, in the client's words.
const DROPPED: HeaderName = HeaderName::from_static("x-crs-dropped");
/// A whole answer that is to be converted may not be longer.
const MAX_WHOLE: usize = 64 << 20;
/// Beside the body as it came: its text in order, and the body that is sent.
const TIMES: u64 = 3;

/// A request in a dialect that is not the client's.
pub(super) struct Foreign {
    /// The upstream's dialect.
    pub(super) dialect: Dialect,
    /// What it is asked for.
    pub(super) operation: Operation,
    /// The body in that dialect.
    pub(super) body: Kept,
    /// What was seen in it.
    pub(super) peek: Peek,
    /// The way back.
    pub(super) way: Way,
    /// The memory that it takes.
    _reserved: Reserved,
}

/// The way back to the client's dialect.
pub(super) struct Way {
    /// The upstream's dialect.
    pub(super) dialect: Dialect,
    reply: Reply,
    dropped: Option<HeaderValue>,
}

/// Whether what is asked for can be asked for in another dialect.
pub fn can(asked: &Asked, verb: &str) -> bool {
    let elsewhere = Dialect::ALL.into_iter().find(|dialect| *dialect != asked.dialect);
    // A conversation that another provider has compacted is that provider's.
    verb != "compact" && elsewhere.is_some_and(|to| Plan::new(asked.dialect, to, asked.operation).is_some())
}

/// The request for a platform that does not speak the client's dialect; none: it does.
///
/// # Errors
/// It cannot be converted, or there is no memory to do so: another account may speak the client's dialect.
pub(super) async fn request(
    life: &Settlement,
    platform: &dyn Platform,
    account: &AccountView<'_>,
    wanted: &Wanted<'_>,
) -> Result<Option<Box<Foreign>>, Failure> {
    let asked = &life.asked;
    let model = platform.model_sent(account, wanted.model);
    let to = platform.dialect(account, asked.dialect, wanted.model);
    let Some(plan) = Plan::new(asked.dialect, to, asked.operation) else { return Ok(None) };
    let failed = |refusal| Failure { refusal, retry: true, stale: false, refused: None };
    let budget = &life.worker.node.budget;
    let reserved = budget.reserve(life.request_bytes.saturating_mul(TIMES)).await.map_err(failed)?;
    let events = asked.head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    let options = Options {
        model: &model,
        request_id: &asked.id,
        now_s: u64::try_from(asked.started_us / 1_000_000).unwrap_or(0),
        stream: Some(life.streaming),
        array: !events,
    };
    let converted =
        plan.request(&wanted.body.joined(), &options).map_err(|refused| failed(refusal(&refused)))?;
    let body = Bytes::from(converted.body);
    let mut peek = peek::peek(to, &body).map_err(|_| failed(malformed("the request cannot be converted")))?;
    peek.model = Some(wanted.model.to_owned());
    let way = Way { dialect: to, reply: converted.reply, dropped: dropped(&converted.losses) };
    Ok(Some(Box::new(Foreign {
        dialect: to,
        operation: converted.operation,
        body: Kept::new(vec![body]),
        peek,
        way,
        _reserved: reserved,
    })))
}

fn refusal(refused: &Refused) -> Refusal {
    malformed(refused.to_string())
}

/// The header's value: each field once.
fn dropped(losses: &[Loss]) -> Option<HeaderValue> {
    let mut fields: Vec<&str> = Vec::new();
    for loss in losses.iter().filter(|loss| loss.is_dropped) {
        if !fields.contains(&loss.field.as_ref()) {
            fields.push(&loss.field);
        }
    }
    HeaderValue::from_str(&fields.join(", ")).ok().filter(|_| !fields.is_empty())
}

impl Way {
    /// Turns an answer, of which the beginning is held, into the client's: a stream from here on piece by piece, a
    /// document once it is whole, an error by what of it is held.
    ///
    /// # Errors
    /// What is wrong with a document: it broke off, is too long, or none of its dialect's.
    pub(super) async fn back(
        self,
        answered: &mut Answered,
        encoding: Option<&str>,
    ) -> Result<(), &'static str> {
        if !answered.status.is_success() {
            self.error(answered, encoding);
            return Ok(());
        }
        if answered.framing.is_stream() {
            let stream = self.reply.stream();
            let is_sse = stream.content_type() == "text/event-stream";
            answered.framing = if is_sse { Framing::Sse } else { Framing::JsonArray };
            self::headers(&mut answered.headers, stream.content_type(), self.dropped);
            let converter = Converter { decoder: Decoder::new(encoding), stream };
            answered.rewrite = Some(super::Rewrite::Convert(Box::new(converter)));
        } else {
            let body = whole(answered, encoding).await?;
            let converted = self.reply.answer(&body).map_err(|_| "the upstream's answer cannot be read")?;
            self::headers(&mut answered.headers, "application/json", self.dropped);
            answered.held = vec![converted.into()];
            answered.body = Source::none();
        }
        answered.is_plain = true;
        Ok(())
    }

    /// Turns an error that the client is to read into one of its dialect.
    fn error(self, answered: &mut Answered, encoding: Option<&str>) {
        let body = decoded(&answered.held.concat(), encoding).unwrap_or_default();
        let (status, body) = self.reply.error(answered.status, &body);
        answered.status = status;
        answered.held = vec![body.into()];
        answered.body = Source::none();
        answered.framing = Framing::Document;
        answered.is_plain = true;
        self::headers(&mut answered.headers, "application/json", self.dropped);
    }
}

/// Headers that speak of the upstream's bytes do not speak of the client's.
fn headers(headers: &mut HeaderMap, content_type: &'static str, dropped: Option<HeaderValue>) {
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::ETAG);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(dropped) = dropped {
        headers.insert(DROPPED, dropped);
    }
}

/// A whole document, decoded. The tap sees it as it came.
async fn whole(answered: &mut Answered, encoding: Option<&str>) -> Result<Vec<u8>, &'static str> {
    let mut body = answered.held.concat();
    while let Some(frame) = answered.body.frame().await {
        let piece = frame.map_err(|_| "the upstream broke off its answer")?.into_data().unwrap_or_default();
        if body.len() + piece.len() > MAX_WHOLE {
            return Err("the upstream's answer is too long to be converted");
        }
        if let Some(tap) = &mut answered.tap {
            tap.push(&piece);
        }
        body.extend_from_slice(&piece);
    }
    decoded(&body, encoding).ok_or("the upstream's answer cannot be decoded")
}

fn decoded(body: &[u8], encoding: Option<&str>) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(body.len());
    let mut decoder = Decoder::new(encoding);
    decoder.push(body, |bytes| plain.extend_from_slice(bytes)).ok()?;
    Some(plain)
}

/// A stream under conversion.
pub struct Converter {
    decoder: Decoder,
    stream: StreamConverter,
}

impl Converter {
    /// Takes the upstream's next piece, and gives the client's; it may be empty.
    pub fn push(&mut self, piece: &[u8]) -> Bytes {
        let mut out = Vec::new();
        let stream = &mut self.stream;
        // What does not decode ends the stream visibly: nothing comes of it any more.
        let _ = self.decoder.push(piece, |bytes| stream.push(bytes, &mut out));
        out.into()
    }

    /// The upstream has ended: the client's last bytes, and whether its stream came to its own end.
    pub fn finish(mut self) -> (Bytes, bool) {
        let mut out = Vec::new();
        let whole = self.stream.finish(&mut out) == convert::Ended::Whole;
        (out.into(), whole)
    }
}
