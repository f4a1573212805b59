//! Passwords: what is accepted, how they are hashed (argon2id, 19 MiB, two passes) and checked. Hashing takes tens of
//! milliseconds of a core on purpose, so callers run it away from the event loop and bound how many run at once.

use std::sync::OnceLock;

use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _, password_hash::phc::PasswordHash};
use secrecy::{ExposeSecret as _, SecretString};

use crate::violation::Violations;

/// Shortest password, characters.
pub const MIN: usize = 12;
/// Longest password, characters.
pub const MAX: usize = 200;

/// The password could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed")]
pub struct HashError;

/// Checks that a password may be taken.
///
/// # Errors
/// What is wrong with it, under the path given.
pub fn check(password: &str, username: &str, path: &str) -> Result<(), Violations> {
    let mut wrong = Violations::default();
    let length = password.chars().count();
    wrong.require((MIN..=MAX).contains(&length), path, format!("must have {MIN} to {MAX} characters"));
    let different = password.chars().collect::<std::collections::BTreeSet<_>>().len();
    wrong.require(different >= 5, path, "must hold at least 5 different characters");
    let holds_name = username.len() >= 4 && password.to_lowercase().contains(&username.to_lowercase());
    wrong.require(!holds_name, path, "must not hold the login name");
    wrong.or(())
}

/// Hashes a password with a random salt, as a PHC string.
///
/// # Errors
/// When the system gives no randomness or no memory.
pub fn hash(password: &str) -> Result<SecretString, HashError> {
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| HashError)?;
    Ok(hash.to_string().into())
}

/// Whether a password is the one that was hashed. Without a hash (nobody of that name) it takes as long and says no.
pub fn verify(password: &str, hash: Option<&SecretString>) -> bool {
    static NOBODY: OnceLock<Option<SecretString>> = OnceLock::new();
    let nobody = || NOBODY.get_or_init(|| self::hash("nobody's password").ok()).as_ref();
    let Some(held) = hash.or_else(nobody) else { return false };
    let Ok(parsed) = PasswordHash::new(held.expose_secret()) else { return false };
    let fits = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
    fits && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash() {
        let held = hash("correct horse battery").unwrap();
        assert!(held.expose_secret().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify("correct horse battery", Some(&held)));
        assert!(!verify("correct horse batterz", Some(&held)));
        assert!(!verify("nobody's password", None));
        assert!(!verify("x", Some(&SecretString::from("no hash"))));
    }

    #[test]
    fn weak_passwords_are_refused() {
        assert!(check("correct horse", "admin", "p").is_ok());
        for weak in ["short", "aaaaaaaaaaaaaaaa", "admin-admin-x1"] {
            assert!(check(weak, "admin", "p").is_err(), "{weak}");
        }
    }
}
