//! A named set of accounts, as a node knows it.

use proto::rules::ids::{AccountId, GroupId};

use crate::from_proto::Source;

/// An account in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account: AccountId,
    /// Priority within the group, lower first; none: the account's own.
    pub priority: Option<i32>,
}

/// A group of accounts.
#[derive(Debug)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// The accounts in it, sorted by id.
    pub members: Vec<Member>,
    pub(crate) source: Source,
}

impl Group {
    /// The member that is an account, if it is in it.
    pub fn member(&self, account: &AccountId) -> Option<&Member> {
        let at = self.members.binary_search_by(|member| member.account.cmp(account)).ok()?;
        self.members.get(at)
    }
}
