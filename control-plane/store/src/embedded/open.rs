//! First opening: tables, identity, and the layout's version.

use std::sync::Arc;

use redb::{Database, WriteTransaction};

use super::{
    feed::{number, text},
    tables as t,
};
use crate::{
    error::{Error, Result},
    kv::Identity,
};

/// The layout that this release writes and reads.
const LAYOUT: u64 = 1;

/// Makes what is missing; gives the identity and the newest revision.
pub(super) fn prepare(database: &Database, now_ms: i64) -> Result<(Identity, u64)> {
    let transaction = database.begin_write()?;
    make_tables(&transaction)?;
    let prepared = identify(&transaction, now_ms)?;
    transaction.commit()?;
    Ok(prepared)
}

fn identify(transaction: &WriteTransaction, now_ms: i64) -> Result<(Identity, u64)> {
    let mut meta = transaction.open_table(t::META)?;
    let layout = number(&meta, t::LAYOUT)?;
    if layout > LAYOUT {
        let why =
            format!("the store has layout {layout}, this release knows {LAYOUT}: it is of a later release");
        return Err(Error::Unfit { why });
    }
    if layout == 0 {
        let fresh = || uuid::Uuid::new_v4().simple().to_string();
        let mut set = |key, value: &[u8]| meta.insert(key, value).map(|_| ());
        set(t::IDENTITY, fresh().as_bytes())?;
        set(t::INCARNATION, fresh().as_bytes())?;
        set(t::SINCE, &now_ms.to_be_bytes())?;
        set(t::LAYOUT, &LAYOUT.to_be_bytes())?;
    }
    let incarnation: Arc<str> = text(&meta, t::INCARNATION)?.into();
    let identity = Identity {
        store_identity: format!("{}.{incarnation}", text(&meta, t::IDENTITY)?),
        incarnation,
        since_ms: number(&meta, t::SINCE)?.cast_signed(),
    };
    let head = number(&meta, t::HEAD)?;
    Ok((identity, head))
}

/// A table must have been made before a reader may open it.
fn make_tables(transaction: &WriteTransaction) -> Result<(), redb::TableError> {
    transaction.open_table(t::META)?;
    transaction.open_table(t::DOCUMENTS)?;
    transaction.open_table(t::INDEX)?;
    transaction.open_table(t::INDEXED)?;
    transaction.open_table(t::FEED)?;
    transaction.open_table(t::AUDIT)?;
    transaction.open_table(t::MARKERS)?;
    transaction.open_table(t::ROWS)?;
    transaction.open_table(t::ROW_EXPIRY)?;
    transaction.open_table(t::LOGS)?;
    transaction.open_table(t::LOG_IDS)?;
    transaction.open_table(t::CELLS)?;
    transaction.open_table(t::BINDINGS)?;
    transaction.open_table(t::BINDING_EXPIRY)?;
    transaction.open_table(t::LEADERS)?;
    Ok(())
}
