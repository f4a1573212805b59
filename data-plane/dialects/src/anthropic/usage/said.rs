//! A `usage` object read straight from its text: once for every answer, so without a tree of values in between. A key
//! that comes twice counts as it stands last.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::Counts;

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

/// A figure: whether it is one, and whether it is as it should be.
#[derive(Clone, Copy, Default)]
struct Figure {
    number: Option<i64>,
    irregular: bool,
}

/// Visitors of values that may be anything.
macro_rules! any_value {
    ($value:ty, $what:literal) => {
        type Value = $value;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str($what)
        }
        fn visit_bool<E>(self, _: bool) -> Result<$value, E> {
            Ok(Self::other())
        }
    };
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Number;
        impl Number {
            fn other() -> Figure {
                Figure { number: Some(0), irregular: true }
            }
            fn sound(number: i64, irregular: bool) -> Figure {
                Figure { number: Some(number.max(0)), irregular: irregular || number < 0 }
            }
        }
        impl<'de> Visitor<'de> for Number {
            any_value!(Figure, "a number");
            fn visit_unit<E>(self) -> Result<Figure, E> {
                Ok(Figure::default())
            }
            fn visit_i64<E>(self, number: i64) -> Result<Figure, E> {
                Ok(Self::sound(number, false))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Figure, E> {
                let fits = i64::try_from(number);
                Ok(Self::sound(fits.unwrap_or(i64::MAX), fits.is_err()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Figure, E> {
                Ok(Self::sound(number as i64, true))
            }
            fn visit_str<E>(self, digits: &str) -> Result<Figure, E> {
                Ok(Self::sound(digits.trim().parse().unwrap_or(0), true))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Figure, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Self::other())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Figure, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Self::other())
            }
        }
        from.deserialize_any(Number)
    }
}

/// A text, or none.
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Tier;
        impl Tier {
            fn other() -> Text {
                Text(None)
            }
        }
        impl<'de> Visitor<'de> for Tier {
            any_value!(Text, "a text");
            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Self::other())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
                Ok(Self::other())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Text, E> {
                Ok(Self::other())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
                Ok(Self::other())
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Self::other())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Self::other())
            }
        }
        from.deserialize_any(Tier)
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
