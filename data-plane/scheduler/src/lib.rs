//! Which account serves a request: filter, rank, stickiness, health, slots.
