//! The word that session bindings were dropped: whoever holds some forgets them.

use proto::rules::{
    ids::{AccountId, KeyId},
    session::SessionId,
};

/// Which bindings were dropped: all that match what is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingDrop {
    /// Its id.
    pub id: String,
    /// Of this key.
    pub key: Option<KeyId>,
    /// To this account.
    pub account: Option<AccountId>,
    /// In this platform family.
    pub family: Option<String>,
    /// Of this session.
    pub session: Option<SessionId>,
}
