//! Kinds of upstream accounts, one folder each. Sans I/O: a platform builds requests and reads answers, it never opens
//! a connection, reads the environment or starts a task. So the node (relaying) and the control plane (checks, tests,
//! later OAuth and refresh) use the same folder.

mod anthropic_like;
mod ccr;
mod claude_console;
pub mod credentials;
pub mod headers;
pub mod mapping;
pub mod platform;
#[cfg(test)]
mod recorded;
pub mod registry;
pub mod seen;
pub mod url;

pub use credentials::{Field, FieldKind, Violation};
pub use platform::{AccountView, BodyPlan, Call, Credentials, Info, Platform, PrepareError, Prepared};
pub use seen::Seen;
