//! A key's limits as they stand: what the meters' rows say, without changing them.

use domain::{Key, Limit};
use proto::{
    admin,
    rules::{
        ids::MeterId,
        quota::store::{Holder, Op, Row},
    },
};
use tonic::Status;

use crate::{convert, records::Records};

/// Meters forgotten at once.
const PAGE: usize = 100;

/// The state of each limit of a key.
pub(super) async fn states(records: &Records, key: &Key) -> Result<Vec<admin::LimitState>, Status> {
    let mut states = Vec::with_capacity(key.limits.len());
    for limit in &key.limits {
        let meter = MeterId::of(&key.id, &limit.id);
        let read = records
            .store()
            .meter(meter.as_str(), |row: &mut Option<Row>, moment| (row.clone(), moment.now_ms))
            .await;
        let (row, now_ms) = read.map_err(convert::store)?;
        states.push(state(limit, row.unwrap_or_default(), now_ms));
    }
    Ok(states)
}

fn state(limit: &Limit, row: Row, now_ms: i64) -> admin::LimitState {
    // A window that is over counts nothing, whether or not a node has asked since.
    let row = if row.ends_at_ms.is_some_and(|end| end <= now_ms) { Row::default() } else { row };
    let lease = |holder: &Holder| admin::LeaseState {
        node_id: holder.node.clone(),
        amount: holder.idle(),
        suspect: holder.suspect || (holder.idle() > 0 && holder.expires_at_ms <= now_ms),
    };
    admin::LimitState {
        limit: Some(limit.to_wire()),
        used: row.used(),
        leased: row.leased(),
        resets_in_ms: row.ends_at_ms.map_or(0, |end| end - now_ms),
        leases: row.holders.values().filter(|holder| holder.idle() > 0).map(lease).collect(),
        window_id: row.window_id,
    }
}

/// Starts the windows of a key's limits anew, in a higher generation.
pub(super) async fn reset(records: &Records, key: &Key) -> Result<(), Status> {
    for limit in &key.limits {
        let Some(policy) = fleet::meter_policy(limit, None).filter(|policy| policy.meter.has_window()) else {
            continue;
        };
        let meter = MeterId::of(&key.id, &limit.id);
        let step = move |row: &mut Option<Row>, moment: store::Moment| {
            row.get_or_insert_default().apply(moment.now_ms, &policy, &Op::Reset);
        };
        records.store().meter(meter.as_str(), step).await.map_err(convert::store)?;
    }
    Ok(())
}

/// Forgets the meters of a key that is gone.
pub(super) async fn forget(records: &Records, key_id: &str) -> Result<(), Status> {
    let prefix = format!("{key_id}/");
    loop {
        let meters = records.store().meters(&prefix, None, PAGE).await.map_err(convert::store)?;
        if meters.is_empty() {
            return Ok(());
        }
        for meter in &meters {
            records.store().forget_meter(meter).await.map_err(convert::store)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_is_over_counts_nothing() {
        let mut row = Row { window_id: "f5:1".into(), ends_at_ms: Some(1000), settled: 7, ..Row::default() };
        let holder =
            Holder { node: "n".into(), granted: 10, spent: 4, expires_at_ms: 500, ..Holder::default() };
        row.holders.insert("epoch".into(), holder);
        let limit = Limit {
            id: "l".into(),
            meter: "requests".into(),
            scope: Default::default(),
            window: None,
            amount: 20,
            strict: false,
            cost_kind: String::new(),
        };
        let open = state(&limit, row.clone(), 600);
        assert_eq!((open.used, open.leased, open.resets_in_ms), (11, 6, 400));
        assert!(open.leases[0].suspect);
        let over = state(&limit, row, 1000);
        assert_eq!((over.used, over.leased, over.resets_in_ms, over.window_id.as_str()), (0, 0, 0, ""));
    }
}
