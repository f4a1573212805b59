//! The control plane's words and rules, without I/O: what is kept (records), what may be written and what is shown of
//! it (`wire` of each), passwords, tokens and roles. The store keeps the records, the API serves them, the fleet builds
//! snapshots from them.

pub mod account;
pub mod binding;
pub mod etag;
pub mod group;
pub mod idempotency;
pub mod key;
pub mod limit;
pub mod mask;
pub mod node;
pub mod oauth_session;
pub mod password;
pub mod record;
pub mod role;
pub mod secret;
pub mod session;
pub mod settings;
pub mod signing;
pub mod snapshot;
pub mod text;
pub mod time;
pub mod token;
pub mod url;
pub mod user;
pub mod violation;
pub mod vocabulary;

pub use account::{Account, AccountWindows};
pub use binding::BindingDrop;
pub use group::Group;
pub use idempotency::IdempotencyKey;
pub use key::Key;
pub use limit::Limit;
pub use node::Node;
pub use oauth_session::OauthSession;
pub use record::Record;
pub use role::Role;
pub use session::Session;
pub use settings::Settings;
pub use signing::SigningKeys;
pub use token::{JoinToken, Token};
pub use user::User;
pub use violation::{Violation, Violations};
