//! Tests of transcoding from end to end, over a contract with streams, verbs and paths of many parts.

use http_body_util::Full;
use prost_reflect::DynamicMessage;
use tower::ServiceExt as _;

use super::*;

fn pool() -> DescriptorPool {
    let root = env!("CARGO_MANIFEST_DIR");
    let includes = [format!("{root}/testdata"), format!("{root}/../../proto/third_party")];
    let mut compiler = protox::Compiler::new(includes).unwrap();
    compiler.include_imports(true).open_file("streams.proto").unwrap();
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap()
}

/// A service whose door is open, but to those who ask for `/t/find` with a token.
#[derive(Clone)]
struct Open;

impl Door for Open {
    async fn knock(&self, _: &str, parts: &http::request::Parts) -> Result<usize, Status> {
        match parts.headers.contains_key(header::AUTHORIZATION) {
            true => Err(Status::unauthenticated("no")),
            false => Ok(1000),
        }
    }
}

impl Service<Request<Body>> for Open {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(echo(request))
    }
}

/// Answers each call with what was asked: `Watch` three times and then with an error.
async fn echo(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let watching = request.uri().path().ends_with("Watch");
    let frame = request.into_body().collect().await.unwrap().to_bytes();
    let body = if watching { frame.repeat(3) } else { frame.to_vec() };
    let status = if watching { Status::unavailable("later") } else { Status::ok("") };
    let mut trailers = http::HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let body = Full::new(Bytes::from(body)).with_trailers(async move { Some(Ok(trailers)) });
    Ok(Response::new(Body::new(body)))
}

async fn call(line: &str, accept: &str, body: &str) -> (u16, String, String) {
    let pool = pool();
    let methods: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    let rest = Rest::new(&pool, methods.into_iter(), Open, 2000).unwrap();
    let (verb, uri) = line.split_once(' ').unwrap();
    let request = Request::builder().method(verb).uri(uri).header("accept", accept);
    let response = rest.serve(request.body(Full::from(body.to_owned())).unwrap()).await;
    let status = response.status().as_u16();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn streams_are_lines_or_events_and_end_with_their_error() {
    let line = "GET /t/things/a:watch?number=9007199254740993&kinds=KIND_GOOD&kinds=1";
    let thing = r#"{"kinds":["KIND_GOOD","KIND_GOOD"],"name":"things/a","number":9007199254740993}"#;
    let (status, kind, text) = call(line, "*/*", "").await;
    assert_eq!((status, kind.as_str()), (200, "application/x-ndjson"));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[2]), (4, thing, thing));
    assert!(lines[3].contains(r#""status":"UNAVAILABLE""#), "{}", lines[3]);
    let (_, kind, text) = call(line, "text/event-stream", "").await;
    assert_eq!(kind, "text/event-stream");
    assert!(text.starts_with(&format!("event: message\ndata: {thing}\n\n")), "{text}");
    assert!(text.contains("event: error\ndata: {"), "{text}");
}

#[tokio::test]
async fn long_paths_and_additional_routes_reach_the_method() {
    let (status, _, text) = call("GET /t/files/a/b%20c/d", "*/*", "").await;
    assert_eq!((status, text.contains(r#""name":"a/b c/d""#)), (200, true), "{text}");
    let (status, _, text) = call("POST /t/find", "*/*", r#"{"name":"x","number":"7"}"#).await;
    assert_eq!((status, text.as_str()), (200, r#"{"kinds":[],"name":"x","number":7}"#));
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    for (line, body, status, word) in [
        ("DELETE /t/find", "", 405, "allowed are POST, OPTIONS"),
        ("GET /t/nothing", "", 404, "nothing at this path"),
        ("GET /t//x", "", 400, "segment"),
        ("GET /t/files/a%2fb", "", 400, "slash"),
        ("POST /t/find", "{", 400, "not JSON"),
        ("POST /t/find", r#"{"nmae":1}"#, 400, "nmae: there is no such field"),
        ("POST /t/find?number=1", "{}", 400, "given by the path or the body"),
        ("GET /t/files/a?kinds=BAD", "", 400, "KIND_UNSPECIFIED, KIND_GOOD"),
        ("GET /t/files/a?what=1", "", 400, "what: there is no such parameter"),
        ("GET /t/files/a", "{}", 400, "takes no body"),
    ] {
        let (seen, _, text) = call(line, "*/*", body).await;
        assert!(seen == status && text.contains(word), "{line}: {seen} {text}");
    }
    let (status, _, _) = call("POST /t/find", "*/*", &format!(r#"{{"name":"{}"}}"#, "x".repeat(1000))).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn the_door_is_asked_before_a_body_is_read() {
    let pool = pool();
    let methods: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    let rest = Rest::new(&pool, methods.into_iter(), Open, 2000).unwrap();
    // A body that never comes.
    let body = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<http_body::Frame<Bytes>, Status>,
    >());
    let request =
        Request::builder().method("POST").uri("/t/find").header("authorization", "x").body(body).unwrap();
    assert_eq!(rest.serve(request).await.status(), 401);
}

#[test]
fn a_method_that_says_nothing_of_who_may_call_is_nobodys() {
    let pool = pool();
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        assert_eq!(crate::guard::rule(&method), crate::guard::Rule::Nobody);
    }
}

#[tokio::test]
async fn an_answer_is_read_however_it_is_cut() {
    let pool = pool();
    let descriptor = pool.get_message_by_name("test.v1.Thing").unwrap();
    let mut message = DynamicMessage::new(descriptor.clone());
    message.set_field_by_name("name", prost_reflect::Value::String("x".repeat(50)));
    let cut = tower::service_fn(|request: Request<Body>| async move {
        let frame = request.into_body().collect().await.unwrap().to_bytes();
        let pieces = futures_util::stream::iter(
            frame
                .chunks(3)
                .map(|piece| Ok::<_, Status>(http_body::Frame::data(Bytes::copy_from_slice(piece))))
                .collect::<Vec<_>>(),
        );
        Ok::<_, Infallible>(Response::new(Body::new(http_body_util::StreamBody::new(pieces))))
    });
    let (parts, ()) = Request::new(()).into_parts();
    let answer = call::call(cut.boxed_clone(), "/x", Origin::of(&parts), &message, descriptor).await.unwrap();
    assert_eq!(answer.only().await.unwrap(), message);
}
