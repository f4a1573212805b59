//! A person's or program's standing. Each role may do what the ones before it may.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The roles, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees and manages only what is the user's own.
    User,
    /// Sees everything but secrets, changes nothing.
    Viewer,
    /// Also runs the service.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them, least first.
    pub const ALL: [Self; 4] = [Self::User, Self::Viewer, Self::Operator, Self::Admin];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// From the option in the contract; `None` for "not stated", which never grants anything.
    pub fn from_contract(number: i32) -> Option<Self> {
        match proto::types::Role::try_from(number).ok()? {
            proto::types::Role::Unspecified => None,
            proto::types::Role::User => Some(Self::User),
            proto::types::Role::Viewer => Some(Self::Viewer),
            proto::types::Role::Operator => Some(Self::Operator),
            proto::types::Role::Admin => Some(Self::Admin),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No such role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `admin`, `operator`, `viewer` or `user`")]
pub struct NoSuchRole;

impl FromStr for Role {
    type Err = NoSuchRole;

    fn from_str(text: &str) -> Result<Self, NoSuchRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(NoSuchRole)
    }
}
