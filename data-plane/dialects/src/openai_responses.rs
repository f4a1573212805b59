//! OpenAI's Responses: what of its events, usage and errors the relay reads.

pub mod events;
