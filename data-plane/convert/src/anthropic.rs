//! Anthropic Messages: readers and writers of requests, whole answers and streamed ones.

pub(crate) mod answer;
pub(crate) mod read_events;
pub(crate) mod read_request;
pub(crate) mod thinking;
pub(crate) mod write_events;
pub(crate) mod write_request;
