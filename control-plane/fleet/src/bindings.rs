//! Session bindings in the store: how they are named, listed and dropped. `SessionService` sets them.

use domain::{BindingDrop, text};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use proto::rules::usage::{PARTITIONS, partition};
use store::Store;

/// Names looked at in one step.
const STEP: usize = 500;
/// Names looked at for one page at most: a filter that matches little must not read all.
const LOOKED: usize = 20_000;
/// Bindings that are dropped at once.
const AT_ONCE: usize = 16;

/// A binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Whose it is.
    pub name: Name,
    /// The account.
    pub account_id: String,
    /// Milliseconds that it still lives.
    pub ttl_ms: i64,
}

/// Names a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The key.
    pub key_id: String,
    /// Platform family.
    pub family: String,
    /// The session's digest, hexadecimal.
    pub session: String,
}

impl Name {
    /// A name; `None` when a part of it is none.
    pub fn new(key_id: &str, family: &str, session: &str) -> Option<Self> {
        let word = |text: &str| {
            !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        let hex = session.len() == 64 && session.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (text::is_id(key_id) && word(family) && hex).then(|| Self {
            key_id: key_id.to_owned(),
            family: family.to_owned(),
            session: session.to_owned(),
        })
    }

    /// As people see it: `<family>.<key id>.<session>`.
    pub fn id(&self) -> String {
        format!("{}.{}.{}", self.family, self.key_id, self.session)
    }

    /// By what people see.
    pub fn parse_id(id: &str) -> Option<Self> {
        let (family, rest) = id.split_once('.')?;
        let (key_id, session) = rest.rsplit_once('.')?;
        Self::new(key_id, family, session)
    }

    /// What it is called in the store: a key's bindings lie together.
    pub fn stored(&self) -> String {
        format!("{}{}/{}", of_key(&self.key_id), self.family, self.session)
    }

    fn parse_stored(name: &str) -> Option<Self> {
        let mut parts = name.split('/').skip(1);
        let (key_id, family, session) = (parts.next()?, parts.next()?, parts.next()?);
        Self::new(key_id, family, session)
    }
}

fn of_key(key_id: &str) -> String {
    format!("{:02x}/{key_id}/", partition(key_id))
}

/// Which bindings: all that match what is not empty.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this key.
    pub key_id: String,
    /// To this account.
    pub account_id: String,
    /// In this platform family.
    pub family: String,
}

impl Filter {
    fn admits(&self, binding: &Binding) -> bool {
        let is = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        is(&self.account_id, &binding.account_id) && is(&self.family, &binding.name.family)
    }

    /// What the names of those that may match begin with, in order.
    fn prefixes(&self) -> Vec<String> {
        match self.key_id.as_str() {
            "" => (0..PARTITIONS).map(|shelf| format!("{shelf:02x}/")).collect(),
            key_id => vec![of_key(key_id)],
        }
    }
}

/// A page: the bindings, and after which name to go on.
pub type Page = (Vec<Binding>, Option<String>);

/// Bindings after a name that an earlier page gave, at most `size`; fewer where a filter leaves most out.
///
/// # Errors
/// The store's.
pub async fn list(store: &Store, filter: &Filter, after: Option<&str>, size: usize) -> store::Result<Page> {
    let (mut found, mut looked) = (Vec::new(), 0);
    for prefix in filter.prefixes() {
        // Shelves that lie before where the last page ended are done.
        if after.is_some_and(|after| !after.starts_with(&prefix) && after > prefix.as_str()) {
            continue;
        }
        let mut last = after.filter(|after| after.starts_with(&prefix)).map(str::to_owned);
        loop {
            let piece = store.bindings(&prefix, last.as_deref(), STEP).await?;
            looked += STEP;
            let read = |(name, account_id, ttl_ms): (String, String, i64)| {
                Some(Binding { name: Name::parse_stored(&name)?, account_id, ttl_ms })
            };
            found.extend(piece.bindings.into_iter().filter_map(read).filter(|one| filter.admits(one)));
            if found.len() > size {
                found.truncate(size);
                let last = found.last().map(|binding| binding.name.stored());
                return Ok((found, last));
            }
            let Some(next) = piece.next else { break };
            if looked >= LOOKED {
                return Ok((found, Some(next)));
            }
            last = Some(next);
        }
    }
    Ok((found, None))
}

/// One binding.
///
/// # Errors
/// The store's.
pub async fn get(store: &Store, name: &Name) -> store::Result<Option<Binding>> {
    let held = store.bind(&name.stored(), "", "", 1, 0).await?;
    let (account_id, ttl_ms) = (held.account, held.ttl_ms);
    Ok(held.existed.then(|| Binding { name: name.clone(), account_id, ttl_ms }))
}

/// Forgets one binding in the store; whether there was one.
///
/// # Errors
/// The store's.
pub async fn drop_one(store: &Store, name: &Name) -> store::Result<bool> {
    store.unbind(&name.stored()).await
}

/// Forgets all bindings that match in the store; how many there were.
///
/// # Errors
/// The store's; some may be forgotten then.
pub async fn drop_all(store: &Store, filter: &Filter) -> store::Result<u64> {
    let (mut after, mut dropped) = (None, 0);
    loop {
        let (found, next) = list(store, filter, after.as_deref(), STEP).await?;
        let gone = stream::iter(found).map(|binding| {
            let store = store.clone();
            async move { drop_one(&store, &binding.name).await }
        });
        let gone: Vec<bool> = gone.buffer_unordered(AT_ONCE).try_collect().await?;
        dropped += gone.into_iter().filter(|gone| *gone).count() as u64;
        after = next;
        if after.is_none() {
            return Ok(dropped);
        }
    }
}

/// What nodes and the audit log are told of a drop.
pub fn told(filter: &Filter, session: &str, dropped: u64, id: String, now_ms: i64) -> BindingDrop {
    BindingDrop {
        id,
        key_id: filter.key_id.clone(),
        account_id: filter.account_id.clone(),
        family: filter.family.clone(),
        session: session.to_owned(),
        dropped,
        at_ms: now_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let session = "0a".repeat(32);
        let name = Name::new("key.1", "claude", &session).unwrap();
        assert_eq!(Name::parse_id(&name.id()), Some(name.clone()));
        assert_eq!(Name::parse_stored(&name.stored()), Some(name));
        for id in [
            "",
            "claude",
            "claude.key",
            "claude.key.xyz",
            &format!("cl/x.key.{session}"),
            &format!("claude..{session}"),
        ] {
            assert_eq!(Name::parse_id(id), None, "{id}");
        }
    }
}
