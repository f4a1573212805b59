//! The one rewrite of chat streams (ARCHITECTURE, Decisions): OpenAI tells a stream's usage only where the request says
//! `stream_options.include_usage`. Where a client does not say so, the relay does, by a splice that [`crate::peek`] finds,
//! and takes the one chunk that tells it, and nothing else, out of what the client gets.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use crate::{fields::Fields, framing::sse};

/// The key in place of `stream_options`, after the body's opening brace,
pub(crate) const WHOLE: &str = r#""stream_options":{"include_usage":true},"#;
/// as its value,
pub(crate) const VALUE: &str = r#"{"include_usage":true}"#;
/// within it, before other keys,
pub(crate) const FIRST: &str = r#""include_usage":true,"#;
/// within it, alone,
pub(crate) const ALONE: &str = r#""include_usage":true"#;
/// and as the value of `include_usage`.
pub(crate) const TRUE: &str = "true";

/// No chunk that tells usage is longer; what is longer is not waited for.
const MAX_HELD: usize = 64 * 1024;

/// Takes the chunk that tells usage out of a stream. Whole events pass as the pieces they came in; of an event that has
/// come in part, that part waits for the rest, without which no client can read it.
#[derive(Debug, Default)]
pub struct Strip {
    /// The event that has come in part.
    held: BytesMut,
    /// The event that passes now was too long to be held.
    passing: bool,
}

impl Strip {
    /// Takes the next piece, and gives what of it goes to the client; it may be empty.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        if self.passing {
            let Some(end) = first_end(&piece) else { return piece };
            self.passing = false;
            if end == piece.len() {
                return piece;
            }
            let rest = self.push(piece.slice(end..));
            return [&piece[..end], &rest].concat().into();
        }
        let all = if self.held.is_empty() {
            piece
        } else {
            self.held.extend_from_slice(&piece);
            self.held.split().freeze()
        };
        let end = last_end(&all);
        let rest = all.len() - end;
        if rest >= MAX_HELD {
            self.passing = true;
            return stripped(all);
        }
        self.held.extend_from_slice(&all[end..]);
        stripped(all.slice(..end))
    }

    /// The stream has ended: what of it was waited for.
    pub fn finish(&mut self) -> Bytes {
        stripped(self.held.split().freeze())
    }
}

/// Without the chunk that tells usage, if it is there.
fn stripped(events: Bytes) -> Bytes {
    if memmem::find(&events, b"\"usage\"").is_none() {
        return events;
    }
    let mut kept = Vec::new();
    let (mut at, mut from) = (0, 0);
    while at < events.len() {
        let end = first_end(&events[at..]).map_or(events.len(), |end| at + end);
        // Empty lines before an event are part of none.
        let start = at + events[at..end].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if is_usage_alone(&events[start..end]) {
            kept.push(from..start);
            from = end;
        }
        at = end;
    }
    if kept.is_empty() {
        return events;
    }
    kept.push(from..events.len());
    let mut kept = kept.into_iter().filter(|range| !range.is_empty());
    match (kept.next(), kept.next()) {
        (None, _) => Bytes::new(),
        (Some(only), None) => events.slice(only),
        (Some(first), Some(second)) => {
            let mut joined = [&events[first], &events[second]].concat();
            kept.for_each(|range| joined.extend_from_slice(&events[range]));
            joined.into()
        }
    }
}

/// Whether an event is a chunk that says usage and nothing else.
fn is_usage_alone(event: &[u8]) -> bool {
    let message = sse::read(event);
    let Some(data) = message.data else { return false };
    let mut fields = Fields::new(&["choices", "usage"]);
    if fields.push(&data).is_err() || !fields.is_done() {
        return false;
    }
    let no_choice = fields.get("choices").is_some_and(|raw| {
        let inner = raw.strip_prefix(b"[").and_then(|raw| raw.strip_suffix(b"]"));
        inner.is_some_and(|inner| inner.trim_ascii().is_empty())
    });
    no_choice && fields.get("usage").is_some_and(|raw| raw.starts_with(b"{"))
}

