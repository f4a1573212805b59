//! The answer on its way to the client: piece by piece as it comes, with the tap beside it. It settles before the last
//! piece goes out, and from `Drop` when the client leaves. A stream that breaks off ends visibly.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use dialects::{
    error::Kind,
    framing::Framing,
    tap::{Boundary, UsageTap},
};
use http::{Response, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use proto::rules::verdict::Verdict;
use tokio::time::Sleep;

use super::{
    error::Refusal,
    exchange::{Answered, Rewrite, Source},
    respond::{self, Body, BrokeOff},
    settle::{Ended, Settlement, Usage},
    verdict,
};
use crate::metrics::Outcome;

mod read_on;

/// An upstream's answer under way.
pub struct Relayed {
    held: std::vec::IntoIter<Bytes>,
    held_bytes: u64,
    answer: Option<Source>,
    life: Option<Box<Settlement>>,
    tap: Option<UsageTap>,
    silence: Silence,
    end: End,
    framing: Framing,
    rewrite: Option<Rewrite>,
    /// Whether a conversion came to its own end; if not, the client has been told.
    converted: Option<bool>,
    is_plain: bool,
    status: StatusCode,
    verdict: Verdict,
    upstream_request_id: String,
    /// The client has left, and it is read for its usage alone.
    abandoned: bool,
}

/// What is left to do once the answer is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is not over.
    Open,
    /// Nothing: it ended well, or as visibly as the upstream's own end was.
    Clean,
    /// The connection is to be reset, once what was given has gone out.
    Flush,
    /// The connection is to be reset.
    Reset,
}

/// How an answer broke off.
enum Break {
    Cut,
    Silent,
}

/// The client's response for an answer.
pub fn response(mut life: Box<Settlement>, answered: Box<Answered>) -> Response<Body> {
    let Answered {
        status,
        headers,
        mut held,
        body,
        tap,
        framing,
        mut rewrite,
        is_plain,
        verdict,
        upstream_request_id,
        ..
    } = *answered;
    life.status = status.as_u16();
    life.first_byte = Some(Instant::now());
    if let Some(rewrite) = &mut rewrite {
        held = held.into_iter().map(|piece| rewrite.push(piece)).filter(|piece| !piece.is_empty()).collect();
    }
    let held_bytes = held.iter().map(|piece| piece.len() as u64).sum();
    life.sent = held_bytes;
    // From here on nothing is tried again: the request's own bytes are not needed any more.
    life.asked.head.headers.clear();
    if let Some(reserved) = &mut life.reserved {
        reserved.release_body();
    }
    let silence = Silence::new(life.idle_timeout());
    let mut relayed = Box::new(Relayed {
        held_bytes,
        held: held.into_iter(),
        answer: Some(body),
        life: Some(life),
        tap,
        silence,
        end: End::Open,
        framing,
        rewrite,
        converted: None,
        is_plain,
        status,
        verdict,
        upstream_request_id,
        abandoned: false,
    });
    relayed.settle_if_over();
    let mut response = Response::new(Body::Relayed(relayed));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if framing == Framing::Sse {
        response
            .headers_mut()
            .entry(header::CACHE_CONTROL)
            .or_insert(header::HeaderValue::from_static("no-cache"));
    }
    response
}

