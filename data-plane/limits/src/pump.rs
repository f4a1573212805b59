//! The two ends of the pump: what is to be said, what was answered.

use std::{
    collections::VecDeque,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use proto::{
    node::{LeaseRequest, LeaseResponse},
    rules::quota::{
        node::{ANSWER_MS, Answered},
        store::{Exhausted, Grant},
    },
};

use crate::{Limits, cell::State};

/// Entries in one message at most: the rest follows in the next.
const MOST_ENTRIES: usize = 2_000;

/// What is known of the stream.
#[derive(Debug, Default)]
pub(crate) struct Link {
    sequence: u64,
    /// Questions that may still be answered on this stream, and when they were sent.
    sent: VecDeque<(u64, i64)>,
    ended: Vec<String>,
    tell_ended: bool,
    store_identity: String,
    /// Whether anything was heard on this stream.
    heard: bool,
    /// Since when the control plane had been away before this stream, milliseconds.
    away_before: Option<u64>,
}

impl Limits {
    /// The next message to the control plane, if there is anything to say at `now`. Call it until it gives `None`; then
    /// wait for [`Limits::wake`] or until [`Limits::next_due`].
    pub fn outgoing(&self, now: Instant) -> Option<LeaseRequest> {
        let now = self.ms(now);
        let mut link = self.link.lock();
        let sequence = link.sequence + 1;
        let mut request = LeaseRequest { sequence, ..LeaseRequest::default() };
        if link.tell_ended {
            link.tell_ended = false;
            request.ended_epochs.clone_from(&link.ended);
        }
        while request.reports.len() + request.wants.len() < MOST_ENTRIES {
            let Some((due, meter)) = self.agenda.pop_due(now) else { break };
            let Some(cell) = self.cells.get(meter.as_str()) else { continue };
            let mut state = cell.state.lock();
            match due {
                _ if due == state.scheduled => state.scheduled = i64::MAX,
                _ if due == state.swept => state.swept = i64::MAX,
                _ => continue, // It was moved forward, and that entry has been served.
            }
            let (waiting, need) = (state.waiting() as i64, state.need());
            let said = state.lease.collect(sequence, need, now);
            request.reports.extend(said.report.map(|report| report.to_wire(meter.as_str())));
            request.wants.extend(said.want.map(|want| want.to_wire(meter.as_str())));
            // Never again within the same message.
            self.schedule_after(&cell, &mut state, now, now + 1);
            if state.lease.is_forgettable(now, waiting) {
                drop(state);
                self.cells.forget(&cell, now);
            }
        }
        if request.reports.is_empty() && request.wants.is_empty() && request.ended_epochs.is_empty() {
            return None;
        }
        link.sequence = sequence;
        link.sent.push_back((sequence, now));
        while link.sent.front().is_some_and(|(_, sent_at)| sent_at + ANSWER_MS < now) {
            link.sent.pop_front();
        }
        Some(request)
    }

    /// When [`Limits::outgoing`] may have something to say next, if nothing happens meanwhile.
    pub fn next_due(&self) -> Option<Instant> {
        let due = u64::try_from(self.agenda.next()?).unwrap_or(0);
        Some(self.base + Duration::from_millis(due))
    }

    /// A message of the control plane.
    pub fn incoming(&self, now: Instant, response: LeaseResponse) {
        let now = self.ms(now);
        let answered = {
            let mut link = self.link.lock();
            link.heard = true;
            if !response.store_identity.is_empty() && link.store_identity != response.store_identity {
                let first = link.store_identity.is_empty();
                link.store_identity.clone_from(&response.store_identity);
                if !first {
                    drop(link);
                    self.declare_all(now);
                    link = self.link.lock();
                }
            }
            let at = link.sent.binary_search_by_key(&response.sequence, |(sequence, _)| *sequence).ok();
            let question = at.and_then(|at| link.sent.get(at));
            question.map(|&(sequence, sent_at)| Answered {
                sequence,
                sent_at,
                ttl_ms: response.ttl_ms.max(0),
            })
        };
        if let Some(answered) = answered {
            for grant in &response.grants {
                self.with(&grant.meter, now, |state| {
                    state.lease.on_grant(answered, &Grant::from_wire(grant), now);
                });
            }
            for exhausted in &response.exhausted {
                self.with(&exhausted.meter, now, |state| {
                    state.lease.on_exhausted(answered, Exhausted::from_wire(exhausted), now);
                });
            }
        } else if response.sequence == 0 {
            for exhausted in &response.exhausted {
                self.with(&exhausted.meter, now, |state| state.lease.on_hint(now));
            }
        }
        for reclaim in &response.reclaims {
            self.with(&reclaim.meter, now, |state| {
                let need = state.need();
                state.lease.reclaim(reclaim.amount, need, now);
            });
        }
    }

    /// A new stream is being opened: questions and leases are said again on it, and ended epochs named. Until something
    /// is heard or it fails, requests wait for it.
    pub fn reconnected(&self) {
        let now = self.ms(Instant::now());
        {
            let mut link = self.link.lock();
            link.sent.clear();
            link.tell_ended = !link.ended.is_empty();
            link.heard = false;
            link.away_before =
                Some(self.away_since.swap(u64::MAX, Ordering::Relaxed)).filter(|at| *at != u64::MAX);
        }
        self.declare_all(now);
        self.wake.notify_one();
    }

    /// The stream is gone. After a moment requests that need the control plane are no longer made to wait for it; where
    /// nothing was heard on it, that moment is counted from the stream before.
    pub fn disconnected(&self) {
        let now = u64::try_from(self.ms(Instant::now())).unwrap_or(0);
        let link = self.link.lock();
        let since = link.away_before.filter(|_| !link.heard).unwrap_or(now);
        // A second word of the same loss changes nothing.
        let _ = self.away_since.compare_exchange(u64::MAX, since, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Epochs of this node that have ended for good; named on every new stream, so that their slots are free.
    pub fn set_ended(&self, epochs: Vec<String>) {
        let mut link = self.link.lock();
        link.tell_ended = !epochs.is_empty();
        link.ended = epochs;
    }

    fn declare_all(&self, now: i64) {
        for cell in self.cells.all() {
            let mut state = cell.state.lock();
            state.lease.reconnected();
            self.schedule(&cell, &mut state, now);
        }
    }

    /// Something was heard of a meter: those who wait for it are served, and what it has to say is put down.
    fn with(&self, meter: &str, now: i64, hear: impl FnOnce(&mut State)) {
        let Some(cell) = self.cells.get(meter) else { return };
        let mut state = cell.state.lock();
        hear(&mut state);
        state.dispatch(now);
        self.schedule(&cell, &mut state, now);
    }
}
