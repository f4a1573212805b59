//! A streamed answer on its way from the upstream's dialect to the client's: events are told apart, read, and written
//! at once. What is held is the event that has not ended, and what the client's dialect can say only at its end.

use std::borrow::Cow;

use dialects::{
    Dialect,
    error::{Problem, stream_event},
    framing::sse::{self, Framer},
};
use http::StatusCode;

use crate::{
    anthropic, gemini,
    json::Json,
    names,
    neutral::{Event, Fault, Text},
    openai_chat, openai_responses,
    reply::{self, Reply},
};

/// An event of an upstream must not be longer. Answers of the Responses API come once more whole in their last event.
const MAX_EVENT: usize = 16 << 20;
/// The input of a tool that takes any text is held until it is whole; no more than this.
const MAX_CUSTOM: usize = 4 << 20;

/// How a stream ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As its dialect ends a stream.
    Whole,
    /// With an error, which the client has been told.
    Broken,
}

/// Converts one stream. Any split of the upstream's bytes gives the same bytes for the client.
#[derive(Debug)]
pub struct StreamConverter {
    framer: Option<Framer>,
    reader: Reader,
    client: Client,
}

#[derive(Debug)]
enum Reader {
    Anthropic(anthropic::read_events::Reader),
    Chat(openai_chat::read_events::Reader),
    Responses(Box<openai_responses::read_events::Reader>),
    Gemini(gemini::read_events::Reader),
}

#[derive(Debug)]
enum Writer {
    Anthropic(anthropic::write_events::Writer),
    Chat(openai_chat::write_events::Writer),
    Responses(Box<openai_responses::write_events::Writer>),
    Gemini(gemini::write_events::Writer),
}

/// The client's side.
#[derive(Debug)]
struct Client {
    reply: Reply,
    writer: Writer,
    started: bool,
    over: Option<Ended>,
    /// Of what ids are made where the upstream has none, and how many were.
    seed: u64,
    made: u32,
    /// The input of the open call, where the client is to get it unwrapped.
    custom: Option<String>,
    /// Whether a call is open that has no arguments yet: it must end with an empty object at least.
    bare: bool,
}

impl StreamConverter {
    pub(crate) fn new(reply: Reply) -> Self {
        let reader = match reply.upstream {
            Dialect::AnthropicMessages => Reader::Anthropic(Default::default()),
            Dialect::OpenaiChat => Reader::Chat(Default::default()),
            Dialect::OpenaiResponses => Reader::Responses(Default::default()),
            Dialect::Gemini => Reader::Gemini(Default::default()),
        };
        let writer = match reply.client {
            Dialect::AnthropicMessages => Writer::Anthropic(Default::default()),
            Dialect::OpenaiChat => Writer::Chat(openai_chat::write_events::Writer::new(&reply)),
            Dialect::OpenaiResponses => Writer::Responses(Default::default()),
            Dialect::Gemini => Writer::Gemini(gemini::write_events::Writer::new(&reply)),
        };
        let seed = names::hash(&reply.request_id);
        let client =
            Client { reply, writer, started: false, over: None, seed, made: 0, custom: None, bare: false };
        Self { framer: Some(Framer::new(MAX_EVENT)), reader, client }
    }

