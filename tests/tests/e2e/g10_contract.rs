//! G10: one definition. What gRPC, gRPC-Web, REST and OpenAPI say comes from the same proto, and every method has its
//! permission, checked by calling all of them.

use std::collections::BTreeSet;

use e2e::{sandbox::Admin, wire};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use proto::admin::{GetKeyRequest, ListKeysRequest, ListKeysResponse, key_service_client::KeyServiceClient};
use serde_json::{Value, json};

use crate::bed::{Bed, Test};

/// gRPC's numbers.
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNAUTHENTICATED: i32 = 16;

fn pool() -> DescriptorPool {
    DescriptorPool::decode(proto::DESCRIPTOR_SET).unwrap()
}

fn methods(package: &str) -> Vec<MethodDescriptor> {
    let of = |service: prost_reflect::ServiceDescriptor| service.methods().collect::<Vec<_>>();
    pool().services().filter(|service| service.package_name() == package).flat_map(of).collect()
}

fn option(method: &MethodDescriptor, extension: &str) -> Option<DynamicMessage> {
    let extension = method.parent_pool().get_extension_by_name(extension)?;
    let options = method.options();
    options.has_extension(&extension).then(|| options.get_extension(&extension).as_message().cloned())?
}

/// A call by gRPC-Web over HTTP/1.1: the status, and the first message.
async fn web(
    admin: &Admin,
    token: Option<&str>,
    method: &str,
    message: &[u8],
) -> anyhow::Result<(i32, Vec<u8>)> {
    // Callers without a login are slowed down, and there are more methods than calls at once.
    e2e::sandbox::eventually("the call is let in", std::time::Duration::from_secs(10), || async {
        let answer = web_at_once(admin, token, method, message).await;
        (!matches!(answer, Ok((RESOURCE_EXHAUSTED, _)))).then_some(answer)
    })
    .await?
}

async fn web_at_once(
    admin: &Admin,
    token: Option<&str>,
    method: &str,
    message: &[u8],
) -> anyhow::Result<(i32, Vec<u8>)> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")];
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer));
    }
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
    body.extend_from_slice(message);
    if streams(method) {
        return Ok((begun(admin, method, &headers, &body).await?, Vec::new()));
    }
    let reply = wire::call(admin.address, "POST", method, &headers, &body).await?;
    let (mut first, mut status) =
        (Vec::new(), reply.header("grpc-status").and_then(|text| text.parse().ok()));
    let mut rest = &reply.body[..];
    while rest.len() >= 5 {
        let length = u32::from_be_bytes([rest[1], rest[2], rest[3], rest[4]]) as usize;
        let (frame, after) = rest[5..].split_at(length);
        if rest[0] & 0x80 == 0 {
            first = frame.to_vec();
        } else {
            let text = String::from_utf8_lossy(frame);
            let line = text.lines().find_map(|line| line.strip_prefix("grpc-status:"));
            status = line.and_then(|text| text.trim().parse().ok());
        }
        rest = after;
    }
    Ok((status.unwrap_or(-(i32::from(reply.status))), first))
}

/// Whether a method answers with a stream, which may go on for ever.
fn streams(path: &str) -> bool {
    let named = |method: &MethodDescriptor| {
        path.strip_prefix('/').and_then(|path| path.split_once('/'))
            == Some((method.parent_service().full_name(), method.name()))
    };
    methods("crs.admin.v1").iter().any(|method| named(method) && method.is_server_streaming())
}

/// The status by which a stream is refused, or 0 when it has begun.
async fn begun(admin: &Admin, method: &str, headers: &[(&str, &str)], body: &[u8]) -> anyhow::Result<i32> {
    let mut connection = wire::Conn::connect(admin.address).await?;
    let mut headers = headers.to_vec();
    headers.push(("host", "localhost"));
    connection.send(&wire::request("POST", method, &headers, body)).await?;
    let head = connection.head().await?.ok_or_else(|| anyhow::anyhow!("no answer"))?;
    match head.header("grpc-status") {
        Some(status) => Ok(status.parse()?),
        None if head.status == 200 => Ok(0),
        None => Ok(-i32::from(head.status)),
    }
}