impl Relayed {
    /// The next piece.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        if let Some(piece) = self.held.next() {
            self.held_bytes -= piece.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match self.end {
            End::Open => {}
            End::Clean => return Poll::Ready(None),
            End::Flush => {
                // hyper drops what it has not written when a body fails: one turn for it to do so.
                self.end = End::Reset;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            End::Reset => return Poll::Ready(Some(Err(BrokeOff))),
        }
        loop {
            let Some(answer) = &mut self.answer else { return Poll::Ready(None) };
            match Pin::new(answer).poll_frame(cx) {
                Poll::Pending if self.silence.over(cx) => return self.broke_off(&Break::Silent, cx),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    self.settle_at_end();
                    return self.poll(cx);
                }
                Poll::Ready(Some(Err(_))) => return self.broke_off(&Break::Cut, cx),
                Poll::Ready(Some(Ok(frame))) => {
                    self.silence.broken();
                    let piece = self.passed(frame.into_data().unwrap_or_default());
                    self.settle_if_over();
                    if !piece.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(piece))));
                    }
                    if self.end != End::Open || !self.held.as_slice().is_empty() {
                        return self.poll(cx);
                    }
                }
            }
        }
    }

    /// What of a piece goes to the client now, and the tap beside it.
    fn passed(&mut self, piece: Bytes) -> Bytes {
        if let Some(tap) = &mut self.tap {
            tap.push(&piece);
        }
        let piece = match &mut self.rewrite {
            Some(rewrite) => rewrite.push(piece),
            None => piece,
        };
        if let Some(life) = &mut self.life {
            life.sent += piece.len() as u64;
        }
        piece
    }

    /// Puts a piece behind those that wait to go out.
    fn queue(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        if let Some(life) = &mut self.life {
            life.sent += piece.len() as u64;
        }
        self.held_bytes += piece.len() as u64;
        let held: Vec<Bytes> = self.held.by_ref().chain([piece]).collect();
        self.held = held.into_iter();
    }

    /// What of the answer was waited for goes out after all.
    fn flush(&mut self) {
        if let Some(rewrite) = self.rewrite.take() {
            let (last, whole) = rewrite.finish();
            self.converted = whole;
            self.queue(last);
        }
    }

    /// Whether nothing more will come, and well.
    pub fn ended(&self) -> bool {
        self.end == End::Clean && self.held.as_slice().is_empty()
    }

    /// Length, where it is known.
    pub fn size_hint(&self) -> SizeHint {
        let whole = self.answer.as_ref().filter(|_| self.rewrite.is_none());
        match whole.and_then(|answer| answer.size_hint().exact()) {
            Some(rest) => SizeHint::with_exact(self.held_bytes + rest),
            None if self.end == End::Clean => SizeHint::with_exact(self.held_bytes),
            None => SizeHint::default(),
        }
    }

    /// Settles as soon as the upstream's end is known, which may be with the last piece: the record is written before
    /// that piece goes out.
    fn settle_if_over(&mut self) {
        if self.answer.as_ref().is_some_and(Source::is_end_stream) {
            self.settle_at_end();
        }
    }

    /// The upstream has ended its answer. A stream without its own end was cut: the client must see that.
    fn settle_at_end(&mut self) {
        if self.end != End::Open {
            return;
        }
        self.flush();
        let place = self.place();
        let tapped = self.tap.take().map(UsageTap::finish);
        let told = tapped.as_ref().is_some_and(|tapped| tapped.error.is_some());
        let whole = self.converted.unwrap_or_else(|| {
            tapped.as_ref().is_none_or(|tapped| tapped.complete || tapped.undecodable)
                || !self.framing.is_stream()
        });
        if let (Some(error), Some(life)) =
            (tapped.as_ref().and_then(|tapped| tapped.error.as_ref()), &self.life)
        {
            self.judge_late(life, error);
        }
        let usage = tapped.map_or(Usage::None, |tapped| Usage::Tapped(Box::new(tapped)));
        let refused = !self.status.is_success();
        match (refused, whole || told) {
            (true, _) => self.settle(usage, "upstream_error", Outcome::UpstreamError),
            (false, true) if told => self.settle(usage, "interrupted", Outcome::Interrupted),
            (false, true) => self.settle(usage, "ok", Outcome::Ok),
            (false, false) => {
                self.queue_last_event(&Break::Cut, place);
                self.settle(usage, "interrupted", Outcome::Interrupted);
                self.end = End::Flush;
                return;
            }
        }
        self.end = End::Clean;
    }

    /// Where in its framing the answer has come to.
    fn place(&self) -> Boundary {
        self.tap.as_ref().map_or(Boundary::Within, UsageTap::boundary)
    }

    /// The upstream broke off within its answer.
    fn broke_off(
        &mut self,
        why: &Break,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        self.flush();
        self.queue_last_event(why, self.place());
        let usage = self.tap.take().map_or(Usage::Unknown, |tap| Usage::Tapped(Box::new(tap.finish())));
        self.end = End::Flush;
        self.settle(usage, "interrupted", Outcome::Interrupted);
        self.poll(cx)
    }

    /// The event by which a client sees that its stream broke off; none where the bytes are no plain stream.
    fn queue_last_event(&mut self, why: &Break, place: Boundary) {
        let untold = self.is_plain && self.converted.is_none();
        let Some(life) = self.life.as_ref().filter(|_| untold) else { return };
        let refusal = match why {
            Break::Cut => {
                Refusal::upstream(Kind::Api, StatusCode::BAD_GATEWAY, "the upstream broke off its answer")
            }
            Break::Silent => Refusal::upstream(
                Kind::Timeout,
                StatusCode::GATEWAY_TIMEOUT,
                "the upstream fell silent within its answer",
            ),
        };
        let (dialect, id) = (life.asked.dialect, &life.asked.id);
        if let Some(event) = respond::last_event(dialect, self.framing, place, &refusal, id) {
            self.queue(event);
        }
    }

    /// An error within the stream speaks of the account too.
    fn judge_late(&self, life: &Settlement, error: &dialects::error::Found) {
        let Some(account) = life.account() else { return };
        let Some(platform) = platforms::registry::find(account.platform.as_str()) else { return };
        let error_type = error.error_type.clone().unwrap_or_default();
        let seen = platforms::Seen {
            status: self.status.as_u16(),
            now_ms: process::clock::unix_ms(),
            ..Default::default()
        }
        .with_error(error_type.clone(), error.message.clone().unwrap_or_default());
        let verdict = platform.failures().judge(&seen.view());
        verdict::judge(life, account, &verdict, self.status.as_u16(), &error_type);
    }

    fn settle(&mut self, usage: Usage, outcome: &'static str, of_request: Outcome) {
        self.answer = None;
        let Some(mut life) = self.life.take() else { return };
        life.attempt_ended(Ended {
            status: self.status.as_u16(),
            outcome,
            verdict: &self.verdict,
            usage,
            upstream_request_id: std::mem::take(&mut self.upstream_request_id),
        });
        life.finish(if self.abandoned { Outcome::ClientGone } else { of_request });
    }
}

