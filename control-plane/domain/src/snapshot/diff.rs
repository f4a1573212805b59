//! Which entries a changed record touches. Most touch their own; a group also touches the accounts that it names, or
//! named before.

use std::{collections::BTreeSet, sync::Arc};

use proto::node;

use crate::{Account, AccountWindows, BindingDrop, Group, Key, Record, Settings};

/// What kind of thing an entry is, in the order in which a full snapshot says them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The settings; there is one.
    Settings,
    /// A group.
    Group,
    /// An account.
    Account,
    /// A key.
    Key,
    /// The word that session bindings were dropped.
    BindingDrop,
}

impl Kind {
    /// As the wire calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Group => "group",
            Self::Account => "account",
            Self::Key => "key",
            Self::BindingDrop => "binding_drop",
        }
    }

    /// The kind of entry that is built of records of a kind; `None`: nodes know nothing of such records.
    pub fn of_record(kind: &str) -> Option<Self> {
        match kind {
            Key::KIND => Some(Self::Key),
            // Of the same id: an account's windows are a part of its entry.
            Account::KIND | AccountWindows::KIND => Some(Self::Account),
            Group::KIND => Some(Self::Group),
            Settings::KIND => Some(Self::Settings),
            BindingDrop::KIND => Some(Self::BindingDrop),
            _ => None,
        }
    }
}

/// Names an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub id: Arc<str>,
}

impl Name {
    /// A name.
    pub fn new(kind: Kind, id: impl Into<Arc<str>>) -> Self {
        Self { kind, id: id.into() }
    }

    /// As the wire names a deleted entry.
    pub fn to_wire(&self) -> node::EntryRef {
        node::EntryRef { kind: self.kind.as_str().to_owned(), id: self.id.as_ref().to_owned() }
    }
}

/// The entries that a change of one record touches. `before` and `after` are a group's members.
pub fn touched(name: Name, before: &[String], after: &[String]) -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    if name.kind == Kind::Group {
        let (old, new): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
        names.extend(old.symmetric_difference(&new).map(|id| Name::new(Kind::Account, id.as_str())));
    }
    names.insert(name);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_touches_who_came_and_who_went() {
        let of = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let names = touched(Name::new(Kind::Group, "g"), &of(&["a", "b"]), &of(&["b", "c"]));
        let names: Vec<_> = names.iter().map(|name| (name.kind, name.id.as_ref())).collect();
        assert_eq!(names, [(Kind::Group, "g"), (Kind::Account, "a"), (Kind::Account, "c")]);
    }

    #[test]
    fn sessions_and_users_are_nothing_to_nodes() {
        assert_eq!(Kind::of_record(crate::User::KIND), None);
        assert_eq!(Kind::of_record("key"), Some(Kind::Key));
    }
}
