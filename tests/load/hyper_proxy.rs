//! A minimal reverse proxy on hyper: what any Rust relay must spend, and so the yardstick. It passes requests to one
//! upstream through hyper's pooled client and does nothing else: no key, no limits, no records.
#![allow(clippy::disallowed_methods, reason = "a measuring tool")]

use std::{io::Write as _, net::SocketAddr};

use anyhow::Result;
use clap::Parser;
use http::{Request, Response, Uri, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;

/// A minimal reverse proxy.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// Where to send everything.
    #[arg(long)]
    upstream: SocketAddr,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<()> {
    let listener = TcpListener::bind(arguments.listen).await?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
    writeln!(std::io::stdout(), "listening on {}", arguments.listen)?;
    loop {
        let (io, _) = listener.accept().await?;
        io.set_nodelay(true)?;
        let (client, upstream) = (client.clone(), arguments.upstream);
        tokio::spawn(async move {
            let service = service_fn(move |request| relay(client.clone(), upstream, request));
            let _ =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service).await;
        });
    }
}

async fn relay(
    client: Client<HttpConnector, Incoming>,
    upstream: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    // The relay's path is longer than the upstream's by `/api`.
    let path = path.strip_prefix("/api").unwrap_or(path);
    *request.uri_mut() =
        Uri::builder().scheme("http").authority(upstream.to_string()).path_and_query(path).build()?;
    for name in [header::CONNECTION, header::HOST] {
        request.headers_mut().remove(name);
    }
    let mut response = client.request(request).await?;
    response.headers_mut().remove(header::CONNECTION);
    Ok(response)
}
