//! Of which meters without a window that ends (concurrency, total, sliding) an epoch holds anything: noted before the first grant, so that its end finds them all without
//! looking at every meter there is.

use std::collections::HashSet;

use parking_lot::Mutex;
use store::{Result, Store};

const PAGE: usize = 500;

/// What one stream has noted already.
#[derive(Default)]
pub(crate) struct Indexed(Mutex<HashSet<String>>);

impl Indexed {
    /// Notes that an epoch may hold something of a meter.
    pub(super) async fn note(&self, store: &Store, epoch: &str, meter: &str) -> Result<()> {
        if self.0.lock().contains(meter) {
            return Ok(());
        }
        store.meter(&cell(epoch, meter), |held: &mut Option<bool>, _| *held = Some(true)).await?;
        self.0.lock().insert(meter.to_owned());
        Ok(())
    }
}

/// Meters of which an epoch may hold something.
pub(super) async fn meters_of(store: &Store, epoch: &str) -> Result<Vec<String>> {
    let prefix = cell(epoch, "");
    let (mut meters, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = store.meters(&prefix, after.as_deref(), PAGE).await?;
        let more = page.len() == PAGE;
        after = page.last().cloned();
        meters.extend(page.iter().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned));
        if !more {
            return Ok(meters);
        }
    }
}

/// An epoch holds nothing of a meter any more.
pub(super) async fn forget(store: &Store, epoch: &str, meter: &str) -> Result<()> {
    store.forget_meter(&cell(epoch, meter)).await
}

fn cell(epoch: &str, meter: &str) -> String {
    format!("held:{epoch}/{meter}")
}
