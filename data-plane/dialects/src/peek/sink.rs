//! What the scanner does as the body's tokens pass by.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::{
    Peek, PeekError,
    asking::Asking,
    digests::{Digests, Whose},
    place::{Place, Slot, top},
};
use crate::{
    Dialect,
    json::{Container, Literal, Sink, Take, Text},
};

/// No API has a model name or a user id longer than this,
const MAX_TEXT: usize = 4096;
/// a key longer than this,
const MAX_KEY: usize = 256;
/// or more top-level keys than this.
const MAX_KEYS: usize = 512;
/// A run of at least this many bytes that starts as base64 does is part of an encoded file.
const MIN_FILE: usize = 1024;

#[derive(Debug)]
pub(super) struct PeekSink {
    dialect: Dialect,
    pub(super) digests: bool,
    /// The places from the top to the innermost one that matters.
    places: SmallVec<[Place; 8]>,
    /// How deep the reader is. Deeper than `places` is long: nothing here matters.
    depth: usize,
    /// What the value after the last key is.
    slot: Slot,
    /// The key, name or number that passes,
    taken: Vec<u8>,
    /// and whether it is a key.
    taking_key: bool,
    /// Where the text that passes starts.
    started: usize,
    /// Of the string that passes: bytes that are an encoded file's.
    file_bytes: usize,
    known_keys: u32,
    other_keys: HashSet<Box<[u8]>>,
    user_id_seen: bool,
    /// Whether the message that passes is the system's.
    system_message: bool,
    asking: Asking,
    made: Digests,
    found: Peek,
}

