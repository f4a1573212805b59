//! JSON that keeps the order of keys and borrows its texts from the document. Order matters: a model that answers in a
//! schema fills its fields in the schema's order, and an upstream's prompt cache compares bytes. serde_json's own value
//! sorts keys.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;

/// A text, borrowed from the document where it holds no escapes.
pub type Text<'a> = Cow<'a, str>;

/// A value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Json<'a> {
    /// `null`
    #[default]
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(Text<'a>),
    /// `[…]`
    Array(Vec<Json<'a>>),
    /// `{…}`
    Object(Object<'a>),
}

/// An object, its keys in order. Of a key that comes twice the first one counts, so that what was seen stays so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(pub Vec<(Text<'a>, Json<'a>)>);

/// An object of these pairs. An absent value (`None`) leaves its key out.
macro_rules! object {
    ($($key:literal : $value:expr),+ $(,)?) => {{
        let mut object = $crate::json::Object::default();
        $( object.put($key, $value); )+
        object
    }};
}
pub(crate) use object;

impl<'a> Json<'a> {
    /// Reads a document.
    ///
    /// # Errors
    /// It is no JSON, no UTF-8, or nests deeper than 128 levels.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// It is no JSON, or nests deeper than 128 levels.
    pub fn parse_text(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is whole and not negative; also where it is written with a fraction of zero.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64().or_else(|| {
                let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
                (0.0..9e15).contains(&float).then_some(float as u64)
            }),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements; none where it is no array.
    pub fn elements(&self) -> &[Json<'a>] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
        }
    }

    /// The value of a key; none where it is no object, or the value is null.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        match self {
            Self::Object(object) => object.get(key),
            _ => None,
        }
    }

    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Json::as_str)
    }

    /// The text itself, if it is one.
    pub fn into_text(self) -> Option<Text<'a>> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements themselves; none where it is no array.
    pub fn into_elements(self) -> Vec<Json<'a>> {
        match self {
            Self::Array(elements) => elements,
            _ => Vec::new(),
        }
    }

    /// The object itself; an empty one where it is none.
    pub fn into_object(self) -> Object<'a> {
        match self {
            Self::Object(object) => object,
            _ => Object::default(),
        }
    }

    /// The document, without blanks.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The document, without blanks.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The same with texts of its own.
    pub fn into_owned(self) -> Json<'static> {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Number(number) => Json::Number(number),
            Self::String(text) => Json::String(Cow::Owned(text.into_owned())),
            Self::Array(elements) => Json::Array(elements.into_iter().map(Json::into_owned).collect()),
            Self::Object(object) => Json::Object(object.into_owned()),
        }
    }
}

impl<'a> Object<'a> {
    /// The value of a key; null counts as absent.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        let found = self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        found.filter(|value| !matches!(value, Json::Null))
    }

    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Json::as_str)
    }

    /// Takes a key out; null counts as absent.
    pub fn take(&mut self, key: &str) -> Option<Json<'a>> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        let (_, value) = self.0.remove(at);
        (!matches!(value, Json::Null)).then_some(value)
    }

    /// Takes out whichever of two spellings is there.
    pub fn take_either(&mut self, camel: &str, snake: &str) -> Option<Json<'a>> {
        let (first, second) = (self.take(camel), self.take(snake));
        first.or(second)
    }

    /// Takes a text out; what is no text is dropped.
    pub fn take_text(&mut self, key: &str) -> Option<Text<'a>> {
        self.take(key).and_then(Json::into_text)
    }

    /// Adds a pair, unless the value is absent.
    pub fn put(&mut self, key: &'static str, value: impl Put<'a>) {
        if let Some(value) = value.put() {
            self.0.push((Cow::Borrowed(key), value));
        }
    }

    /// Adds a pair with a key that came from outside.
    pub fn put_named(&mut self, key: Text<'a>, value: Json<'a>) {
        self.0.push((key, value));
    }

    /// Whether it has no pairs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same with texts of its own.
    pub fn into_owned(self) -> Object<'static> {
        let owned = |(key, value): (Text<'a>, Json<'a>)| (Cow::Owned(key.into_owned()), value.into_owned());
        Object(self.0.into_iter().map(owned).collect())
    }
}

/// What can be put into an object.
pub trait Put<'a> {
    /// The value; none leaves the key out.
    fn put(self) -> Option<Json<'a>>;
}

impl<'a> Put<'a> for Json<'a> {
    fn put(self) -> Option<Json<'a>> {
        Some(self)
    }
}

impl<'a> Put<'a> for Option<Json<'a>> {
    fn put(self) -> Option<Json<'a>> {
        self
    }
}

macro_rules! from {
    ($($kind:ty => |$value:ident| $made:expr),* $(,)?) => { $(
        impl<'a> From<$kind> for Json<'a> {
            fn from($value: $kind) -> Self {
                $made
            }
        }

        impl<'a> Put<'a> for $kind {
            fn put(self) -> Option<Json<'a>> {
                Some(self.into())
            }
        }

        impl<'a> Put<'a> for Option<$kind> {
            fn put(self) -> Option<Json<'a>> {
                self.map(Into::into)
            }
        }
    )* };
}

from! {
    &'a str => |value| Json::String(Cow::Borrowed(value)),
    Text<'a> => |value| Json::String(value),
    String => |value| Json::String(Cow::Owned(value)),
    bool => |value| Json::Bool(value),
    u64 => |value| Json::Number(value.into()),
    i64 => |value| Json::Number(value.into()),
    u16 => |value| Json::Number(value.into()),
    f64 => |value| Number::from_f64(value).map_or(Json::Null, Json::Number),
    Vec<Json<'a>> => |value| Json::Array(value),
    Object<'a> => |value| Json::Object(value),
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(value.into())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Json<'de>, A::Error> {
        let mut object = Object::default();
        while let Some((key, value)) = pairs.next_entry::<Key<'de>, Json<'de>>()? {
            object.0.push((key.0, value));
        }
        Ok(Json::Object(object))
    }
}

/// A key, borrowed where it can be.
struct Key<'a>(Text<'a>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(Values)? {
            Json::String(text) => Ok(Self(text)),
            _ => Ok(Self(Cow::Borrowed(""))),
        }
    }
}

/// Writes a text as a JSON string.
pub fn quote(text: &str, out: &mut Vec<u8>) {
    // Writing to a vector does not fail.
    let _ = serde_json::to_writer(out, text);
}
