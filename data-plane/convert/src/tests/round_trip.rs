//! Where nothing is lost, what was written is read back: requests, whole answers, streams.

use dialects::Dialect;
use proptest::prelude::*;

use super::{arbitrary, reply};
use crate::{
    StreamConverter, Target,
    loss::Losses,
    names,
    neutral::{Answer, Format, Part, Request, Role},
    read_request, write_request,
};

/// The same request, without what dialects may say in more than one way.
fn plain(mut request: Request<'_>) -> Request<'_> {
    request.stream_usage = false;
    if let Format::Schema { name, strict, .. } = &mut request.format {
        (*name, *strict) = (None, None);
    }
    request.tools.iter_mut().for_each(|tool| tool.strict = None);
    let mut turns: Vec<crate::neutral::Turn<'_>> = Vec::new();
    for turn in request.turns {
        match turns.last_mut() {
            Some(last) if last.role == turn.role && turn.role != Role::System => {
                last.pieces.extend(turn.pieces)
            }
            _ => turns.push(turn),
        }
    }
    for piece in turns.iter_mut().flat_map(|turn| &mut turn.pieces) {
        if let Part::Answer(answer) = &mut piece.part {
            answer.name = "".into();
        }
    }
    request.turns = turns;
    request
}

fn model(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::AnthropicMessages => "claude-sonnet-4-5",
        Dialect::OpenaiChat | Dialect::OpenaiResponses => "gpt-4.1",
        Dialect::Gemini => "gemini-2.5-flash",
    }
}

/// The same answer, without ids that each dialect gives in its own way.
fn bare(mut answer: Answer<'_>) -> Answer<'_> {
    answer.id = "".into();
    for part in &mut answer.parts {
        if let Part::Thinking(thinking) = part
            && let Some(seal) = &mut thinking.seal
        {
            seal.tag = "".into();
        }
    }
    answer
}

fn read(dialect: Dialect, body: &[u8]) -> Answer<'_> {
    // The client's side does not matter: it is read, not written.
    reply(Dialect::OpenaiChat, dialect).read(body).unwrap()
}

fn write(dialect: Dialect, answer: &Answer<'_>) -> Vec<u8> {
    reply(dialect, Dialect::OpenaiChat).write(answer)
}

/// An answer as its dialect streams it.
fn streamed(dialect: Dialect, answer: &Answer<'_>) -> Vec<u8> {
    let (mut stream, mut out) = (reply(dialect, Dialect::OpenaiChat).stream(), Vec::new());
    stream.told(answer, &mut out);
    out
}

fn through(mut stream: StreamConverter, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    stream.push(bytes, &mut out);
    stream.finish(&mut out);
    out
}

proptest! {
    #[test]
    fn requests(request in arbitrary::request(), dialect in prop::sample::select(&Dialect::ALL[..])) {
        let mut losses = Losses::new(dialect, dialect);
        let mut fitted = request.clone();
        names::fit(&mut fitted, dialect, &mut losses).unwrap();
        let written = write_request(dialect, fitted, &Target { model: model(dialect) }, &mut losses).unwrap();
        let bytes = written.to_bytes();
        let mut back = read_request(dialect, &bytes, &mut losses).unwrap();
        // This dialect cannot do without a cap.
        if request.max_output.is_none() && dialect == Dialect::AnthropicMessages {
            back.max_output = None;
        }
        prop_assert_eq!(plain(back), plain(request), "{}", String::from_utf8_lossy(&bytes));
        prop_assert_eq!(losses.into_found(), vec![]);
    }

    #[test]
    fn answers((dialect, answer) in prop::sample::select(&Dialect::ALL[..]).prop_flat_map(|dialect| {
        (Just(dialect), arbitrary::answer(dialect))
    })) {
        let body = write(dialect, &answer);
        prop_assert_eq!(bare(read(dialect, &body)), bare(answer), "{}", String::from_utf8_lossy(&body));
    }

    /// A stream says what the whole answer says: written as a stream of one dialect, converted into another's stream
    /// and back again, it is the same stream.
    #[test]
    fn streams_there_and_back((upstream, answer, client) in prop::sample::select(&Dialect::ALL[..])
        .prop_flat_map(|dialect| (Just(dialect), arbitrary::answer(dialect), prop::sample::select(&Dialect::ALL[..])))
    ) {
        prop_assume!(upstream != client);
        let mut answer = answer;
        // What of thoughts another dialect's client can bring back is a matter of seals, which have their own tests.
        answer.parts.retain(|part| !matches!(part, Part::Thinking(_)));
        if client == Dialect::AnthropicMessages {
            answer.usage.reasoning = 0;
        }
        let first = streamed(upstream, &answer);
        let there = through(reply(client, upstream).stream(), &first);
        let back = through(reply(upstream, client).stream(), &there);
        prop_assert_eq!(String::from_utf8(back).unwrap(), String::from_utf8(first).unwrap());
    }
}