impl PeekSink {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            digests: true,
            places: SmallVec::new(),
            depth: 0,
            slot: Slot::Other,
            taken: Vec::new(),
            taking_key: false,
            started: 0,
            file_bytes: 0,
            known_keys: 0,
            other_keys: HashSet::new(),
            user_id_seen: false,
            system_message: false,
            asking: Asking::default(),
            made: Digests::default(),
            found: Peek::default(),
        }
    }

    pub(super) fn finish(mut self) -> Peek {
        self.found.anchors = self.made.finish();
        if self.dialect == Dialect::OpenaiChat {
            self.found.usage_splice = self.asking.splice();
        }
        self.found
    }

    /// The innermost place, when the reader is in it and not deeper.
    #[inline]
    fn place(&self) -> Option<Place> {
        if self.depth == self.places.len() { self.places.last().copied() } else { None }
    }

    /// A value starts: what it is.
    #[inline]
    fn value(&mut self) -> Option<(Place, Slot)> {
        let place = self.place()?;
        if !place.is_array() {
            return Some((place, self.slot));
        }
        match place {
            Place::Messages => self.found.messages += 1,
            Place::Tools => self.found.has_tools = true,
            _ => {}
        }
        Some((place, Slot::Element))
    }

    fn key(&mut self, place: Place) -> Result<(), PeekError> {
        if place != Place::Top {
            if place == Place::StreamOptions {
                self.asking.has_options();
            }
            self.slot = place.slot(&self.taken);
            if matches!(self.slot, Slot::UserId(_)) && std::mem::replace(&mut self.user_id_seen, true) {
                return Err(PeekError::RepeatedKey { key: Some("metadata.user_id"), at: self.started });
            }
            return Ok(());
        }
        let keys = top(self.dialect);
        if let Some(index) = keys.iter().position(|(key, _)| key.as_bytes() == self.taken) {
            self.slot = keys[index].1;
            let bit = 1 << index;
            if self.known_keys & bit != 0 {
                return Err(PeekError::RepeatedKey { key: Some(keys[index].0), at: self.started });
            }
            self.known_keys |= bit;
            self.found.members.key(self.started, Some(keys[index].0));
            return Ok(());
        }
        self.slot = Slot::Other;
        self.found.members.key(self.started, None);
        if let Some((key, _)) = keys.iter().find(|(key, _)| key.as_bytes().eq_ignore_ascii_case(&self.taken))
        {
            return Err(PeekError::AmbiguousKey { key, at: self.started });
        }
        if !self.other_keys.insert(self.taken.as_slice().into()) {
            return Err(PeekError::RepeatedKey { key: None, at: self.started });
        }
        if self.other_keys.len() > MAX_KEYS { Err(PeekError::TooManyKeys) } else { Ok(()) }
    }

    /// A string in a slot: whether to take it, and how.
    fn string(&mut self, place: Place, slot: Slot, at: usize) -> Result<Take, PeekError> {
        let whose = match slot {
            Slot::Model
            | Slot::BodyModel
            | Slot::UserId(_)
            | Slot::CacheKey
            | Slot::CacheType
            | Slot::Role
            | Slot::BodySession
            | Slot::Conversation
            | Slot::Previous(_) => {
                self.taken.clear();
                return Ok(Take::Decoded);
            }
            Slot::System => Whose::System,
            Slot::Content => Whose::Message,
            Slot::Messages("input") => {
                self.found.has_messages = true;
                self.found.messages = 1;
                Whose::Message
            }
            Slot::Text if place == Place::SystemPart => Whose::System,
            Slot::Text => Whose::Message,
            _ => return refuse(slot, at).map(|()| Take::Skip),
        };
        if !self.digests || !self.made.wants(whose) {
            return Ok(Take::Skip);
        }
        self.made.begin();
        Ok(Take::Raw)
    }

    fn string_ended(&mut self, place: Place, slot: Slot, end: usize) -> Result<(), PeekError> {
        let whose =
            if slot == Slot::System || place == Place::SystemPart { Whose::System } else { Whose::Message };
        if self.made.end(whose, end - self.started == 2) {
            return Ok(());
        }
        match slot {
            Slot::Model | Slot::BodyModel => {
                self.found.model = Some(self.text("model")?);
                self.found.model_span = Some(self.started..end);
            }
            Slot::UserId(field) => self.found.user_id = Some(self.text(field)?),
            Slot::CacheKey => self.found.prompt_cache_key = Some(self.text("prompt_cache_key")?),
            Slot::CacheType if self.taken == b"ephemeral" => self.mark(),
            Slot::Role => {
                self.system_message = self.dialect != Dialect::AnthropicMessages
                    && matches!(self.taken.as_slice(), b"system" | b"developer");
            }
            Slot::BodySession => self.found.body_session = Some(self.text("session_id")?),
            Slot::Previous(field) => self.found.kept_state = Some((field, self.text(field)?)),
            Slot::Conversation => self.found.kept_state = Some(("conversation", self.text("conversation")?)),
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, field: &'static str) -> Result<String, PeekError> {
        String::from_utf8(std::mem::take(&mut self.taken)).map_err(|_| PeekError::WrongType {
            field,
            expected: "valid Unicode",
            at: self.started,
        })
    }

    fn mark(&mut self) {
        match self.places.iter().nth_back(1) {
            Some(Place::SystemPart) => self.made.mark_part(),
            _ => self.made.mark_message(),
        }
    }

    fn number_ended(&mut self, field: &'static str) -> Result<(), PeekError> {
        let text = std::str::from_utf8(&self.taken).unwrap_or_default();
        // Some clients write whole numbers as 1e3 or 1000.0.
        let whole = |number: &f64| number.fract() == 0.0 && (0.0..9e15).contains(number);
        let value = text.parse().ok().or_else(|| text.parse().ok().filter(whole).map(|number| number as u64));
        let Some(value) = value else {
            return Err(PeekError::WrongType { field, expected: "a whole number", at: self.started });
        };
        self.found.max_output = self.found.max_output.max(Some(value));
        Ok(())
    }
}

/// The name of a slot and the type that its values must have. Slots that only serve as evidence may have any.
const fn expected(slot: Slot) -> Option<(&'static str, &'static str)> {
    Some(match slot {
        Slot::Model => ("model", "a string"),
        Slot::Stream => ("stream", "a boolean"),
        Slot::MaxOutput(field) => (field, "a whole number"),
        Slot::CacheKey => ("prompt_cache_key", "a string"),
        Slot::Metadata => ("metadata", "an object"),
        Slot::UserId(field) => (field, "a string"),
        Slot::System => ("system", "a string or an array"),
        Slot::Messages(field) => (field, "an array"),
        Slot::Tools => ("tools", "an array"),
        Slot::StreamOptions => ("stream_options", "an object"),
        Slot::IncludeUsage => ("stream_options.include_usage", "a boolean"),
        _ => return None,
    })
}

/// Refuses a value whose type its slot does not have.
fn refuse(slot: Slot, at: usize) -> Result<(), PeekError> {
    expected(slot).map_or(Ok(()), |(field, expected)| Err(PeekError::WrongType { field, expected, at }))
}

/// Whether the start of a long run reads like base64: letters, digits and a few signs, without a single blank.
fn looks_encoded(run: &[u8]) -> bool {
    run.len() >= MIN_FILE
        && run[..64].iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_:;,.".contains(byte))
}

