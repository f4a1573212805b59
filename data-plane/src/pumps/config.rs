//! The config feed: keeps the snapshot current, acknowledges each revision, tells how the node is, and keeps the last good
//! snapshot on disk. It decides nothing: `snapshot` applies, `app` drains.

use std::{path::PathBuf, sync::Arc, time::Duration};

use link::{Link, Live, MAX_MESSAGE};
use process::tasks::Tasks;
use proto::node::{
    ConfigAck, NodeStatus, WatchRequest, WatchResponse, WatchStart,
    config_service_client::ConfigServiceClient, watch_request::Message,
};
use secrecy::SecretSlice;
use snapshot::{Applied, ApplyError, Handle, Revision, disk};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::in_time;
use crate::server::Readiness;

/// How often a node says how it is.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// The least time between two writes of the snapshot to disk.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Says how the node is.
pub type StatusOf = Arc<dyn Fn() -> NodeStatus + Send + Sync>;

/// Where the last good snapshot is kept, and what it is sealed with.
#[derive(Clone)]
pub struct Disk {
    /// The file, in the data directory.
    pub path: PathBuf,
    /// The node secret, which does not live there.
    pub secret: Arc<SecretSlice<u8>>,
}

/// The pump's parts.
pub struct Config {
    /// Where snapshots are applied.
    pub snapshot: Arc<Handle>,
    /// How the node is.
    pub status: StatusOf,
    /// Cancelled when the control plane wants this node to drain and end.
    pub drain: CancellationToken,
    /// Told when it shall be unready, and ready again.
    pub readiness: Arc<Readiness>,
    /// None: nothing is kept on disk.
    pub disk: Option<Disk>,
}

/// What others may see of the pump.
#[derive(Clone)]
pub struct Feed {
    /// Whether the feed is connected.
    pub connected: watch::Receiver<bool>,
    /// The revision that holds; none before the first snapshot came.
    pub revision: watch::Receiver<Option<Revision>>,
    status_changed: Arc<Notify>,
}

impl Feed {
    /// The node's status changed in a way that should be known at once, such as that it drains.
    pub fn status_changed(&self) {
        self.status_changed.notify_one();
    }
}

/// Loads the snapshot on disk, so that a node relays before, and without, its control plane. Returns the revision.
pub fn load(snapshot: &Handle, disk: &Disk) -> Option<Revision> {
    match disk::load(snapshot, &disk.path, &disk.secret) {
        Ok(Applied::Now { revision, refused }) => {
            tracing::info!(%revision, refused = refused.len(), "relaying from the snapshot on disk");
            Some(revision)
        }
        Ok(_) | Err(disk::DiskError::Absent) => None,
        Err(error) => {
            tracing::warn!(%error, "the snapshot on disk is not used");
            None
        }
    }
}

/// Starts the pump.
pub fn start(config: Config, link: Link, tasks: &Tasks) -> Feed {
    let (connected, connected_seen) = watch::channel(false);
    let (revision, revision_seen) = watch::channel(config.snapshot.current().revision().cloned());
    let status_changed = Arc::new(Notify::new());
    if let Some(disk) = config.disk.clone() {
        let saving = save(disk, config.snapshot.clone(), revision_seen.clone(), tasks.stopping());
        tasks.spawn("config-disk", saving);
    }
    let pump = Arc::new(Pump { config, connected, revision, status_changed: status_changed.clone() });
    let stopping = tasks.stopping();
    tasks.spawn("config", async move {
        let session = |link: Link| {
            let pump = pump.clone();
            async move {
                let ended = pump.session(&link).await;
                pump.connected.send_replace(false);
                pump.config.snapshot.disconnected();
                ended
            }
        };
        link.keep("config", stopping, session).await;
    });
    Feed { connected: connected_seen, revision: revision_seen, status_changed }
}

struct Pump {
    config: Config,
    connected: watch::Sender<bool>,
    revision: watch::Sender<Option<Revision>>,
    status_changed: Arc<Notify>,
}

