//! A tunnel through a proxy to the target, over an open connection to the proxy.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Uri};
use hyper_util::{
    client::legacy::connect::proxy::{SocksV5, Tunnel},
    rt::TokioIo,
};
use tower_service::Service;

use super::Stream;
use crate::{
    error::{Error, words},
    proxy::{Kind, Proxy},
    target::Target,
};

/// Gives the one connection that is already there.
struct Given(Option<TokioIo<Stream>>);

/// The connection was taken twice.
#[derive(Debug, thiserror::Error)]
#[error("the connection is gone")]
struct Gone;

impl Service<Uri> for Given {
    type Response = TokioIo<Stream>;
    type Error = Gone;
    type Future = Ready<Result<TokioIo<Stream>, Gone>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or(Gone))
    }
}

/// Asks the proxy for a tunnel. The target's name goes to the proxy as it is.
pub(super) async fn open(stream: Stream, proxy: &Proxy, target: &Target) -> Result<Stream, Error> {
    let wrong = |why: String| Error::Proxy { host: proxy.place(), why };
    let uri = |text: String| text.parse::<Uri>().map_err(|error| wrong(error.to_string()));
    let (there, here) = (uri(format!("https://{target}"))?, uri(format!("http://{}", proxy.place()))?);
    let given = Given(Some(TokioIo::new(stream)));
    let io = match proxy.kind {
        Kind::Http | Kind::Https => {
            let mut tunnel = Tunnel::new(here, given);
            if let Some((user, password)) = &proxy.login {
                let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
                let value = HeaderValue::try_from(value).map_err(|error| wrong(error.to_string()))?;
                tunnel = tunnel.with_auth(value);
            }
            tunnel.call(there).await.map_err(|error| wrong(words(&error)))?
        }
        Kind::Socks5 => {
            let mut socks = SocksV5::new(here, given);
            if let Some((user, password)) = &proxy.login {
                socks = socks.with_auth(user.clone(), password.clone());
            }
            socks.call(there).await.map_err(|error| wrong(format!("{error:?}")))?
        }
    };
    Ok(io.into_inner())
}
