//! The operations port: `/metrics`, `/health/live`, `/health/ready`. It relays nothing and needs no login, so it
//! listens on loopback unless told otherwise.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use process::tasks::Tasks;
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// Why the process cannot serve; empty: it can.
pub type Unready = Vec<&'static str>;

/// What the port tells.
pub trait Probe: Send + Sync + 'static {
    /// What keeps it from serving.
    fn unready(&self) -> Unready;
    /// Sets the gauges that are read at scrape.
    fn refresh(&self, metrics: &Metrics);
}

/// Serves the port until the tasks are stopped.
pub fn serve(listener: TcpListener, metrics: Arc<Metrics>, probe: Arc<dyn Probe>, tasks: &Tasks) {
    let (stopping, connections) = (tasks.stopping(), tasks.clone());
    tasks.spawn("ops", async move {
        loop {
            let accepted = tokio::select! {
                () = stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (metrics, probe, stopping) = (metrics.clone(), probe.clone(), stopping.clone());
                    let service = service_fn(move |request| answer(request, metrics.clone(), probe.clone()));
                    let connection = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(Duration::from_secs(5))
                        .serve_connection(TokioIo::new(stream), service);
                    connections.spawn("ops-connection", async move {
                        tokio::select! {
                            () = stopping.cancelled() => {}
                            // A scraper that broke off is its own affair.
                            _ = connection => {}
                        }
                    });
                }
                // Out of descriptors: wait for some to be closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
}

/// Binds the port.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

fn answer(
    request: Request<Incoming>,
    metrics: Arc<Metrics>,
    probe: Arc<dyn Probe>,
) -> impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> {
    let response = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            probe.refresh(&metrics);
            respond(
                StatusCode::OK,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                metrics.render(),
            )
        }
        (&Method::GET | &Method::HEAD, "/health/live") => json(StatusCode::OK, &["alive"], "status"),
        (&Method::GET | &Method::HEAD, "/health/ready") => match probe.unready() {
            unready if unready.is_empty() => json(StatusCode::OK, &["ready"], "status"),
            unready => json(StatusCode::SERVICE_UNAVAILABLE, &unready, "waiting_for"),
        },
        _ => json(StatusCode::NOT_FOUND, &["/metrics", "/health/live", "/health/ready"], "there_is"),
    };
    std::future::ready(Ok(response))
}

fn json(status: StatusCode, words: &[&str], name: &str) -> Response<Full<Bytes>> {
    let words = match words {
        [word] if name == "status" => serde_json::json!(word),
        words => serde_json::json!(words),
    };
    respond(status, "application/json", serde_json::json!({ name: words }).to_string())
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// Resident memory in bytes and open descriptors of this process, from `/proc`; 0 where there is none.
pub fn process_figures() -> (i64, i64) {
    let resident = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().nth(1)?.parse::<i64>().ok())
        .map_or(0, |pages| pages * rustix::param::page_size() as i64);
    let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, |dir| dir.count() as i64);
    (resident, descriptors)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    struct Fixed(Unready);

    impl Probe for Fixed {
        fn unready(&self) -> Unready {
            self.0.clone()
        }

        fn refresh(&self, metrics: &Metrics) {
            metrics.config_revision.set(7);
        }
    }

    async fn get(path: &str, unready: Unready) -> String {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = Tasks::new("test");
        serve(listener, Arc::new(Metrics::new()), Arc::new(Fixed(unready)), &tasks);
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(tasks.drain(Duration::from_secs(5)).await);
        answer
    }

    #[tokio::test]
    async fn metrics_are_refreshed_and_rendered() {
        let answer = get("/metrics", vec![]).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("crs_config_revision 7"), "{answer}");
    }

    #[tokio::test]
    async fn readiness_says_what_is_missing() {
        assert!(get("/health/ready", vec![]).await.contains("\"ready\""));
        let answer = get("/health/ready", vec!["config"]).await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("config"), "{answer}");
        assert!(get("/health/live", vec!["config"]).await.starts_with("HTTP/1.1 200"));
        assert!(get("/", vec![]).await.starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn the_process_has_memory_and_descriptors() {
        let (memory, descriptors) = process_figures();
        assert!(memory > 0 && descriptors > 0);
    }
}
