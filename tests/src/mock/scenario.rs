//! What the mock is told to do: behaviours, sequences of them, and how a request finds its own. It does nothing itself.
//!
//! A request finds its scenario by a marker anywhere in its body, `[mock:<scenario>]` or `[mock:<scenario>:<tag>]`, else
//! by the upstream key it came with. The tag is only written to the ledger, so that tests can tell requests apart.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// One answer's making. The default is a correct answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Status; 0 counts as 200.
    pub status: u16,
    /// `error.type` where the status is no success; empty: the usual one for the status.
    pub error_type: String,
    /// `error.message` likewise.
    pub message: String,
    /// A body in the answer's place, as it is.
    pub body: Option<String>,
    /// Events in the stream's place, as they are, one write each.
    pub raw_events: Vec<String>,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// Milliseconds before the status line.
    pub delay_ms: u64,
    /// Milliseconds between the head and the first event.
    pub first_delay_ms: u64,
    /// Bytes before the first event, such as comments and pings.
    pub leading: String,
    /// Text deltas; 0: 8.
    pub deltas: u32,
    /// Bytes of each delta's text; 0: a word.
    pub delta_bytes: u32,
    /// Milliseconds between deltas.
    pub interval_ms: u64,
    /// The whole stream in one write.
    pub burst: bool,
    /// Each delta's text begins with the Unix microseconds at which it was written, 16 digits.
    pub stamp: bool,
    /// What is wrong with the usage.
    pub usage: UsageQuirk,
    /// Compression of the answer.
    pub encoding: Option<Encoding>,
    /// What goes wrong beyond that.
    pub fault: Option<Fault>,
}

/// What is wrong with the usage that is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageQuirk {
    /// Nothing.
    #[default]
    Right,
    /// `message_start` has none; `message_delta` has it all.
    LastOnly,
    /// Told in two `message_delta` events, the second one final.
    Twice,
    /// Never told.
    Never,
    /// Negative numbers.
    Negative,
    /// Numbers as strings.
    Text,
}

/// Compression, flushed at each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// gzip
    Gzip,
    /// brotli
    Br,
    /// zstd
    Zstd,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// A 200 stream whose n-th event (from 1) is an error; nothing follows.
    ErrorEvent {
        /// Which event.
        at: u32,
        /// `error.type`.
        error_type: String,
    },
    /// A 200 stream without a byte.
    EmptyStream,
    /// A stream that ends cleanly without `message_stop`.
    MissingStop,
    /// One delta of so many bytes.
    HugeEvent {
        /// Bytes of its text.
        bytes: u32,
    },
    /// A delta with bytes that are no UTF-8.
    InvalidUtf8,
    /// A content-length that is off by so much; the connection then closes.
    WrongLength {
        /// Added to the true length.
        by: i64,
    },
    /// Closes (FIN, no last chunk) after so many events.
    CloseAfter {
        /// Events.
        events: u32,
    },
    /// Resets in the middle of the event after so many events.
    ResetAfter {
        /// Events.
        events: u32,
    },
    /// Accepts, reads and never answers.
    Silent,
    /// Writes one byte each so many milliseconds.
    Trickle {
        /// Milliseconds a byte.
        every_ms: u64,
    },
    /// Stops writing after so many events, connection open.
    StallAfter {
        /// Events.
        events: u32,
    },
    /// Bytes that are no HTTP.
    Garbage,
}

/// Behaviours one after another; the last one stays unless `once`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// In order, one a request.
    pub steps: Vec<Behaviour>,
    /// After the last step: correct answers, instead of the last step again.
    pub once: bool,
}

impl From<Behaviour> for Scenario {
    fn from(behaviour: Behaviour) -> Self {
        Self { steps: vec![behaviour], once: false }
    }
}

/// The scenarios that are set.
#[derive(Debug, Default)]
pub struct Registry {
    named: Mutex<HashMap<String, (Scenario, usize)>>,
    by_key: Mutex<HashMap<String, (Scenario, usize)>>,
}

impl Registry {
    /// Sets a scenario by name, from its first step.
    pub fn name(&self, name: &str, scenario: impl Into<Scenario>) {
        self.named.lock().insert(name.to_owned(), (scenario.into(), 0));
    }

    /// Sets what an upstream key meets, from its first step.
    pub fn key(&self, key: &str, scenario: impl Into<Scenario>) {
        self.by_key.lock().insert(key.to_owned(), (scenario.into(), 0));
    }

