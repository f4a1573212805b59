//! The typed Rust client of the admin API.
//!
//! ```no_run
//! # async fn example() -> Result<(), sdk::Error> {
//! let mut client = sdk::Client::with_token("http://localhost:4000", "crs_at_…")?;
//! let keys = client.keys().list_keys(sdk::admin::ListKeysRequest::default()).await.map_err(sdk::Error::from)?;
//! println!("{} keys", keys.into_inner().total_size);
//! # Ok(()) }
//! ```
//!
//! Every method of every service is there, since the service clients are generated from the contract; this crate adds
//! the connection, the login and errors that say what to do.

mod client;
mod error;
mod session;

pub use client::{Client, Service};
pub use error::{Error, Violation};
pub use proto::{admin, types};
pub use session::Session;
/// What methods answer with that answer with a stream.
pub use tonic::Streaming;
