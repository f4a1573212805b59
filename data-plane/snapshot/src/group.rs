//! A named set of accounts, as a node knows it.

use proto::rules::ids::{AccountId, GroupId};

use crate::from_proto::Source;

/// A group of accounts.
#[derive(Debug)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// The accounts in it, sorted.
    pub members: Vec<AccountId>,
    pub(crate) source: Source,
}

impl Group {
    /// Whether an account is in it.
    pub fn contains(&self, account: &AccountId) -> bool {
        self.members.binary_search(account).is_ok()
    }
}