    /// Forgets what an upstream key meets.
    pub fn forget_key(&self, key: &str) {
        self.by_key.lock().remove(key);
    }

    /// The behaviour for a request: its key's scenario where there is one, else its marker's. A key's comes first, so
    /// that one account of several can fail a request that the next one answers as the marker says.
    pub fn next(&self, marker: &str, key: &str) -> Behaviour {
        let step = |map: &Mutex<HashMap<String, (Scenario, usize)>>, name: &str| {
            let mut map = map.lock();
            let (scenario, at) = map.get_mut(name)?;
            let index = *at;
            *at += 1;
            match scenario.steps.get(index) {
                Some(behaviour) => Some(behaviour.clone()),
                None if scenario.once => None,
                None => scenario.steps.last().cloned(),
            }
        };
        step(&self.by_key, key).or_else(|| step(&self.named, marker)).unwrap_or_default()
    }
}

/// Scenario and tag of a body's marker; both empty when it has none.
pub fn marker(body: &[u8]) -> (String, String) {
    let Some(start) = memchr::memmem::find(body, b"[mock:") else { return Default::default() };
    let rest = &body[start + 6..];
    let end = rest.iter().take(200).position(|byte| *byte == b']').unwrap_or(0);
    let text = String::from_utf8_lossy(&rest[..end]).into_owned();
    match text.split_once(':') {
        Some((scenario, tag)) => (scenario.to_owned(), tag.to_owned()),
        None => (text, String::new()),
    }
}

/// An error answer.
pub fn error(status: u16) -> Behaviour {
    Behaviour { status, ..Behaviour::default() }
}

/// A fault in an otherwise correct answer.
pub fn fault(fault: Fault) -> Behaviour {
    Behaviour { fault: Some(fault), ..Behaviour::default() }
}

fn limited(message: &str, headers: &[(&str, String)]) -> Behaviour {
    let owned = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
    Behaviour {
        status: 429,
        message: message.into(),
        headers: headers.iter().map(owned).collect(),
        ..Behaviour::default()
    }
}

/// A 429 of the per-minute kind: a short `retry-after`.
pub fn limited_per_minute(seconds: u64) -> Behaviour {
    let message = "This request would exceed your organization's rate limit of 50 requests per minute.";
    limited(message, &[("retry-after", seconds.to_string())])
}

/// A 429 of a window used up: an end in Unix seconds.
pub fn limited_window(reset_unix_s: i64) -> Behaviour {
    let reset = reset_unix_s.to_string();
    let headers = [
        ("anthropic-ratelimit-unified-status", "rejected".to_owned()),
        ("anthropic-ratelimit-unified-representative-claim", "five_hour".to_owned()),
        ("anthropic-ratelimit-unified-reset", reset),
    ];
    limited("You have reached your usage limit for this window.", &headers)
}

/// A 429 of a model family's window used up.
pub fn limited_family(reset_unix_s: i64) -> Behaviour {
    let reset = reset_unix_s.to_string();
    let headers = [
        ("anthropic-ratelimit-unified-status", "rejected".to_owned()),
        ("anthropic-ratelimit-unified-representative-claim", "seven_day_opus".to_owned()),
        ("anthropic-ratelimit-unified-7d_opus-status", "rejected".to_owned()),
        ("anthropic-ratelimit-unified-reset", reset),
    ];
    limited("You have reached your weekly limit for Opus.", &headers)
}

/// A 429 that speaks of the service's capacity, without any time.
pub fn limited_capacity() -> Behaviour {
    limited("The service is at capacity. Please try again later.", &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_anywhere() {
        assert_eq!(marker(br#"{"x":"say [mock:slow:t1] hi"}"#), ("slow".into(), "t1".into()));
        assert_eq!(marker(b"[mock:slow]"), ("slow".into(), String::new()));
        assert_eq!(marker(b"nothing"), (String::new(), String::new()));
    }

    #[test]
    fn first_two_fail_and_then_all_is_well() {
        let registry = Registry::default();
        registry.key("k", Scenario { steps: vec![error(529), error(500)], once: true });
        let statuses: Vec<u16> = (0..4).map(|_| registry.next("", "k").status).collect();
        assert_eq!(statuses, [529, 500, 0, 0]);
    }
}