    /// The content type of what is written.
    pub fn content_type(&self) -> &'static str {
        if self.client.reply.array && self.client.reply.client == Dialect::Gemini {
            "application/json"
        } else {
            "text/event-stream"
        }
    }

    /// Takes the upstream's next bytes and adds the client's to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let (reader, client) = (&mut self.reader, &mut self.client);
        let Some(framer) = &mut self.framer else { return };
        framer.push(bytes, |event| match event {
            sse::Event::Whole(event) => one(reader, client, event, out),
            sse::Event::Cut(_) => client.broke(&broken("an event of the upstream's is too long"), out),
        });
        if self.client.over.is_some() {
            self.framer = None;
        }
    }

    /// How the stream ended for the client, once it has.
    pub fn ended(&self) -> Option<Ended> {
        self.client.over
    }

    /// The upstream has ended: adds the client's last bytes to `out`. A stream that did not come to its own end is told
    /// to be broken.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Ended {
        let (reader, client) = (&mut self.reader, &mut self.client);
        // An upstream may end without the empty line after its last event.
        if let Some(framer) = self.framer.take() {
            one(reader, client, framer.rest(), out);
        }
        let mut tell = |event: Event<'_>| client.event(event, out);
        match reader {
            Reader::Chat(reader) => reader.done(&mut tell),
            Reader::Gemini(reader) => reader.finish(&mut tell),
            Reader::Anthropic(_) | Reader::Responses(_) => {}
        }
        if client.over.is_none() {
            client.broke(&broken("the upstream broke off its answer"), out);
        }
        client.over.unwrap_or(Ended::Broken)
    }

    /// The upstream broke off: tells the client, unless the answer had ended. The message is for people.
    pub fn broke_off(&mut self, problem: &Problem<'_>, out: &mut Vec<u8>) {
        self.framer = None;
        if self.client.over.is_none() {
            self.client.over = Some(Ended::Broken);
            self.client.problem(problem, out);
        }
    }
}

#[cfg(test)]
impl StreamConverter {
    /// Writes a whole answer as a stream.
    pub(crate) fn told(&mut self, answer: &crate::neutral::Answer<'_>, out: &mut Vec<u8>) {
        use crate::neutral::Part;
        let client = &mut self.client;
        client.event(Event::Start { id: answer.id.clone(), model: answer.model.clone() }, out);
        for part in &answer.parts {
            match part {
                Part::Text(text) => client.event(Event::Text(text.clone()), out),
                Part::Thinking(thinking) => {
                    client.event(Event::Thinking(thinking.text.clone()), out);
                    if let Some(seal) = &thinking.seal {
                        client.event(Event::Seal(seal.clone()), out);
                    }
                }
                Part::Call(call) => {
                    let (id, name) = (call.id.clone(), call.name.clone());
                    client.event(Event::Call { id, name, namespace: None, is_custom: call.is_custom }, out);
                    client.event(Event::Arguments(call.arguments.clone()), out);
                }
                Part::Media(_) | Part::Answer(_) => {}
            }
            client.event(Event::BlockEnd, out);
        }
        client.event(Event::Usage(answer.usage), out);
        client.event(Event::Finish(answer.stop.clone()), out);
        client.event(Event::End, out);
    }
}

