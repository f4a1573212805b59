//! Kinds of upstream accounts, one folder each. Sans I/O: a platform builds requests and reads answers, it never opens
//! a connection, reads the environment or starts a task. So the node (relaying) and the control plane (checks, tests,
//! later OAuth and refresh) use the same folder.

mod anthropic_cloud;
mod anthropic_like;
mod azure_openai;
mod bedrock;
mod ccr;
mod claude_console;
mod claude_official;
pub mod credentials;
mod deepseek;
mod gemini;
mod gemini_api;
mod gemini_like;
pub mod headers;
pub mod mapping;
pub mod oauth;
mod openai;
mod openai_like;
mod openai_responses;
pub mod platform;
#[cfg(test)]
mod recorded;
pub mod registry;
mod request;
pub mod seen;
pub mod unwrap;
pub mod url;
mod vertex;

pub use credentials::{Field, FieldKind, Violation};
pub use oauth::{Credential, GrantError, Grants, Tokens};
pub use platform::{
    AccountView, BodyPlan, Call, Credentials, Info, Platform, PrepareError, Prepared, Splice,
};
pub use seen::Seen;
pub use unwrap::{NotWrapped, Unwrap};
