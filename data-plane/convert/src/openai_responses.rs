//! OpenAI's Responses: readers and writers of requests, whole answers and streamed ones.

pub(crate) mod answer;
pub(crate) mod items;
pub(crate) mod read_events;
pub(crate) mod read_request;
pub(crate) mod read_tools;
pub(crate) mod write_events;
pub(crate) mod write_request;
