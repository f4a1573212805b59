//! The mock upstream as a process of its own, for people and for the benchmark. See `e2e::mock`.
#![allow(clippy::disallowed_methods, reason = "a test tool")]

use std::{io::Write as _, net::SocketAddr};

use clap::Parser;
use e2e::mock::{Mock, Options};

/// A mock upstream that speaks Anthropic Messages.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3999")]
    listen: SocketAddr,
    /// Upstream keys to accept; none: any.
    #[arg(long)]
    key: Vec<String>,
    /// No ledger: for measuring others.
    #[arg(long)]
    lean: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = Options {
            listen: Some(arguments.listen),
            keys: arguments.key,
            lean: arguments.lean,
            ..Options::default()
        };
        let mock = Mock::start(options).await?;
        writeln!(std::io::stdout(), "listening on {}", mock.url())?;
        mock.run().await;
        Ok(())
    })
}
