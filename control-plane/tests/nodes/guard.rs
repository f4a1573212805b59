//! Join tokens: who may come, and who is cut off.

use domain::JoinToken;
use proto::{
    node::{KeyInfoRequest, key_info_service_client::KeyInfoServiceClient},
    rules::membership,
};
use secrecy::ExposeSecret as _;
use store::{Author, Change, Expect};
use tonic::{
    Code, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use crate::{
    bed::{Bed, Stamp, Wire, soon, until},
    feed::Watch,
};

async fn channel(bed: &Bed) -> Channel {
    let listening = bed.app.start(Vec::new()).unwrap();
    let address = format!("http://{}", listening.nodes.unwrap());
    Endpoint::from_shared(address).unwrap().connect().await.unwrap()
}

fn stamped(channel: &Channel, token: Option<&str>) -> Wire {
    let stamp = Stamp { node: "n1".into(), epoch: "e1".into(), token: token.map(str::to_owned) };
    InterceptedService::new(channel.clone(), stamp)
}

async fn answer(wire: Wire) -> Status {
    let ask = KeyInfoRequest { key_id: "none".into() };
    soon("an answer", KeyInfoServiceClient::new(wire).get(ask)).await.unwrap_err()
}

async fn code(wire: Wire) -> Code {
    answer(wire).await.code()
}

/// Whether an answer proves that the membership has ended.
fn proves(status: &Status, secret: &str) -> bool {
    let said = status.metadata().get(membership::METADATA).and_then(|said| said.to_str().ok());
    said == Some(membership::proof(&membership::digest(secret), "n1", "e1").as_str())
}

#[tokio::test]
async fn only_a_token_that_holds_lets_in_and_its_end_cuts_off() {
    let bed = Bed::embedded().await;
    let (token, minted) = JoinToken::mint("t".into(), String::new(), None, 0).unwrap();
    bed.put(&token).await;
    let (ended, old) = JoinToken::mint("t".into(), String::new(), Some(1), 0).unwrap();
    bed.put(&ended).await;
    let (other, named) = JoinToken::mint("t".into(), "n2".into(), None, 0).unwrap();
    bed.put(&other).await;
    let secret = minted.secret.expose_secret();
    let channel = channel(&bed).await;
    assert_eq!(code(stamped(&channel, None)).await, Code::Unauthenticated);
    // One that the control plane does not know proves nothing: the node goes on with what it has.
    let wrong = answer(stamped(&channel, Some(&secret.replace('0', "1")))).await;
    assert_eq!((wrong.code(), wrong.metadata().get(membership::METADATA)), (Code::Unauthenticated, None));
    let old = old.secret.expose_secret();
    let expired = answer(stamped(&channel, Some(old))).await;
    assert_eq!((expired.code(), proves(&expired, old)), (Code::PermissionDenied, true), "{expired}");
    let named = answer(stamped(&channel, Some(named.secret.expose_secret()))).await;
    assert_eq!((named.code(), named.metadata().get(membership::METADATA)), (Code::PermissionDenied, None));
    assert_eq!(code(stamped(&channel, Some(secret))).await, Code::NotFound);
    let mut watch = Watch::open(stamped(&channel, Some(secret)), None).await;
    watch.snapshot().await;
    bed.put(&JoinToken { revoked_at_ms: Some(5), ..token.clone() }).await;
    soon("the cut", async { while let Ok(Some(_)) = watch.hear.message().await {} }).await;
    let revoked = answer(stamped(&channel, Some(secret))).await;
    assert_eq!((revoked.code(), proves(&revoked, secret)), (Code::PermissionDenied, true), "{revoked}");
    // Forgotten altogether, it cuts as well, and proves nothing any more.
    let gone = Change::new(Author::system("test")).delete::<JoinToken>(&token.id, Expect::Any);
    bed.store.commit(gone).await.unwrap();
    until("it is forgotten", async || {
        let status = answer(stamped(&channel, Some(secret))).await;
        (status.code() == Code::Unauthenticated).then_some(())
    })
    .await;
    bed.end().await;
}

#[tokio::test]
async fn a_node_must_say_who_it_is() {
    let bed = Bed::embedded().await;
    let nameless = bed.node("../n1", "e1");
    assert_eq!(code(nameless).await, Code::InvalidArgument);
    assert_eq!(code(bed.node("n1", "e1")).await, Code::NotFound);
    bed.end().await;
}