impl Drop for Relayed {
    /// The client has left, or the last piece has gone out.
    fn drop(&mut self) {
        if self.life.is_none() {
            return;
        }
        if self.reads_on() {
            return read_on::start(self);
        }
        self.client_gone();
    }
}

impl Relayed {
    fn reads_on(&self) -> bool {
        let account = self.life.as_ref().and_then(|life| life.account());
        self.answer.is_some() && account.is_some_and(|account| account.read_on_after_abort)
    }

    /// Settles with what has come; an answer that had come to its own end was served.
    fn client_gone(&mut self) {
        let tapped = self.tap.take().map(UsageTap::finish);
        let complete = self.framing.is_stream() && tapped.as_ref().is_some_and(|tapped| tapped.complete);
        let (outcome, of_request) =
            if complete { ("ok", Outcome::Ok) } else { ("client_gone", Outcome::ClientGone) };
        let usage = tapped.map_or(Usage::None, |tapped| Usage::Tapped(Box::new(tapped)));
        self.settle(usage, outcome, of_request);
    }
}

/// Watches for an upstream that falls silent. A piece costs a look at the clock; the timer is set anew only when it
/// has run out.
struct Silence {
    longest: Duration,
    last: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    fn new(longest: Duration) -> Self {
        Self { longest, last: Instant::now(), timer: None }
    }

    fn broken(&mut self) {
        self.last = Instant::now();
    }

    fn over(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = self.last + self.longest;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return true;
            }
            timer.as_mut().reset(deadline.into());
        }
        false
    }
}
