//! Figures as upstreams tell them, read with tolerance and without a tree of values: numbers as texts, `null`, objects
//! where a number should be. What is off is read as far as it makes sense and said to be off, never refused.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// A figure: whether it is one, and whether it is as it should be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figure {
    /// The number; a negative one counts as 0. None: `null`, or not there.
    pub(crate) number: Option<i64>,
    /// Whether it is of a wrong type, negative or not whole.
    pub(crate) irregular: bool,
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
pub(crate) use any_value;

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
#[derive(Clone, Debug, Default)]
pub(crate) struct Text(pub(crate) Option<String>);

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

/// An object within, or nothing where something else stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lenient<T>(pub(crate) T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object<T>(std::marker::PhantomData<T>);
        impl<T: Default> Object<T> {
            fn other() -> Lenient<T> {
                Lenient(T::default())
            }
        }
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Object<T> {
            any_value!(Lenient<T>, "an object");
            fn visit_unit<E>(self) -> Result<Lenient<T>, E> {
                Ok(Self::other())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Lenient<T>, E> {
                Ok(Self::other())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Lenient<T>, E> {
                Ok(Self::other())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Lenient<T>, E> {
                Ok(Self::other())
            }
            fn visit_str<E>(self, _: &str) -> Result<Lenient<T>, E> {
                Ok(Self::other())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Lenient<T>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Self::other())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Lenient<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Lenient)
            }
        }
        from.deserialize_any(Object(std::marker::PhantomData))
    }
}

impl Figure {
    /// The number, or none said.
    pub(crate) fn or(self, other: Self) -> Self {
        if self.number.is_some() { self } else { other }
    }

    /// The number; 0 where none is said.
    pub(crate) fn value(self) -> i64 {
        self.number.unwrap_or(0)
    }
}
