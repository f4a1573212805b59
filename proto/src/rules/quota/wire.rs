//! Between the machine's values and the messages of `crs.node.v1.QuotaService`.

use super::store::{Exhausted, Grant, Report, Want};
use crate::node;

impl Grant {
    /// As a message.
    pub fn to_wire(&self, meter: &str) -> node::LeaseGrant {
        node::LeaseGrant {
            meter: meter.to_owned(),
            window_id: self.window_id.clone(),
            generation: self.generation,
            granted: self.granted,
            ends_in_ms: self.ends_in_ms,
            suspect: self.suspect,
            spent: self.spent,
            returned: self.returned,
        }
    }

    /// From a message; negative totals, which no store sends, count as none.
    pub fn from_wire(wire: &node::LeaseGrant) -> Self {
        Self {
            window_id: wire.window_id.clone(),
            generation: wire.generation,
            granted: wire.granted.max(0),
            ends_in_ms: wire.ends_in_ms.max(0),
            suspect: wire.suspect,
            spent: wire.spent.max(0),
            returned: wire.returned.max(0),
        }
    }
}

impl Exhausted {
    /// As a message.
    pub fn to_wire(&self, meter: &str) -> node::LeaseExhausted {
        node::LeaseExhausted {
            meter: meter.to_owned(),
            retry_in_ms: self.retry_in_ms,
            used: self.used,
            leased: self.leased,
            resets_in_ms: self.resets_in_ms,
            amount: self.amount,
        }
    }

    /// The message that tells a node, unasked (`sequence` 0), that asking again makes sense.
    pub fn hint(meter: &str) -> node::LeaseExhausted {
        node::LeaseExhausted { meter: meter.to_owned(), retry_in_ms: 1, ..node::LeaseExhausted::default() }
    }

    /// From a message.
    pub fn from_wire(wire: &node::LeaseExhausted) -> Self {
        Self {
            retry_in_ms: wire.retry_in_ms.max(0),
            used: wire.used,
            leased: wire.leased,
            resets_in_ms: wire.resets_in_ms.max(0),
            amount: wire.amount,
        }
    }
}

impl Report {
    /// As a message.
    pub fn to_wire(&self, meter: &str) -> node::LeaseReport {
        node::LeaseReport {
            meter: meter.to_owned(),
            window_id: self.window_id.clone(),
            generation: self.generation,
            spent: self.spent,
            returned: self.returned,
        }
    }

    /// From a message.
    pub fn from_wire(wire: &node::LeaseReport) -> Self {
        Self {
            window_id: wire.window_id.clone(),
            generation: wire.generation,
            spent: wire.spent.max(0),
            returned: wire.returned.max(0),
        }
    }
}

impl Want {
    /// As a message.
    pub fn to_wire(self, meter: &str) -> node::LeaseWant {
        node::LeaseWant { meter: meter.to_owned(), waiting: self.waiting, least: self.least, rate: self.rate }
    }

    /// From a message.
    pub fn from_wire(wire: &node::LeaseWant) -> Self {
        Self { waiting: wire.waiting.max(0), least: wire.least.max(0), rate: wire.rate.max(0) }
    }
}