impl Sink for PeekSink {
    type Error = PeekError;

    fn open(&mut self, container: Container, at: usize) -> Result<(), PeekError> {
        let object = container == Container::Object;
        if self.depth == 0 {
            if !object {
                return Err(PeekError::NotAnObject);
            }
            self.places.push(Place::Top);
            self.found.members.begin(at);
            self.asking.opened(at);
        } else if let Some((place, slot)) = self.value() {
            match place.inner(slot, object) {
                Some(inner) => {
                    self.found.has_messages |= inner == Place::Messages;
                    if inner == Place::StreamOptions {
                        self.asking.options(at);
                    }
                    self.places.push(inner);
                }
                None => refuse(slot, at)?,
            }
        }
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), PeekError> {
        if let Some(place) = self.place() {
            match place {
                Place::SystemPart => self.made.end_part(),
                Place::Message => self.made.end_message(std::mem::take(&mut self.system_message)),
                _ => {}
            }
            self.places.pop();
        }
        self.depth -= 1;
        if self.depth == 1 {
            self.found.members.value_ended(end);
        }
        Ok(())
    }

    #[inline]
    fn begin(&mut self, text: Text, at: usize) -> Result<Take, PeekError> {
        self.started = at;
        self.taking_key = text == Text::Key;
        if self.taking_key {
            if self.place().is_none() {
                return Ok(Take::Skip);
            }
            self.taken.clear();
            return Ok(Take::Decoded);
        }
        if self.depth == 0 {
            return Err(PeekError::NotAnObject);
        }
        let Some((place, slot)) = self.value() else { return Ok(Take::Skip) };
        if text == Text::String {
            return self.string(place, slot, at);
        }
        if matches!(slot, Slot::MaxOutput(_)) {
            self.taken.clear();
            return Ok(Take::Decoded);
        }
        refuse(slot, at).map(|()| Take::Skip)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), PeekError> {
        if self.made.bytes(bytes) {
            return Ok(());
        }
        let (max, field) = if self.taking_key {
            (MAX_KEY, None)
        } else {
            (MAX_TEXT, expected(self.slot).map(|known| known.0))
        };
        if self.taken.len() + bytes.len() > max {
            return Err(PeekError::TooLong { field, at: self.started });
        }
        self.taken.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn skipped(&mut self, run: &[u8]) {
        if run.len() >= MIN_FILE && (self.file_bytes > 0 || looks_encoded(run)) {
            self.file_bytes += run.len();
        }
    }

    #[inline]
    fn end(&mut self, text: Text, end: usize) -> Result<(), PeekError> {
        if text == Text::String {
            self.found.files += u32::from(self.file_bytes > 0);
            let length = end - self.started - 2;
            self.found.text_bytes += length.saturating_sub(std::mem::take(&mut self.file_bytes)) as u64;
        }
        let Some(place) = self.place() else { return Ok(()) };
        if text == Text::Key {
            return self.key(place);
        }
        if place == Place::Top {
            self.found.members.value_ended(end);
        }
        let slot = if place.is_array() { Slot::Element } else { self.slot };
        match (text, slot) {
            (Text::String, slot) => self.string_ended(place, slot, end),
            (_, Slot::MaxOutput(field)) => self.number_ended(field),
            _ => Ok(()),
        }
    }

    fn literal(&mut self, literal: Literal, at: usize, end: usize) -> Result<(), PeekError> {
        if self.depth == 0 {
            return Err(PeekError::NotAnObject);
        }
        if self.depth == 1 {
            self.found.members.value_ended(end);
        }
        match (self.value(), literal) {
            (Some((_, Slot::Stream)), Literal::True) => self.found.stream = Some(true),
            (Some((_, Slot::Stream)), Literal::False) => self.found.stream = Some(false),
            (Some((_, Slot::Store)), _) => self.found.store = Some(literal == Literal::True),
            (Some((_, Slot::IncludeUsage)), _) => self.asking.asks(literal == Literal::True, at..end),
            (Some((_, Slot::StreamOptions)), Literal::Null) => self.asking.none(at..end),
            // `null` is how some clients write "not set"; a model is never not set.
            (Some((_, slot)), Literal::Null) if slot != Slot::Model => {}
            (Some((_, slot)), _) => refuse(slot, at)?,
            (None, _) => {}
        }
        Ok(())
    }
}