#[tokio::test]
async fn g10_grpc_web_and_rest_tell_the_same() -> Test {
    let bed = Bed::start().await?;
    let admin = &bed.crs.admin;
    let channel = tonic::transport::Endpoint::new(format!("http://{}", admin.address))?.connect().await?;
    let token: tonic::metadata::MetadataValue<_> = format!("Bearer {}", admin.token).parse()?;
    let mut client = KeyServiceClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", token.clone());
        Ok(request)
    });
    // The use of the key that the bed was begun with is counted meanwhile, and told with the key.
    let mut by_grpc = client.list_keys(ListKeysRequest::default()).await?.into_inner();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while by_grpc.keys.iter().all(|key| key.last_used_at.is_none()) && std::time::Instant::now() < until {
        by_grpc = client.list_keys(ListKeysRequest::default()).await?.into_inner();
    }
    let method = "/crs.admin.v1.KeyService/ListKeys";
    let (status, message) = web(admin, Some(&admin.token), method, &[]).await?;
    assert_eq!(status, 0);
    assert_eq!(ListKeysResponse::decode(&message[..])?, by_grpc);
    let by_rest = admin.get("/api/v2/keys").await?;
    let descriptor = pool().get_message_by_name("crs.admin.v1.ListKeysResponse").unwrap();
    let decoded = DynamicMessage::deserialize(descriptor, by_rest.clone())?;
    assert_eq!(ListKeysResponse::decode(&decoded.encode_to_vec()[..])?, by_grpc, "{by_rest}");
    let one = client.get_key(GetKeyRequest { id: bed.key.clone() }).await?.into_inner();
    let rest = admin.get(&format!("/api/v2/keys/{}", bed.key)).await?;
    assert_eq!(
        (rest["id"].as_str(), rest["etag"].as_str()),
        (Some(one.id.as_str()), Some(one.etag.as_str()))
    );
    bed.close().await
}

#[tokio::test]
async fn g10_every_route_of_the_contract_is_in_openapi_and_answers() -> Test {
    let bed = Bed::start().await?;
    let openapi = wire::call(bed.crs.control, "GET", "/openapi.json", &[], b"").await?.json();
    assert!(openapi["openapi"].as_str().unwrap_or_default().starts_with("3.1"), "{}", openapi["openapi"]);
    let mut missing = Vec::new();
    for (verb, path) in methods("crs.admin.v1").iter().flat_map(routes) {
        let plain: Vec<String> = path
            .split('/')
            .map(|part| if part.starts_with('{') { "{}".into() } else { part.to_owned() })
            .collect();
        let found = openapi["paths"].as_object().into_iter().flatten().any(|(known, verbs)| {
            let known: Vec<String> = known
                .split('/')
                .map(|part| if part.starts_with('{') { "{}".into() } else { part.to_owned() })
                .collect();
            known == plain && verbs.get(&verb).is_some()
        });
        if !found {
            missing.push(format!("{verb} {path}"));
        }
        let target = path
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        let reply = wire::call(
            bed.crs.control,
            &verb.to_uppercase(),
            &target,
            &[("content-type", "application/json")],
            b"{}",
        )
        .await?;
        assert!(
            ![404, 405, 501].contains(&reply.status) || reply.text().contains("code"),
            "{verb} {target}: {}",
            reply.status
        );
    }
    assert!(missing.is_empty(), "not in OpenAPI: {missing:#?}");
    bed.close().await
}

/// Verb and path of a method's REST routes.
fn routes(method: &MethodDescriptor) -> Vec<(String, String)> {
    let Some(rule) = option(method, "google.api.http") else { return Vec::new() };
    let rule = serde_json::to_value(&rule).unwrap();
    let more = rule["additionalBindings"].as_array().cloned().unwrap_or_default();
    let verbs = ["get", "put", "post", "delete", "patch"];
    let one = |rule: &Value| {
        verbs.iter().find_map(|verb| Some(((*verb).to_owned(), rule[*verb].as_str()?.to_owned())))
    };
    std::iter::once(&rule).chain(&more).filter_map(one).collect()
}

#[tokio::test]
async fn g10_every_method_refuses_whom_its_permission_does_not_name() -> Test {
    let bed = Bed::start().await?;
    let admin = &bed.crs.admin;
    let made = admin.call("POST", "/api/v2/auth/tokens", json!({"name": "viewer", "role": "viewer"})).await?;
    let viewer = made["secret"].as_str().unwrap().to_owned();
    bed.crs.canaries.add("an automation token", &viewer);
    let mut seen = BTreeSet::new();
    for method in methods("crs.admin.v1").into_iter().chain(methods("crs.node.v1")) {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let access =
            option(&method, "crs.types.v1.access").unwrap_or_else(|| panic!("{path} has no permission"));
        let access = serde_json::to_value(&access)?;
        let nobody = web(admin, None, &path, &[]).await?.0;
        let wrong = web(admin, Some("not-a-token"), &path, &[]).await?.0;
        let by_viewer = web(admin, Some(&viewer), &path, &[]).await?.0;
        if access["node"] == true {
            assert_ne!(nobody, 0, "{path}: a node's method on the admin port");
            assert_ne!(by_viewer, 0, "{path}: a node's method on the admin port");
            continue;
        }
        if access["public"] == true {
            assert_ne!(nobody, PERMISSION_DENIED, "{path}");
            continue;
        }
        assert_eq!(nobody, UNAUTHENTICATED, "{path}: without a token");
        assert_eq!(wrong, UNAUTHENTICATED, "{path}: with a wrong one");
        let may = ["ROLE_USER", "ROLE_VIEWER"].iter().any(|role| access["role"] == *role);
        assert_eq!(
            by_viewer == PERMISSION_DENIED,
            !may,
            "{path}: a viewer got {by_viewer}, needs {}",
            access["role"]
        );
        seen.insert(access["role"].to_string());
    }
    assert!(seen.len() >= 3, "{seen:?}");
    bed.close().await
}
