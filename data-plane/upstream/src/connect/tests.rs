//! The guard at work, proxies and TLS, against servers on loopback.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use http::Request;
use process::tasks::Tasks;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::FetchLimits;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/");

/// Answers every name with the next of its addresses.
struct Names(Vec<&'static str>, AtomicUsize);

impl Names {
    fn boxed(addresses: &[&'static str]) -> Box<dyn Resolve> {
        Box::new(Self(addresses.to_vec(), AtomicUsize::new(0)))
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Resolving<'a> {
        let next = self.0[self.1.fetch_add(1, SeqCst) % self.0.len()];
        let addresses = next.split(',').map(|text| SocketAddr::new(text.parse().unwrap(), port)).collect();
        Box::pin(async move { Ok(addresses) })
    }
}

fn loopback() -> Options {
    let extra_ca = Some(PathBuf::from(format!("{DATA}ca.pem")));
    Options { guard: Guard::default().with_loopback(), extra_ca, ..Options::default() }
}

async fn get(connector: &Arc<Connector>, url: &str, proxy: Option<&str>) -> Result<String, Error> {
    let request = Request::get(url).body(Bytes::new()).unwrap();
    let proxy = proxy.map(|url| Arc::new(Proxy::parse(url).unwrap()));
    let answer = connector.fetch(request, proxy, FetchLimits::default()).await?;
    Ok(String::from_utf8(answer.into_body().to_vec()).unwrap())
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), body: &str) {
    head(stream).await;
    let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// A server with one script for every connection; its port.
async fn server<F>(script: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    Tasks::new("test").spawn("server", async move {
        while let Ok((stream, _)) = listener.accept().await {
            Tasks::new("test").spawn("connection", script(stream));
        }
    });
    port
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(format!("{DATA}server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{DATA}server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn ssrf_every_address_of_a_name_is_checked_at_every_connection() {
    let port = server(|mut stream| async move { answer(&mut stream, "inside").await }).await;
    let url = format!("http://name.example:{port}/");
    // One bad address among good ones is enough, and so is a name that turns to another address later.
    for addresses in
        [&["93.184.216.34,10.0.0.1"][..], &["127.0.0.1"], &["::ffff:127.0.0.1"], &["169.254.169.254"]]
    {
        let connector = Connector::with_resolver(Options::default(), Names::boxed(addresses)).unwrap();
        let error = get(&connector, &url, None).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{addresses:?}: {error}");
        assert!(error.to_string().contains("upstream-allow-private"), "{error}");
        assert!(error.before_sending());
    }
    let rebinding = Names::boxed(&["127.0.0.1", "10.0.0.1"]);
    let connector = Connector::with_resolver(loopback(), rebinding).unwrap();
    assert_eq!(get(&connector, &url, None).await.unwrap(), "inside");
    assert!(matches!(get(&connector, &url, None).await, Err(Error::Refused { .. })));
    let target = Target::of(&url.parse().unwrap()).unwrap();
    assert!(connector.vet(&target).await.is_ok());
    assert!(connector.vet(&target).await.is_err());
}

#[tokio::test]
async fn ssrf_literals_proxies_and_names_behind_proxies_are_checked_too() {
    let connector = Connector::new(Options::default()).unwrap();
    for (url, proxy) in [
        ("http://127.0.0.1:1/", None),
        ("http://[::1]:1/", None),
        ("http://8.8.8.8/", Some("http://127.0.0.1:1")),
        ("http://10.0.0.1/", Some("http://8.8.8.8:1")),
        ("http://169.254.169.254/", Some("socks5://8.8.8.8:1")),
        ("https://localhost./", None),
    ] {
        let error = get(&connector, url, proxy).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{url} {proxy:?}: {error}");
    }
}

#[tokio::test]
async fn redirects_are_answers_like_any_other() {
    let port = server(|mut stream| async move {
        head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
    })
    .await;
    let connector = Connector::new(loopback()).unwrap();
    let request = Request::get(format!("http://127.0.0.1:{port}/")).body(Bytes::new()).unwrap();
    let answer = connector.fetch(request, None, FetchLimits::default()).await.unwrap();
    assert_eq!(answer.status(), 302);
}

#[tokio::test]
async fn tls_trusts_the_extra_roots_and_nothing_else() {
    let port = server(|stream| async move {
        if let Ok(mut stream) = acceptor().accept(stream).await {
            answer(&mut stream, "over TLS").await;
        }
    })
    .await;
    let url = format!("https://localhost:{port}/");
    assert_eq!(get(&Connector::new(loopback()).unwrap(), &url, None).await.unwrap(), "over TLS");
    let strange = Connector::new(Options { extra_ca: None, ..loopback() }).unwrap();
    assert!(matches!(get(&strange, &url, None).await, Err(Error::Tls { .. })));
    let missing = Options { extra_ca: Some("/nowhere.pem".into()), ..loopback() };
    assert!(Connector::new(missing).is_err());
}

#[tokio::test]
async fn http_and_https_proxies_tunnel_with_credentials() {
    for tls in [false, true] {
        let proxy = server(move |stream| async move {
            let script = async |mut stream: &mut (dyn Both + Unpin + Send)| {
                let asked = head(&mut stream).await;
                assert!(asked.starts_with("CONNECT target.example:80 HTTP/1.1\r\n"), "{asked}");
                // me:p@ss
                if asked.contains("Proxy-Authorization: Basic bWU6cEBzcw==") {
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    answer(&mut stream, "through").await;
                } else {
                    stream.write_all(b"HTTP/1.1 407 No\r\n\r\n").await.unwrap();
                }
            };
            if tls {
                script(&mut acceptor().accept(stream).await.unwrap()).await;
            } else {
                script(&mut { stream }).await;
            }
        })
        .await;
        let connector = Connector::with_resolver(loopback(), Names::boxed(&["127.0.0.1"])).unwrap();
        let scheme = if tls { "https" } else { "http" };
        let with = format!("{scheme}://me:p%40ss@localhost:{proxy}");
        assert_eq!(get(&connector, "http://target.example/", Some(&with)).await.unwrap(), "through");
        let without = format!("{scheme}://localhost:{proxy}");
        let error = get(&connector, "http://target.example/", Some(&without)).await.unwrap_err();
        assert!(matches!(error, Error::Proxy { .. }), "{error}");
    }
}

trait Both: AsyncRead + AsyncWrite {}
impl<T: AsyncRead + AsyncWrite> Both for T {}

#[tokio::test]
async fn socks5_tunnels_with_credentials() {
    let proxy = server(|mut stream| async move {
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, [5, 1, 2]);
        stream.write_all(&[5, 2]).await.unwrap();
        let mut login = [0; 8];
        stream.read_exact(&mut login).await.unwrap();
        assert_eq!(&login, b"\x01\x02me\x03pwd");
        stream.write_all(&[1, 0]).await.unwrap();
        let mut ask = [0; 4 + 1 + 14 + 2];
        stream.read_exact(&mut ask).await.unwrap();
        assert_eq!(&ask[5..19], b"target.example");
        stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await.unwrap();
        answer(&mut stream, "through").await;
    })
    .await;
    let connector = Connector::with_resolver(loopback(), Names::boxed(&["127.0.0.1"])).unwrap();
    let url = format!("socks5://me:pwd@127.0.0.1:{proxy}");
    assert_eq!(get(&connector, "http://target.example/", Some(&url)).await.unwrap(), "through");
}

#[tokio::test]
async fn a_fetch_is_bounded_in_time_and_length() {
    let port = server(|mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let connector = Connector::new(loopback()).unwrap();
    let fetch = |limits| {
        let request = Request::get(format!("http://127.0.0.1:{port}/")).body(Bytes::new()).unwrap();
        connector.fetch(request, None, limits)
    };
    let time = Duration::from_millis(50);
    assert!(matches!(fetch(FetchLimits { time, bytes: 100 }).await, Err(Error::Timeout(50))));
    assert!(matches!(
        fetch(FetchLimits { time: Duration::from_secs(5), bytes: 9 }).await,
        Err(Error::TooLong(9))
    ));
    let deaf = server(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let options = Options { connect_timeout: Duration::from_millis(50), ..loopback() };
    let error = get(&Connector::new(options).unwrap(), &format!("https://localhost:{deaf}/"), None)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ConnectTimeout { .. }), "{error}");
}
