//! Ports that are free now.

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;

/// An address of the loopback on which nothing listens. Another process may take it before ours does: whoever starts a
/// process on it tries again with others.
pub fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
