//! Misbehaviour that is the same in every dialect, applied to the events of a correct answer.

use bytes::Bytes;
use serde_json::{Value, json};

use super::scenario::{Behaviour, Fault, UsageQuirk};

/// What a dialect has of its own in a stream that goes wrong.
pub struct Odd<'a> {
    /// The event that an error of that type is.
    pub error: &'a dyn Fn(&str) -> Bytes,
    /// A delta with bytes that are no UTF-8.
    pub broken: &'static [u8],
    /// How many events at the end say that the answer is whole.
    pub ends: usize,
}

/// The events as they are told.
pub fn apply(mut events: Vec<Bytes>, behaviour: &Behaviour, odd: &Odd<'_>) -> Vec<Bytes> {
    if !behaviour.raw_events.is_empty() {
        return behaviour.raw_events.iter().map(|event| Bytes::from(event.clone())).collect();
    }
    match &behaviour.fault {
        Some(Fault::EmptyStream) => events.clear(),
        Some(Fault::MissingStop) => events.truncate(events.len().saturating_sub(odd.ends)),
        Some(Fault::ErrorEvent { at, error_type }) => {
            events.truncate(at.saturating_sub(1) as usize);
            events.push((odd.error)(error_type));
        }
        Some(Fault::InvalidUtf8) => events.insert(3.min(events.len()), Bytes::from_static(odd.broken)),
        _ => {}
    }
    if let (false, Some(first)) = (behaviour.leading.is_empty(), events.first_mut()) {
        *first = [behaviour.leading.as_bytes(), first].concat().into();
    }
    events
}

/// A usage object with its quirk; `Null`: none is told.
pub fn told(mut usage: Value, quirk: UsageQuirk) -> Value {
    match quirk {
        UsageQuirk::Never => return Value::Null,
        UsageQuirk::Negative => change(&mut usage, &|number| json!(-number - 1)),
        UsageQuirk::Text => change(&mut usage, &|number| json!(number.to_string())),
        UsageQuirk::Right | UsageQuirk::LastOnly | UsageQuirk::Twice => {}
    }
    usage
}

/// Changes the figures at the top of an object.
fn change(value: &mut Value, to: &dyn Fn(i64) -> Value) {
    for field in value.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(number) = field.as_i64() {
            *field = to(number);
        }
    }
}
