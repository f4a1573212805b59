//! Join tokens: who may come, and who is cut off.

use domain::JoinToken;
use proto::node::{KeyInfoRequest, key_info_service_client::KeyInfoServiceClient};
use secrecy::ExposeSecret as _;
use store::{Author, Change, Expect};
use tonic::{
    Code,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use crate::{
    bed::{Bed, Stamp, Wire, soon},
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

async fn code(wire: Wire) -> Code {
    let ask = KeyInfoRequest { key_id: "none".into() };
    soon("an answer", KeyInfoServiceClient::new(wire).get(ask)).await.unwrap_err().code()
}

#[tokio::test]
async fn only_a_token_that_holds_lets_in_and_its_end_cuts_off() {
    let bed = Bed::embedded().await;
    let (token, minted) = JoinToken::mint("t".into(), None, 0).unwrap();
    bed.put(&token).await;
    let (ended, old) = JoinToken::mint("t".into(), Some(1), 0).unwrap();
    bed.put(&ended).await;
    let secret = minted.secret.expose_secret();
    let channel = channel(&bed).await;
    assert_eq!(code(stamped(&channel, None)).await, Code::Unauthenticated);
    assert_eq!(code(stamped(&channel, Some(old.secret.expose_secret()))).await, Code::Unauthenticated);
    assert_eq!(code(stamped(&channel, Some(&secret.replace('0', "1")))).await, Code::Unauthenticated);
    assert_eq!(code(stamped(&channel, Some(secret))).await, Code::NotFound);
    let mut watch = Watch::open(stamped(&channel, Some(secret)), None).await;
    watch.snapshot().await;
    let gone = Change::new(Author::system("test")).delete::<JoinToken>(&token.id, Expect::Any);
    bed.store.commit(gone).await.unwrap();
    soon("the cut", async { while let Ok(Some(_)) = watch.hear.message().await {} }).await;
    assert_eq!(code(stamped(&channel, Some(secret))).await, Code::Unauthenticated);
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
