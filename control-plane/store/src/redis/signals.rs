//! Background work: hearing what is published, and asking once a second as a safety net. Both reconnect by themselves.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use process::tasks::Tasks;
use redis::aio::PubSub;

use super::Redis;
use crate::kv::{Revision, Told};

/// Time between two questions, and between two pings of the subscription.
const BEAT: Duration = Duration::from_secs(1);
/// Wait before a broken subscription is made anew.
const PAUSE: Duration = Duration::from_millis(200);

/// Starts both.
pub(super) fn start(redis: &Arc<Redis>, tasks: &Tasks) {
    let (asks, hears) = (Arc::clone(redis), Arc::clone(redis));
    let stopping = tasks.stopping();
    tasks.spawn("store-poll", async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = poll(&asks) => {}
        }
    });
    let stopping = tasks.stopping();
    tasks.spawn("store-signals", async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = subscribe(&hears) => {}
        }
    });
}

async fn poll(redis: &Redis) {
    let mut silent = 0;
    loop {
        tokio::time::sleep(BEAT).await;
        match redis.look().await {
            Ok(_) => silent = 0,
            Err(why) => {
                silent += 1;
                tracing::debug!(%why, silent, "the store cannot be asked");
                // It may be the connection alone that is dead, without either end knowing.
                if silent % 3 == 0 {
                    redis.link.hang_up();
                }
            }
        }
    }
}

async fn subscribe(redis: &Redis) {
    let mut turn = 0;
    loop {
        match tokio::time::timeout(BEAT, redis.link.dialer.subscribe(turn)).await {
            Ok(Ok(subscription)) => {
                if let Err(why) = listen(redis, subscription).await {
                    tracing::debug!(why, "the subscription to the store broke");
                }
            }
            Ok(Err(why)) => tracing::debug!(%why, "the store cannot be subscribed to"),
            Err(_) => tracing::debug!("the store cannot be subscribed to in time"),
        }
        turn += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(redis: &Redis, subscription: PubSub) -> Result<(), &'static str> {
    let (changed, told) = (redis.layout.changed(), redis.layout.told());
    let (mut sink, mut messages) = subscription.split();
    let subscribed = tokio::time::timeout(BEAT, sink.subscribe(&[&changed, &told])).await;
    if !matches!(subscribed, Ok(Ok(()))) {
        return Err("not subscribed");
    }
    // What was published before this moment is learnt by asking.
    if redis.look().await.is_err() {
        return Err("not asked");
    }
    let mut beat = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else { return Err("it ended") };
                let payload = message.get_payload_bytes();
                if message.get_channel_name() == changed {
                    if let Some(revision) = revision(payload) {
                        redis.state.saw(&revision);
                    }
                } else if let Some(told) = words(payload) {
                    redis.state.heard(told);
                }
            }
            _ = beat.tick() => {
                let ponged = tokio::time::timeout(BEAT, sink.ping::<redis::Value>()).await;
                if !matches!(ponged, Ok(Ok(_))) {
                    return Err("no answer to a ping");
                }
            }
        }
    }
}

fn revision(payload: &[u8]) -> Option<Revision> {
    let (incarnation, number) = std::str::from_utf8(payload).ok()?.split_once(':')?;
    Some(Revision { incarnation: incarnation.into(), number: number.parse().ok()? })
}

fn words(payload: &[u8]) -> Option<Told> {
    let end = payload.iter().position(|byte| *byte == 0)?;
    let topic = std::str::from_utf8(&payload[..end]).ok()?.to_owned();
    Some(Told { topic, payload: payload[end + 1..].to_vec() })
}
