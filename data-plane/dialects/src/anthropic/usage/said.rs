//! A `usage` object read straight from its text: once for every answer, so without a tree of values in between. A key
//! that comes twice counts as it stands last.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::Counts;
use crate::figure::{Figure, Text, any_value};

/// What a `usage` value says.
pub(super) struct Said(pub(super) Counts);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Parts { object, mut counts, thinking, by_life, details, tools, .. } = Parts::deserialize(from)?;
        counts.irregular |= !object;
        (counts.cache_write_5m, counts.cache_write_1h) = by_life;
        counts.reasoning = thinking.or(details);
        counts.server_tool_calls = tools;
        Ok(Self(counts))
    }
}

/// Whatever figures an object has, one within it included: which of them count depends on where it stands.
#[derive(Default)]
struct Parts {
    /// Whether it is an object at all.
    object: bool,
    counts: Counts,
    /// `thinking_tokens` of the object itself.
    thinking: Option<i64>,
    /// `web_search_requests` of the object itself.
    searches: Option<i64>,
    /// Of `cache_creation`: writes that live five minutes, and one hour.
    by_life: (Option<i64>, Option<i64>),
    /// Of `output_tokens_details`: `thinking_tokens`, else `reasoning_tokens`.
    details: Option<i64>,
    /// Of `server_tool_use`: `web_search_requests`. Of the server's tools only searches have a price by call; fetching is
    /// free and execution goes by time.
    tools: Option<i64>,
}

#[derive(Clone, Copy)]
enum Key {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    ByLife,
    FiveMinutes,
    OneHour,
    Thinking,
    Reasoning,
    Details,
    Tools,
    Searches,
    Tier,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(match name {
                    "input_tokens" => Key::Input,
                    "output_tokens" => Key::Output,
                    "cache_read_input_tokens" => Key::CacheRead,
                    "cache_creation_input_tokens" => Key::CacheWrite,
                    "cache_creation" => Key::ByLife,
                    "ephemeral_5m_input_tokens" => Key::FiveMinutes,
                    "ephemeral_1h_input_tokens" => Key::OneHour,
                    "thinking_tokens" => Key::Thinking,
                    "reasoning_tokens" => Key::Reasoning,
                    "output_tokens_details" => Key::Details,
                    "server_tool_use" => Key::Tools,
                    "web_search_requests" => Key::Searches,
                    "service_tier" => Key::Tier,
                    _ => Key::Other,
                })
            }
        }
        from.deserialize_identifier(Name)
    }
}

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl Object {
            fn other() -> Parts {
                Parts::default()
            }
        }
        impl<'de> Visitor<'de> for Object {
            any_value!(Parts, "an object");
            fn visit_unit<E>(self) -> Result<Parts, E> {
                Ok(Self::other())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Parts, E> {
                Ok(Self::other())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Parts, E> {
                Ok(Self::other())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Parts, E> {
                Ok(Self::other())
            }
            fn visit_str<E>(self, _: &str) -> Result<Parts, E> {
                Ok(Self::other())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Parts, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Self::other())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parts, A::Error> {
                let mut parts = Parts { object: true, ..Parts::default() };
                while let Some(key) = map.next_key()? {
                    parts.take(key, &mut map)?;
                }
                Ok(parts)
            }
        }
        from.deserialize_any(Object)
    }
}

impl Parts {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Key, map: &mut A) -> Result<(), A::Error> {
        let counts = &mut self.counts;
        let place = match key {
            Key::Input => &mut counts.input,
            Key::Output => &mut counts.output,
            Key::CacheRead => &mut counts.cache_read,
            Key::CacheWrite => &mut counts.cache_write,
            Key::FiveMinutes => &mut counts.cache_write_5m,
            Key::OneHour => &mut counts.cache_write_1h,
            Key::Thinking => &mut self.thinking,
            Key::Reasoning => &mut counts.reasoning,
            Key::Searches => &mut self.searches,
            Key::ByLife | Key::Details | Key::Tools => return self.nested(key, map.next_value()?),
            Key::Tier => {
                counts.service_tier = map.next_value::<Text>()?.0;
                return Ok(());
            }
            Key::Other => {
                map.next_value::<IgnoredAny>()?;
                return Ok(());
            }
        };
        let figure: Figure = map.next_value()?;
        *place = figure.number;
        counts.irregular |= figure.irregular;
        Ok(())
    }

    /// An object within: only what belongs into it counts.
    fn nested<E>(&mut self, key: Key, inner: Self) -> Result<(), E> {
        match key {
            Key::ByLife => self.by_life = (inner.counts.cache_write_5m, inner.counts.cache_write_1h),
            Key::Details => self.details = inner.thinking.or(inner.counts.reasoning),
            _ => self.tools = inner.searches,
        }
        self.counts.irregular |= inner.counts.irregular;
        Ok(())
    }
}
