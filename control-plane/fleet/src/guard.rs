//! Who may call the node services: nodes with a join token that holds, nodes with a verified certificate, and the node of
//! this very process. The one place that reads a node's metadata.

use std::{collections::HashMap, sync::Arc};

use domain::JoinToken;
use parking_lot::Mutex;
use process::{clock, tasks::Tasks};
use proto::rules::membership;
use store::{Store, View};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, metadata::MetadataMap};

/// How often ends of join tokens are looked at.
const SWEEP: std::time::Duration = std::time::Duration::from_secs(5);

/// Mark on requests that came from this very process: put there by the in-process transport, never read from outside.
#[derive(Clone, Copy, Debug)]
pub struct Internal;

/// Mark on requests over a connection whose client certificate was verified: the name that it certifies. Put there by
/// the listener, never read from outside.
#[derive(Clone, Debug)]
pub struct Certified(pub String);

/// A node, as it says who it is.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its id.
    pub node: String,
    /// This life of its process.
    pub epoch: String,
    /// Name for people.
    pub name: String,
    /// Release.
    pub version: String,
    /// With what it proved itself: `token:<id>`, `certificate` or `process`.
    pub identity: String,
    /// Cancelled when its join token ends, and when this process stops.
    pub cut: CancellationToken,
}

/// Checks callers.
pub(crate) struct Guard {
    store: Store,
    view: View,
    /// By join token in use: what cuts the streams that came with it.
    live: Mutex<HashMap<String, CancellationToken>>,
    stopping: CancellationToken,
}

impl Guard {
    pub(crate) fn start(store: &Store, view: &View, tasks: &Tasks) -> Arc<Self> {
        let guard = Arc::new(Self {
            store: store.clone(),
            view: view.clone(),
            live: Mutex::default(),
            stopping: tasks.stopping(),
        });
        let (watcher, stopping) = (Arc::clone(&guard), tasks.stopping());
        tasks.spawn("join-tokens", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = watcher.cut_ended() => {}
            }
        });
        guard
    }

    /// Who calls.
    pub(crate) async fn admit<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        let metadata = request.metadata();
        let mut caller = Caller {
            node: word(metadata, "crs-node-id")?,
            epoch: word(metadata, "crs-node-epoch")?,
            name: text(metadata, "crs-node-name").unwrap_or_default().chars().take(100).collect(),
            version: text(metadata, "crs-version").unwrap_or_default().chars().take(40).collect(),
            identity: "process".to_owned(),
            cut: CancellationToken::new(),
        };
        let certified = request.extensions().get::<Certified>();
        (caller.identity, caller.cut) = match certified {
            _ if request.extensions().get::<Internal>().is_some() => {
                (caller.identity, self.stopping.child_token())
            }
            Some(Certified(name)) if *name == caller.node => {
                ("certificate".to_owned(), self.stopping.child_token())
            }
            Some(Certified(name)) => {
                return Err(Status::permission_denied(format!(
                    "this certificate is for the node `{name}`, not for `{}`",
                    caller.node
                )));
            }
            None => self.check(metadata, &caller).await?,
        };
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        if !caller.version.is_empty() && major(&caller.version) != major(proto::VERSION) {
            return Err(Status::failed_precondition(format!(
                "a node of release {} does not work with a control plane of release {}",
                caller.version,
                proto::VERSION
            )));
        }
        Ok(caller)
    }

    /// By its join token: the identity, and what cuts its streams.
    async fn check(
        &self,
        metadata: &MetadataMap,
        caller: &Caller,
    ) -> Result<(String, CancellationToken), Status> {
        let refused = || Status::unauthenticated("no join token that holds");
        let header = text(metadata, "authorization").ok_or_else(refused)?;
        let secret = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("bearer "));
        let secret = secret.ok_or_else(refused)?.trim();
        let id = JoinToken::id_of(secret).ok_or_else(refused)?;
        let known = match self.view.get::<JoinToken>(&id) {
            Some(token) => Some(token.value.clone()),
            // One that was made a moment ago on another replica.
            None => {
                let found = self.store.get::<JoinToken>(&id).await;
                found.map_err(crate::unavailable)?.map(|token| token.value)
            }
        };
        let token = known.filter(|token| token.is(secret)).ok_or_else(refused)?;
        if token.has_ended(clock::unix_ms()) {
            return Err(ended(&token, caller));
        }
        if !token.node_name.is_empty() && token.node_name != caller.name {
            return Err(Status::permission_denied(format!(
                "this join token is for the node named `{}`, not for `{}`",
                token.node_name, caller.name
            )));
        }
        let identity = format!("token:{}", token.id);
        let mut live = self.live.lock();
        let cut = live.entry(token.id).or_insert_with(|| self.stopping.child_token());
        Ok((identity, cut.child_token()))
    }

    /// Cuts the streams of tokens that were deleted or have ended.
    async fn cut_ended(&self) {
        let mut revisions = self.view.watch();
        let mut sweep = tokio::time::interval(SWEEP);
        let mut seen = std::collections::HashSet::new();
        loop {
            tokio::select! {
                changed = revisions.changed() => if changed.is_err() { return },
                _ = sweep.tick() => {}
            }
            let now = clock::unix_ms();
            self.live.lock().retain(|id, cut| {
                let holds = match self.view.get::<JoinToken>(id) {
                    Some(token) => {
                        seen.insert(id.clone());
                        !token.value.has_ended(now)
                    }
                    // One that this replica has not seen yet is not one that is gone.
                    None => !seen.remove(id),
                };
                if !holds {
                    tracing::info!(token = id, "a join token has ended: its nodes are cut off");
                    cut.cancel();
                }
                holds
            });
        }
    }
}

/// Tells a node that its membership has ended, with the proof by which it believes it.
fn ended(token: &JoinToken, caller: &Caller) -> Status {
    let why = if token.revoked_at_ms.is_some() { "was revoked" } else { "has expired" };
    let mut status = Status::permission_denied(format!("this node is out: its join token {why}"));
    let proof = membership::proof(&token.digest, &caller.node, &caller.epoch);
    if let Ok(proof) = proof.parse() {
        status.metadata_mut().insert(membership::METADATA, proof);
    }
    status
}

fn text<'m>(metadata: &'m MetadataMap, name: &str) -> Option<&'m str> {
    metadata.get(name)?.to_str().ok()
}

/// An id from metadata: it becomes part of store keys, so only plain characters.
fn word(metadata: &MetadataMap, name: &'static str) -> Result<String, Status> {
    let fine = |text: &&str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    text(metadata, name).filter(fine).map(str::to_owned).ok_or_else(|| {
        Status::invalid_argument(format!("metadata {name} must be 1 to 64 of a-z, 0-9, - _ ."))
    })
}
