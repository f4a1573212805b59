//! Carries the messages of `limits` to the control plane and back, at once when a request waits. It knows nothing of
//! meters.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use limits::{Limits, Policy};
use link::{Link, Live, MAX_MESSAGE};
use process::tasks::Tasks;
use proto::node::quota_service_client::QuotaServiceClient;
use snapshot::{ControlLoss, Handle};
use tokio::sync::watch;
use tonic::Status;

use super::{config::Feed, in_time, lives::Lives};

/// How often to look for lives of this node that have ended.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Starts the pump; gives whether it is connected.
pub fn start(limits: Arc<Limits>, lives: Arc<Lives>, link: Link, tasks: &Tasks) -> watch::Receiver<bool> {
    let (connected, seen) = watch::channel(false);
    let connected = Arc::new(connected);
    let stopping = tasks.stopping();
    tasks.spawn("leases", async move {
        let session = |link: Link| {
            let (limits, lives, connected) = (limits.clone(), lives.clone(), connected.clone());
            async move {
                let ended = talk(&link, &limits, &lives, &connected).await;
                connected.send_replace(false);
                limits.disconnected();
                ended
            }
        };
        link.keep("leases", stopping, session).await;
    });
    seen
}

/// Keeps what limited keys may do without a control plane as the settings say.
pub fn follow_settings(limits: Arc<Limits>, snapshot: Arc<Handle>, feed: &Feed, tasks: &Tasks) {
    let set = move || {
        limits.set_control_loss(match snapshot.current().settings().limits_on_control_loss {
            ControlLoss::Refuse => Policy::Refuse,
            ControlLoss::Allow => Policy::Allow,
        });
    };
    set();
    let (mut revision, stopping) = (feed.revision.clone(), tasks.stopping());
    tasks.spawn("limits-settings", async move {
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                changed = revision.changed() => if changed.is_err() { return },
            }
            set();
        }
    });
}

async fn talk(
    link: &Link,
    limits: &Limits,
    lives: &Lives,
    connected: &watch::Sender<bool>,
) -> Result<(), Status> {
    if let Err(error) = lives.look() {
        tracing::warn!(%error, "this node's earlier lives cannot be looked for");
    }
    let mut naming = lives.ended();
    let mut looked = Instant::now();
    limits.set_ended(naming.clone());
    limits.reconnected();
    let first = limits.outgoing(Instant::now()).unwrap_or_default();
    let mut ended = (!naming.is_empty()).then_some(first.sequence);
    let mut client = QuotaServiceClient::new(link.channel()).max_decoding_message_size(MAX_MESSAGE);
    let mut live = in_time(Live::open(first, async |up| client.lease(up).await)).await?;
    connected.send_replace(true);
    loop {
        while let Some(request) = limits.outgoing(Instant::now()) {
            in_time(live.send(request)).await?;
        }
        let due = limits.next_due().map_or(LOOK_EVERY, |due| due.saturating_duration_since(Instant::now()));
        tokio::select! {
            biased;
            response = live.receive() => {
                let response = response?;
                if ended.is_some_and(|sequence| response.sequence >= sequence.max(1)) {
                    ended = None;
                    lives.told(&naming);
                    naming = lives.ended();
                }
                limits.incoming(Instant::now(), response);
            }
            () = limits.wake().notified() => {}
            () = tokio::time::sleep(due.min(LOOK_EVERY)) => {}
        }
        if looked.elapsed() >= LOOK_EVERY {
            looked = Instant::now();
            if lives.look().is_ok() && lives.ended() != naming {
                // Another life has ended meanwhile: a new stream begins by naming it.
                return Ok(());
            }
        }
    }
}
