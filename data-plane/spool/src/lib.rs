//! The durable log of intents and outcomes that the control plane has not yet acknowledged.
