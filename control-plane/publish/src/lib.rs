//! From a store change to new snapshot entries, and each node's feed of them. A change costs in proportion to what it
//! changed; what is equal to before is not sent.
//!
//! [`Publisher`] follows the store's view and keeps the [`catalog`] of encoded entries; [`Publisher::watch`] is one
//! node's feed. Who the node is and what it acknowledged is `fleet`'s to know.

pub mod catalog;
mod entries;
mod feed;
mod publisher;

pub use feed::{CHUNK_BYTES, Feed};
pub use publisher::Publisher;
