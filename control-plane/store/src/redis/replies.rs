//! Taking replies of scripts apart. Ours have one shape each, so anything else is corruption, named by the script.

use redis::{FromRedisValue, Value};

use crate::error::{Error, Result};

/// The elements of a list reply, taken from the front.
pub(super) struct Reply {
    what: &'static str,
    values: std::vec::IntoIter<Value>,
}

impl Reply {
    /// A list reply.
    pub(super) fn list(what: &'static str, value: Value) -> Result<Self> {
        match value {
            Value::Array(values) => Ok(Self { what, values: values.into_iter() }),
            other => Err(Error::corrupt(what, format!("its reply is no list: {}", shape(&other)))),
        }
    }

    /// The next element.
    pub(super) fn take<T: FromRedisValue>(&mut self) -> Result<T> {
        let value = self.values.next().unwrap_or(Value::Nil);
        read(self.what, value)
    }

    /// The next element, itself a list.
    pub(super) fn take_list(&mut self) -> Result<Self> {
        Self::list(self.what, self.values.next().unwrap_or(Value::Nil))
    }

    /// The next element as it is.
    pub(super) fn take_value(&mut self) -> Value {
        self.values.next().unwrap_or(Value::Nil)
    }

    /// Whether all was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.values.len() == 0
    }
}

/// A reply as a type.
pub(super) fn read<T: FromRedisValue>(what: &'static str, value: Value) -> Result<T> {
    let kind = shape(&value);
    redis::from_redis_value(value).map_err(|_| Error::corrupt(what, format!("its reply is {kind}")))
}

/// What a value is, without what it says.
fn shape(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) => "a text",
        Value::Array(_) => "a list",
        _ => "of another kind",
    }
}
