//! Reading and changing records as services do it: errors as statuses, every change with its author, and one's own
//! changes seen by one's next list.

use std::time::Duration;

use domain::{Record, Settings, settings};
use store::{Change, Store, Versioned, View};
use tonic::Status;

use crate::{convert, guard::Caller};

/// Longest wait for this replica's view to have a change that was just made.
const CATCH_UP: Duration = Duration::from_secs(1);

/// The records, for services.
#[derive(Clone)]
pub struct Records {
    store: Store,
    view: View,
    now_ms: fn() -> i64,
}

impl Records {
    /// Over a store and the view of it.
    pub fn new(store: Store, view: View, now_ms: fn() -> i64) -> Self {
        Self { store, view, now_ms }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The view, for lists.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Now, Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        (self.now_ms)()
    }

    /// A record as the store has it.
    ///
    /// # Errors
    /// `NOT_FOUND`, or the store's.
    pub async fn get<R: Record>(&self, id: &str) -> Result<Versioned<R>, Status> {
        self.find(id).await?.ok_or_else(|| convert::not_found(&R::KIND.replace('_', " "), id))
    }

    /// A record as the store has it, if it is there.
    ///
    /// # Errors
    /// The store's.
    pub async fn find<R: Record>(&self, id: &str) -> Result<Option<Versioned<R>>, Status> {
        if !domain::text::is_id(id) {
            return Ok(None);
        }
        self.store.get::<R>(id).await.map_err(convert::store)
    }

    /// The settings.
    ///
    /// # Errors
    /// The store's; `INTERNAL` when the deployment was never begun.
    pub async fn settings(&self) -> Result<Versioned<Settings>, Status> {
        let settings = self.store.get::<Settings>(settings::ID).await.map_err(convert::store)?;
        settings.ok_or_else(|| Status::internal("the deployment has no settings"))
    }

    /// A change by a caller.
    pub fn change(&self, caller: &Caller) -> Change {
        Change::new(caller.author())
    }

    /// Makes a change and waits until this replica's lists have it.
    ///
    /// # Errors
    /// The store's, as they are.
    pub async fn try_commit(&self, change: Change) -> store::Result<()> {
        let revision = self.store.commit(change).await?;
        self.view.caught_up(&revision, CATCH_UP).await;
        Ok(())
    }

    /// Makes a change and waits until this replica's lists have it.
    ///
    /// # Errors
    /// The store's, as a status.
    pub async fn commit(&self, change: Change) -> Result<(), Status> {
        self.try_commit(change).await.map_err(convert::store)
    }

    /// Replaces a record that was read; the answer is the record with its new version.
    ///
    /// # Errors
    /// `ABORTED` when it was changed meanwhile, or the store's.
    pub async fn update<R: Record>(
        &self,
        caller: &Caller,
        read: &Versioned<R>,
        value: R,
    ) -> Result<Versioned<R>, Status> {
        self.commit(self.change(caller).update(read, &value)).await?;
        self.get(value.id()).await
    }
}

/// Refuses a change to another version than the one that the caller saw.
///
/// # Errors
/// `ABORTED` when the etag is stale, `INVALID_ARGUMENT` when it is none.
pub fn check_etag(etag: &str, version: u64) -> Result<(), Status> {
    match domain::etag::parse(etag).map_err(|wrong| convert::invalid(&wrong))? {
        Some(seen) if seen != version => Err(convert::refusal(
            tonic::Code::Aborted,
            "STALE",
            "it was changed meanwhile; read it again and repeat the change",
        )),
        _ => Ok(()),
    }
}
