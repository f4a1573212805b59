//! Conversion between any two client dialects, through one neutral form. Sans I/O: bytes in, bytes out; it knows no
//! account, no platform and no clock.
//!
//! A [`Plan`] is made from the client's dialect, the upstream's and the operation; none where there is nothing to
//! convert or no way to. [`Plan::request`] turns the client's body into the upstream's, and says what was lost
//! ([`Loss`]) or that it cannot be done ([`Refused`], status 400). It also gives the [`Reply`], which knows what the
//! way back needs: [`Reply::answer`] for a whole answer, [`Reply::stream`] for a streamed one, [`Reply::error`] for an
//! error. A [`StreamConverter`] takes the upstream's bytes in any pieces and gives the client's at once.
//!
//! ```
//! use convert::{Options, Plan};
//! use dialects::{Dialect, Operation};
//!
//! let plan = Plan::new(Dialect::OpenaiChat, Dialect::AnthropicMessages, Operation::ChatCompletions).unwrap();
//! let body = br#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"hi"}]}"#;
//! let converted = plan.request(body, &Options { model: "claude-sonnet-4-5", ..Options::default() }).unwrap();
//! assert_eq!(
//!     String::from_utf8(converted.body).unwrap(),
//!     r#"{"model":"claude-sonnet-4-5","max_tokens":4096,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#,
//! );
//! ```
//!
//! Inside: [`neutral`] is the form; each dialect's folder has its readers and writers; [`loss`] is the table of what
//! cannot be carried (`docs/conversion.md` is made of it); [`seal`] lets a provider's signatures travel through another
//! dialect's client.

mod anthropic;
mod gemini;
pub mod json;
pub mod loss;
mod media;
pub mod models;
mod names;
pub mod neutral;
mod openai;
mod openai_chat;
mod openai_responses;
mod plan;
mod reply;
mod schema;
pub mod seal;
mod stream;
mod turns;

#[cfg(test)]
mod tests;

pub use loss::{Loss, Refused};
pub use plan::{Converted, Options, Plan, read_request, write_request};
pub use reply::Reply;
pub use stream::{Ended, StreamConverter};

/// Whom a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The model, as the upstream names it.
    pub model: &'a str,
}
