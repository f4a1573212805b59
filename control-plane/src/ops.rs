//! The operations port: `/metrics`, `/health/live`, `/health/ready`. It administers nothing and needs no login, so it
//! listens on loopback unless told otherwise. Several parts of one process may speak through it: standalone's two planes.

use std::{convert::Infallible, sync::Arc};

use http::{Method, Request, Response, StatusCode, header};
use tonic::body::Body;

/// A part of the process that has a condition.
pub trait Part: Send + Sync + 'static {
    /// What keeps it from serving; empty: nothing.
    fn unready(&self) -> Vec<&'static str>;
    /// Its metrics as OpenMetrics text.
    fn metrics(&self) -> String;
}

/// The parts of this process, as a service.
#[derive(Clone)]
pub struct Ops(Arc<[Arc<dyn Part>]>);

impl Ops {
    /// Speaks for these.
    pub fn new(parts: Vec<Arc<dyn Part>>) -> Self {
        Self(parts.into())
    }

    /// What keeps the process from serving; empty: nothing.
    pub fn unready(&self) -> Vec<&'static str> {
        self.0.iter().flat_map(|part| part.unready()).collect()
    }

    /// As something that a listener serves.
    pub fn service(self) -> impl crate::listen::Answers {
        tower::service_fn(move |request: Request<Body>| {
            std::future::ready(Ok::<_, Infallible>(self.answer(request.method(), request.uri().path())))
        })
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Body> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return json(StatusCode::METHOD_NOT_ALLOWED, &serde_json::json!({ "allow": ["GET", "HEAD"] }));
        }
        match path {
            "/metrics" => {
                let text = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                respond(StatusCode::OK, text, self.metrics())
            }
            "/health/live" => json(StatusCode::OK, &serde_json::json!({ "status": "alive" })),
            "/health/ready" => match self.unready() {
                unready if unready.is_empty() => {
                    json(StatusCode::OK, &serde_json::json!({ "status": "ready" }))
                }
                unready => {
                    json(StatusCode::SERVICE_UNAVAILABLE, &serde_json::json!({ "waiting_for": unready }))
                }
            },
            _ => {
                let there_is = ["/metrics", "/health/live", "/health/ready"];
                json(StatusCode::NOT_FOUND, &serde_json::json!({ "there_is": there_is }))
            }
        }
    }

    /// All parts' metrics as one text: it ends once.
    fn metrics(&self) -> String {
        let mut text = String::new();
        for part in self.0.iter() {
            let metrics = part.metrics();
            text.push_str(metrics.strip_suffix("# EOF\n").unwrap_or(&metrics));
        }
        text.push_str("# EOF\n");
        text
    }
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    respond(status, "application/json", body.to_string())
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let body = http_body_util::Full::new(bytes::Bytes::from(body));
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    struct Fixed(Vec<&'static str>, &'static str);

    impl Part for Fixed {
        fn unready(&self) -> Vec<&'static str> {
            self.0.clone()
        }

        fn metrics(&self) -> String {
            format!("{} 1\n# EOF\n", self.1)
        }
    }

    async fn get(ops: &Ops, path: &str) -> (u16, String) {
        let response = ops.answer(&Method::GET, path);
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_means_that_every_part_is() {
        let ready = Ops::new(vec![Arc::new(Fixed(vec![], "a")), Arc::new(Fixed(vec![], "b"))]);
        assert_eq!(get(&ready, "/health/ready").await.0, 200);
        let waiting = Ops::new(vec![Arc::new(Fixed(vec![], "a")), Arc::new(Fixed(vec!["store"], "b"))]);
        let (status, body) = get(&waiting, "/health/ready").await;
        assert_eq!(status, 503);
        assert!(body.contains("store"), "{body}");
        assert_eq!(get(&waiting, "/health/live").await.0, 200);
        assert_eq!(get(&waiting, "/").await.0, 404);
    }

    #[tokio::test]
    async fn metrics_of_all_parts_end_once() {
        let ops = Ops::new(vec![Arc::new(Fixed(vec![], "a")), Arc::new(Fixed(vec![], "b"))]);
        assert_eq!(get(&ops, "/metrics").await.1, "a 1\nb 1\n# EOF\n");
    }
}
