//! Ids as types, so that one cannot stand where another belongs. All are cheap to clone.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text as an id, as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// A new id: a version 7 UUID (its first 48 bits are the time).
            pub fn generate() -> Self {
                Self(uuid::Uuid::now_v7().to_string().into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether it is the empty text, which on the wire means "none".
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// A relay key's id.
    KeyId
}
id! {
    /// An upstream account's id.
    AccountId
}
id! {
    /// An account group's id.
    GroupId
}
id! {
    /// A user's id.
    UserId
}
id! {
    /// A data-plane node's id, kept in its data directory.
    NodeId
}
id! {
    /// One life of one spool lane of a node: random, new at every process start.
    Epoch
}
id! {
    /// A kind of upstream account, such as the slug of Claude Console. Known to the platform registry alone.
    PlatformSlug
}
id! {
    /// A meter: `<key id>/<limit id>`.
    MeterId
}

impl MeterId {
    /// The meter of one limit of one owner (a key, an account, a user).
    pub fn of(owner: &str, limit: &str) -> Self {
        Self::new(format!("{owner}/{limit}"))
    }

    /// Owner and limit; `None` when the text is no meter id.
    pub fn parts(&self) -> Option<(&str, &str)> {
        self.as_str().split_once('/')
    }
}
