//! Tests of building request messages.

use http::Method;
use proto::{admin, types};

use super::*;
use crate::{
    contract,
    rest::{
        bindings, path,
        router::{Found, Router},
    },
};

fn build_at<T: prost::Message + Default>(verb: Method, uri: &str, body: &str) -> Result<T, String> {
    let router = Router::new(bindings::read(contract::pool(), contract::methods()).unwrap());
    let (at, query) = uri.split_once('?').unwrap_or((uri, ""));
    let segments = path::segments(at).unwrap();
    let Found::Route(binding, segments) = router.find(&verb, &segments) else { panic!("{uri} has no route") };
    let message = build(binding, &segments, query, body.as_bytes()).map_err(|wrong| wrong.to_string())?;
    Ok(message.transcode_to().unwrap())
}

#[test]
fn path_query_and_body_meet() {
    let made: admin::CreateKeyRequest =
        build_at(Method::POST, "/api/v2/keys?request_id=r", r#"{"name":"n","limits":[{"amount":5}]}"#)
            .unwrap();
    assert_eq!(made.request_id, "r");
    assert_eq!(made.key.unwrap().limits[0].amount, 5);
    let made: admin::CreateAccountRequest =
        build_at(Method::POST, "/api/v2/accounts/some-platform", r#"{"name":"n"}"#).unwrap();
    assert_eq!(made.account.unwrap().platform, "some-platform");
    let made: admin::RotateKeyRequest =
        build_at(Method::POST, "/api/v2/keys/k/rotate", r#"{"overlap":"60s"}"#).unwrap();
    assert_eq!((made.id.as_str(), made.overlap.unwrap().seconds), ("k", 60));
    let made: admin::DeleteKeyRequest = build_at(Method::DELETE, "/api/v2/keys/k?purge=true", "").unwrap();
    assert!(made.purge);
}

#[test]
fn an_update_changes_what_its_body_holds() {
    let made: admin::UpdateKeyRequest =
        build_at(Method::PATCH, "/api/v2/keys/k", r#"{"accountBinding":{},"name":"n","etag":"\"1\""}"#)
            .unwrap();
    let mut paths = made.update_mask.unwrap().paths;
    paths.sort();
    assert_eq!(paths, ["account_binding", "name"]);
    assert_eq!(
        made.key.unwrap(),
        types::Key { id: "k".into(), name: "n".into(), etag: "\"1\"".into(), ..Default::default() }
    );
    let made: admin::UpdateKeyRequest =
        build_at(Method::PUT, "/api/v2/keys/k?update_mask=tags", r#"{"name":"n"}"#).unwrap();
    assert_eq!(made.update_mask.unwrap().paths, ["tags"]);
}

#[test]
fn path_and_body_may_not_differ() {
    let at = "/api/v2/keys/k";
    let same: Result<admin::UpdateKeyRequest, _> = build_at(Method::PATCH, at, r#"{"id":"k"}"#);
    assert!(same.is_ok());
    let wrong = build_at::<admin::UpdateKeyRequest>(Method::PATCH, at, r#"{"id":"other"}"#).unwrap_err();
    assert_eq!(wrong, "key.id: differs between the path and the body");
    let wrong =
        build_at::<admin::UpdateKeyRequest>(Method::PATCH, "/api/v2/keys/k?key.name=x", "{}").unwrap_err();
    assert!(wrong.contains("given by the path or the body"), "{wrong}");
    let wrong = build_at::<admin::GetKeyRequest>(Method::GET, at, "{}").unwrap_err();
    assert!(wrong.contains("takes no body"), "{wrong}");
}