impl Pump {
    /// Streams until the control plane goes away. A message that does not apply is answered by opening another stream
    /// that holds nothing, so that a full snapshot comes.
    async fn session(&self, link: &Link) -> Result<(), Status> {
        let held = self.config.snapshot.current().revision().map(Revision::to_wire);
        self.talk(link, held).await?;
        self.talk(link, None).await
    }

    /// One stream. It ends well when a full snapshot must be asked for.
    async fn talk(&self, link: &Link, held: Option<proto::node::Revision>) -> Result<(), Status> {
        let start = WatchStart { held, status: Some((self.config.status)()) };
        let mut client = ConfigServiceClient::new(link.channel()).max_decoding_message_size(MAX_MESSAGE);
        let opening = Live::open(say(Message::Start(start)), async |up| client.watch(up).await);
        let mut live = in_time(opening).await?;
        self.connected.send_replace(true);
        let mut tick = tokio::time::interval_at(Instant::now() + STATUS_EVERY, STATUS_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let said = tokio::select! {
                message = live.receive() => match self.apply(message?) {
                    Ok(Some(ack)) => Message::Ack(ack),
                    Ok(None) => continue,
                    Err(error) => {
                        tracing::warn!(%error, "asking for a full snapshot");
                        return Ok(());
                    }
                },
                _ = tick.tick() => Message::Status((self.config.status)()),
                () = self.status_changed.notified() => Message::Status((self.config.status)()),
            };
            in_time(live.send(say(said))).await?;
        }
    }

    fn apply(&self, message: WatchResponse) -> Result<Option<ConfigAck>, ApplyError> {
        match self.config.snapshot.apply(message)? {
            Applied::Now { revision, refused } => {
                for entry in &refused {
                    tracing::error!(%entry, "an entry of the configuration was not understood");
                }
                tracing::debug!(%revision, "a revision holds");
                self.revision.send_replace(Some(revision.clone()));
                let refused = refused.iter().map(ToString::to_string).collect();
                Ok(Some(ConfigAck { revision: Some(revision.to_wire()), refused }))
            }
            Applied::Drain { stay: true } => {
                tracing::info!(
                    "the control plane asks this node to take no new requests until it is resumed"
                );
                self.config.readiness.hold(true);
                self.status_changed.notify_one();
                Ok(None)
            }
            Applied::Drain { stay: false } => {
                tracing::info!("the control plane asks this node to drain and end");
                self.config.drain.cancel();
                Ok(None)
            }
            Applied::Resume => {
                tracing::info!("the control plane asks this node to take requests again");
                self.config.readiness.hold(false);
                self.status_changed.notify_one();
                Ok(None)
            }
            Applied::Part | Applied::Nothing => Ok(None),
        }
    }
}

/// Writes the snapshot to disk when it has changed, not more often than the disk likes, and a last time at the end.
async fn save(
    disk: Disk,
    snapshot: Arc<Handle>,
    mut changed: watch::Receiver<Option<Revision>>,
    stopping: CancellationToken,
) {
    let mut saved = changed.borrow_and_update().clone();
    let mut pause = SAVE_EVERY;
    loop {
        let stopped = tokio::select! {
            () = stopping.cancelled() => true,
            moved = changed.changed() => moved.is_err(),
        };
        if !stopped {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        let current = snapshot.current();
        changed.mark_unchanged();
        if current.revision() != saved.as_ref() {
            let began = Instant::now();
            let (disk, current_for_disk) = (disk.clone(), current.clone());
            let written =
                tokio::task::spawn_blocking(move || disk::save(&current_for_disk, &disk.path, &disk.secret));
            match written.await {
                Ok(Ok(())) => saved = current.revision().cloned(),
                Ok(Err(error)) => tracing::warn!(%error, "the snapshot could not be kept on disk"),
                Err(error) => tracing::warn!(%error, "the snapshot could not be kept on disk"),
            }
            // A large snapshot that changes all the time costs the disk a tenth of its time at most.
            pause = SAVE_EVERY.max(began.elapsed() * 10);
        }
        if stopped {
            return;
        }
    }
}

fn say(message: Message) -> WatchRequest {
    WatchRequest { message: Some(message) }
}

#[cfg(test)]
mod tests;