fn broken(message: &'static str) -> Fault<'static> {
    Fault { kind: "api_error".into(), message: message.into() }
}

/// Reads one event's bytes and tells the client of it.
fn one(reader: &mut Reader, client: &mut Client, event: &[u8], out: &mut Vec<u8>) {
    if client.over.is_some() {
        return;
    }
    let message = sse::read(event);
    let Some(data) = message.data.as_deref() else { return };
    let mut tell = |event: Event<'_>| client.event(event, out);
    if data == b"[DONE]" {
        if let Reader::Chat(reader) = reader {
            reader.done(&mut tell);
        }
        return;
    }
    // A broken character in a text must not cost the stream.
    let lossy;
    let parsed = match Json::parse(data) {
        Ok(parsed) => parsed,
        Err(_) => {
            lossy = String::from_utf8_lossy(data);
            match Json::parse_text(&lossy) {
                Ok(parsed) => parsed,
                Err(_) if data.iter().all(u8::is_ascii_whitespace) => return,
                Err(_) => return tell(Event::Error(broken("an event of the upstream's is not valid JSON"))),
            }
        }
    };
    match reader {
        Reader::Anthropic(reader) => reader.event(&parsed, &mut tell),
        Reader::Chat(reader) => reader.event(&parsed, &mut tell),
        Reader::Responses(reader) => reader.event(&parsed, &mut tell),
        Reader::Gemini(reader) => reader.event(&parsed, &mut tell),
    }
}

impl Client {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        if self.over.is_some() {
            return;
        }
        match event {
            Event::Error(fault) => return self.broke(&fault, out),
            Event::Start { ref id, .. } => {
                if std::mem::replace(&mut self.started, true) {
                    return;
                }
                if !id.is_empty() {
                    self.seed = names::hash(id);
                }
                return self.write(&event, out);
            }
            // Bytes that come before the start would have no place.
            _ if !self.started => {
                self.event(Event::Start { id: Text::default(), model: Text::default() }, out);
            }
            _ => {}
        }
        match event {
            Event::Call { id, name, is_custom, .. } => self.call(id, name, is_custom, out),
            Event::Arguments(piece) if self.custom.is_some() => self.hold(&piece, out),
            Event::Arguments(ref piece) => {
                self.bare &= piece.is_empty();
                self.write(&event, out);
            }
            Event::Usage(_) => self.write(&event, out),
            event => {
                self.release(out);
                self.write(&event, out);
                if event == Event::End {
                    self.over = Some(Ended::Whole);
                }
            }
        }
    }

    fn call(&mut self, id: Text<'_>, name: Text<'_>, is_custom: bool, out: &mut Vec<u8>) {
        self.release(out);
        let id = if id.is_empty() {
            self.made += 1;
            Cow::Owned(reply::made_up(self.seed, self.made - 1))
        } else {
            id
        };
        let known = self.reply.names.known(&name).cloned();
        let wrapped = known.as_ref().is_some_and(|known| known.is_custom) && !is_custom;
        self.custom = wrapped.then(String::new);
        self.bare = !is_custom && !wrapped;
        let namespace = known.as_ref().and_then(|known| known.namespace.clone()).map(Cow::Owned);
        let name = known.map_or(name, |known| Cow::Owned(known.name));
        self.write(&Event::Call { id, name, namespace, is_custom: is_custom || wrapped }, out);
    }

    fn hold(&mut self, piece: &str, out: &mut Vec<u8>) {
        let Some(held) = &mut self.custom else { return };
        if held.len() + piece.len() > MAX_CUSTOM {
            return self.broke(&broken("a call's input is too long"), out);
        }
        held.push_str(piece);
    }

    /// The open call is whole: what of its input was held goes out.
    fn release(&mut self, out: &mut Vec<u8>) {
        if let Some(held) = self.custom.take() {
            self.write(&Event::Arguments(reply::custom_input(&held).into()), out);
        }
        if std::mem::take(&mut self.bare) {
            self.write(&Event::Arguments("{}".into()), out);
        }
    }

    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let reply = &self.reply;
        let fits = match &mut self.writer {
            Writer::Anthropic(writer) => {
                writer.event(event, reply, out);
                true
            }
            Writer::Chat(writer) => {
                writer.event(event, reply, out);
                true
            }
            Writer::Responses(writer) => writer.event(event, reply, out),
            Writer::Gemini(writer) => writer.event(event, reply, out),
        };
        if !fits {
            self.broke(&broken("the answer is too long to be converted"), out);
        }
    }

    /// The answer has failed: the client is told as its dialect tells it.
    fn broke(&mut self, fault: &Fault<'_>, out: &mut Vec<u8>) {
        if self.over.is_some() {
            return;
        }
        self.over = Some(Ended::Broken);
        let kind = reply::kind_of(StatusCode::INTERNAL_SERVER_ERROR, &fault.kind);
        let message = if fault.message.is_empty() { "the upstream failed" } else { &fault.message };
        let request_id = self.reply.request_id.clone();
        self.problem(&Problem::new(kind, message, &request_id), out);
    }

    fn problem(&mut self, problem: &Problem<'_>, out: &mut Vec<u8>) {
        match &mut self.writer {
            Writer::Responses(writer) => writer.failed(problem, &self.reply, out),
            Writer::Gemini(writer) => writer.failed(problem, out),
            Writer::Anthropic(_) | Writer::Chat(_) => {
                out.extend_from_slice(&stream_event(self.reply.client, problem));
            }
        }
    }
}
