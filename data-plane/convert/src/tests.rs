//! Tests over whole conversions: golden pairs, splits at every byte, properties.
#![allow(clippy::unwrap_used, reason = "tests")]

mod arbitrary;
mod behaviour;
mod golden;
mod never_panics;
mod round_trip;
mod streams;

use dialects::{Dialect, Operation};

use crate::{Converted, Options, Plan, Refused};

pub(crate) const NOW: u64 = 1_700_000_000;

/// A request converted with the model that its body names.
pub(crate) fn convert(from: Dialect, to: Dialect, model: &str, body: &[u8]) -> Result<Converted, Refused> {
    let options = Options { model, request_id: "req_1", now_s: NOW, ..Options::default() };
    Plan::new(from, to, Plan::operation(from)).unwrap().request(body, &options)
}

/// A way back without anything to remember.
pub(crate) fn reply(client: Dialect, upstream: Dialect) -> crate::Reply {
    crate::Reply {
        client,
        upstream,
        names: crate::names::Names::default(),
        asked_model: "asked".to_owned(),
        request_id: "req_1".to_owned(),
        now_s: NOW,
        stream_usage: true,
        array: false,
    }
}

#[test]
fn only_turns_between_two_dialects_are_converted() {
    for from in Dialect::ALL {
        for to in Dialect::ALL {
            let plan = Plan::new(from, to, Plan::operation(from));
            assert_eq!(plan.is_some(), from != to);
            assert_eq!(Plan::new(from, to, Operation::CountTokens), None);
            assert_eq!(Plan::new(from, to, Operation::Embeddings), None);
        }
    }
}
