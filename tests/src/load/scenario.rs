//! The scenarios of `make bench`: what is asked, by how many, and what the mock is told to answer.

use crate::mock::Behaviour;

/// What a worker measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One answer after another as fast as it goes.
    Closed,
    /// The same with a new connection each.
    NewConnections,
    /// Streams of paced deltas; the time from the mock's write to our read counts.
    Paced,
}

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name in the tables.
    pub name: &'static str,
    /// What it is, for the page.
    pub what: &'static str,
    /// Requests at once.
    pub concurrency: usize,
    /// Bytes of the request's body.
    pub body: usize,
    /// Whether it asks for a stream.
    pub stream: bool,
    /// What is measured.
    pub kind: Kind,
    /// Deltas of the answer.
    pub deltas: u32,
    /// Whether the whole stream comes in one write.
    pub burst: bool,
    /// Milliseconds between deltas.
    pub interval_ms: u64,
}

const S1: Scenario = Scenario {
    name: "S1c64",
    what: "1 KB question, 1 KB answer, 64 at once",
    concurrency: 64,
    body: 1024,
    stream: false,
    kind: Kind::Closed,
    deltas: 8,
    burst: false,
    interval_ms: 0,
};

/// All of them, in the order of the tables.
pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "S1c1", what: "1 KB question, 1 KB answer, one at a time", concurrency: 1, ..S1 },
    S1,
    Scenario { name: "S1c256", what: "the same, 256 at once", concurrency: 256, ..S1 },
    Scenario {
        name: "S2",
        what: "stream of 100 deltas, one write each, 64 at once",
        stream: true,
        deltas: 100,
        ..S1
    },
    Scenario {
        name: "S2c",
        what: "the same stream in one write (burst)",
        stream: true,
        deltas: 100,
        burst: true,
        ..S1
    },
    Scenario {
        name: "S3",
        what: "1000 streams of 100 deltas, 20 ms apart",
        concurrency: 1000,
        stream: true,
        deltas: 100,
        interval_ms: 20,
        kind: Kind::Paced,
        ..S1
    },
    Scenario {
        name: "S4",
        what: "1 MiB question, 1 KB answer, 16 at once",
        concurrency: 16,
        body: 1 << 20,
        ..S1
    },
    Scenario {
        name: "S5",
        what: "S1c64 with a new connection per request",
        kind: Kind::NewConnections,
        ..S1
    },
];

impl Scenario {
    /// The one of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name.eq_ignore_ascii_case(name))
    }

    /// What the mock is told.
    pub fn behaviour(&self) -> Behaviour {
        Behaviour {
            deltas: self.deltas,
            // An event of about 145 bytes, or a whole answer of about 1 KB.
            delta_bytes: if self.stream { 40 } else { 80 },
            interval_ms: self.interval_ms,
            burst: self.burst,
            stamp: self.kind == Kind::Paced,
            ..Behaviour::default()
        }
    }

    /// The request's body: marker and stream flag first, then a conversation of the right size.
    pub fn request_body(&self) -> Vec<u8> {
        let head = format!(
            "{{\"model\":\"claude-sonnet-4-5-20250929\",\"stream\":{},\"max_tokens\":1024,\
             \"metadata\":{{\"user_id\":\"user_{:064x}_account__session_00000000-0000-4000-8000-000000000001\"}},\
             \"messages\":[{{\"role\":\"user\",\"content\":\"[mock:{}] ",
            self.stream, 7, self.name
        );
        let tail = "\"}]}";
        let filler = self.body.saturating_sub(head.len() + tail.len());
        let words = "the quick brown fox jumps over the lazy dog and then says it again ";
        let text: String = words.chars().cycle().take(filler).collect();
        [head, text, tail.into()].concat().into_bytes()
    }

    /// Requests, or chunks where the scenario counts those, that one request stands for.
    pub fn chunks(&self) -> u64 {
        if self.kind == Kind::Paced { u64::from(self.deltas) } else { 1 }
    }
}
