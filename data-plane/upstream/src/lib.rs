//! The one outbound connector of both planes: resolve, check every address, connect to the checked one; proxies, TLS,
//! timeouts; a pool per worker thread; and the `Exchange` of one request for one answer over HTTP/1.1.
//!
//! It knows nothing of what is relayed: no platform, no account, no dialect. It follows no redirect. The data plane's
//! `relay` and the control plane's `clients` call it.

mod body;
mod connect;
mod error;
mod exchange;
mod fetch;
mod guard;
mod pool;
mod proxy;
mod target;
mod tls;

pub use body::Pieces;
pub use connect::{Connector, Options, Resolve};
pub use error::{Error, SetupError};
pub use exchange::{Answer, Exchange, Mode};
pub use fetch::{Fetched, Limits as FetchLimits};
pub use guard::{Guard, Net, NetError};
pub use proxy::{Proxy, ProxyError};
pub use target::{Route, Target, TargetError};
