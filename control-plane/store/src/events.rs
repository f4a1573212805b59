//! Entries of the change feed as both backends write them: a JSON list of kind, id and whether it was deleted.

use crate::{
    error::{Error, Result},
    kv::{Event, Write},
};

/// Revisions that the feed keeps by itself; readers further behind read everything anew.
pub(crate) const FEED_KEEP: u64 = 100_000;

/// The entry of one revision.
pub(crate) fn write_events(writes: &[Write]) -> Result<String> {
    let events: Vec<_> = writes.iter().map(|write| (&write.kind, &write.id, write.put.is_none())).collect();
    serde_json::to_string(&events).map_err(|why| Error::corrupt("a feed entry", why))
}

/// The events of one revision.
pub(crate) fn read_events(number: u64, json: &[u8]) -> Result<Vec<Event>> {
    let events: Vec<(String, String, bool)> =
        serde_json::from_slice(json).map_err(|why| Error::corrupt(format!("feed entry {number}"), why))?;
    Ok(events.into_iter().map(|(kind, id, deleted)| Event { kind, id, number, deleted }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Expect;

    #[test]
    fn entries_read_what_they_always_did() {
        let write = Write { kind: "key".into(), id: "a\"b".into(), expect: Expect::Any, put: None };
        let json = r#"[["key","a\"b",true]]"#;
        assert_eq!(write_events(&[write]).unwrap(), json);
        let event = Event { kind: "key".into(), id: "a\"b".into(), number: 7, deleted: true };
        assert_eq!(read_events(7, json.as_bytes()).unwrap(), [event]);
    }
}
