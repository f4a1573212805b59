//! The beginning of a deployment: settings with a pepper, signing keys, and the first administrator. Whatever is there
//! already is left alone; replicas that start together agree through the store.

use domain::{Role, Settings, SigningKeys, User, Violations, password, secret, settings, signing};
use proto::rules::ids::UserId;
use secrecy::{ExposeSecret as _, SecretString};
use store::{Author, Change, Expect, Store};

/// Name of the first administrator where none is given.
pub const USERNAME: &str = "admin";

/// An administrator whose password was made here: to be told once.
#[derive(Debug)]
pub struct Generated {
    /// Login name.
    pub username: String,
    /// Password.
    pub password: SecretString,
}

/// Why a deployment cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The store's.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The name or the password given cannot be taken.
    #[error("the first administrator cannot be made: {0}")]
    Refused(#[from] Violations),
    /// No randomness, no memory, no key.
    #[error("secrets cannot be made: {0}")]
    Secrets(String),
}

/// Makes what is missing. With no user at all the first administrator is made, of the name and password given; where no
/// password is given one is made and told. It hashes a password: call it from a thread that may block.
///
/// # Errors
/// Why the deployment cannot begin.
pub async fn ensure(
    store: &Store,
    username: Option<&str>,
    given: Option<&SecretString>,
    now_ms: i64,
) -> Result<Option<Generated>, BootstrapError> {
    ensure_settings(store).await?;
    ensure_signing_keys(store, now_ms).await?;
    if !store.scan::<User>(None, 1).await?.is_empty() {
        return Ok(None);
    }
    let username = username.map(str::trim).filter(|name| !name.is_empty()).unwrap_or(USERNAME);
    check_name(username)?;
    let given = given.filter(|password| !password.expose_secret().is_empty());
    let password = match given {
        Some(password) => {
            password::check(password.expose_secret(), username, "password")?;
            password.clone()
        }
        None => secret::password().map_err(|why| BootstrapError::Secrets(why.to_string()))?,
    };
    let hash = password::hash(password.expose_secret());
    let admin = User {
        id: UserId::generate().into(),
        username: username.to_owned(),
        role: Role::Admin,
        disabled: false,
        password_hash: hash.map_err(|why| BootstrapError::Secrets(why.to_string()))?,
        password_changed_at_ms: now_ms,
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
    };
    match store.commit(Change::new(author()).put(&admin, Expect::Absent)).await {
        Ok(_) if given.is_none() => Ok(Some(Generated { username: admin.username, password })),
        Ok(_) => Ok(None),
        // Another replica was faster with the same name: its password holds.
        Err(store::Error::Duplicate { .. }) => Ok(None),
        Err(why) => Err(why.into()),
    }
}

fn check_name(username: &str) -> Result<(), Violations> {
    let fine = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    let length = username.chars().count();
    let mut wrong = Violations::default();
    wrong.require(
        (1..=64).contains(&length) && username.chars().all(fine),
        "username",
        "must have 1 to 64 letters, digits, `.`, `-`, `_` or `@`",
    );
    wrong.or(())
}

fn author() -> Author {
    Author::system("bootstrap")
}

async fn ensure_settings(store: &Store) -> Result<(), BootstrapError> {
    if store.get::<Settings>(settings::ID).await?.is_some() {
        return Ok(());
    }
    let fresh = Settings::fresh().map_err(|why| BootstrapError::Secrets(why.to_string()))?;
    first(store.commit(Change::new(author()).put(&fresh, Expect::Absent)).await)
}

async fn ensure_signing_keys(store: &Store, now_ms: i64) -> Result<(), BootstrapError> {
    if store.get::<SigningKeys>(signing::ID).await?.is_some() {
        return Ok(());
    }
    let fresh = SigningKeys::fresh(now_ms).map_err(|why| BootstrapError::Secrets(why.to_string()))?;
    first(store.commit(Change::new(author()).put(&fresh, Expect::Absent)).await)
}

/// Whoever was first, it is there now.
fn first<T>(done: store::Result<T>) -> Result<(), BootstrapError> {
    match done {
        Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
        Err(why) => Err(why.into()),
    }
}
