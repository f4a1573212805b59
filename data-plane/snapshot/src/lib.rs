//! All that a node needs to relay, as of one store revision, behind one atomic pointer.
//!
//! Values are made from the wire once ([`Handle::apply`]) and then only read; a change costs in proportion to what it
//! touches. It knows neither scheduler nor network: the config pump of `data-plane` feeds it, `relay` reads it.

mod account;
mod binding_drop;
pub mod disk;
mod from_proto;
mod group;
mod handle;
mod key;
mod network;
mod pattern;
mod settings;
mod shards;
mod snapshot;

pub use account::{Account, Availability, Facts, PlatformFacts, Seat};
pub use binding_drop::BindingDrop;
pub use from_proto::Refused;
pub use group::{Group, Member};
pub use handle::{Applied, ApplyError, Handle};
pub use key::{Binding, Hash, Key, Life, ModelRule, Queue, Scheme};
pub use network::Network;
pub use pattern::Pattern;
pub use settings::{ControlLoss, Settings, UnknownPrice};
pub use snapshot::{Revision, Snapshot};