/// Where the first event ends: after its empty line.
fn first_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).find_map(|at| empty_line(bytes, at))
}

/// Where the last whole event ends.
fn last_end(bytes: &[u8]) -> usize {
    memchr::memrchr_iter(b'\n', bytes).find_map(|at| empty_line(bytes, at)).unwrap_or(0)
}

/// The end of an empty line that begins after this line feed.
fn empty_line(bytes: &[u8], at: usize) -> Option<usize> {
    match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORD: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\"\"},\"finish_reason\":null}],\"usage\":null}\n\n";
    const USAGE: &str = "data: {\"id\":\"x\",\"choices\": [ ],\"usage\":{\"prompt_tokens\":3}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    fn through(stream: &str, cuts: &[usize]) -> String {
        let mut strip = Strip::default();
        let (mut out, mut at) = (Vec::new(), 0);
        for &cut in cuts.iter().chain([&stream.len()]) {
            let cut = cut.clamp(at, stream.len());
            out.extend_from_slice(&strip.push(Bytes::copy_from_slice(&stream.as_bytes()[at..cut])));
            at = cut;
        }
        out.extend_from_slice(&strip.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_chunk_goes_and_nothing_else() {
        let with_choice = "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":3}}\n\n";
        let filter = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
        for (stream, expected) in [
            (format!("{WORD}{WORD}{USAGE}{DONE}"), format!("{WORD}{WORD}{DONE}")),
            (format!("{USAGE}{DONE}"), DONE.into()),
            (USAGE.into(), String::new()),
            (format!("{WORD}{with_choice}{DONE}"), format!("{WORD}{with_choice}{DONE}")),
            (format!("{filter}{WORD}: ping\n\n{DONE}"), format!("{filter}{WORD}: ping\n\n{DONE}")),
            (
                format!("{WORD}{USAGE}{DONE}").replace('\n', "\r\n"),
                format!("{WORD}{DONE}").replace('\n', "\r\n"),
            ),
            (format!("\n\n{WORD}\n{USAGE}{DONE}"), format!("\n\n{WORD}\n{DONE}")),
            (format!("{WORD}{USAGE}data: [DO"), format!("{WORD}data: [DO")),
        ] {
            assert_eq!(through(&stream, &[]), expected);
            for cut in 0..=stream.len() {
                assert_eq!(through(&stream, &[cut]), expected, "cut at {cut}");
            }
        }
    }

    #[test]
    fn whole_events_pass_as_the_pieces_they_came_in() {
        let piece = Bytes::from_static(WORD.as_bytes());
        let mut strip = Strip::default();
        assert_eq!(strip.push(piece.clone()).as_ptr(), piece.as_ptr());
    }

    #[test]
    fn what_is_too_long_is_not_waited_for() {
        let long = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
            "x".repeat(3 * MAX_HELD)
        );
        let stream = format!("{WORD}{long}{USAGE}{DONE}");
        let mut strip = Strip::default();
        let first = strip.push(Bytes::copy_from_slice(&stream.as_bytes()[..WORD.len() + MAX_HELD]));
        assert_eq!(first.len(), WORD.len() + MAX_HELD);
        assert_eq!(
            through(&stream, &[WORD.len() + MAX_HELD, WORD.len() + 2 * MAX_HELD]),
            format!("{WORD}{long}{DONE}")
        );
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same(events in prop::collection::vec(0..4_usize, 0..8), mut cuts in prop::collection::vec(0..600_usize, 0..12)) {
            let part = [WORD, USAGE, DONE, ": c\n\n"];
            let stream: String = events.iter().map(|&event| part[event]).collect();
            let expected: String = events.iter().filter(|&&event| event != 1).map(|&event| part[event]).collect();
            cuts.sort_unstable();
            prop_assert_eq!(through(&stream, &cuts), expected);
        }
    }
}
