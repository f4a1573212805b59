//! Access tokens: short-lived JWTs signed with Ed25519, and the keys that sign them, shared by all replicas through the
//! store, sealed. A new key signs at once; the one before goes on verifying while tokens of it are out.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::{record::Record, secret};

/// The id of the one record of signing keys.
pub const ID: &str = "signing-keys";
/// Life of an access token, seconds.
pub const ACCESS_SECONDS: i64 = 900;
/// Who signs.
pub const ISSUER: &str = "claude-relay-service";
/// For whom.
pub const AUDIENCE: &str = "crs-admin";
/// A key signs for so long: 90 days, milliseconds.
const SIGNS_MS: i64 = 90 * 86_400_000;
/// Replicas' clocks may differ by so much, seconds.
const SKEW_SECONDS: i64 = 30;

/// The keys that sign access tokens, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SigningKeys {
    /// The keys.
    pub keys: Vec<SigningKey>,
}

/// A key that signs or signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SigningKey {
    /// Names it in a token's header.
    pub id: String,
    /// PKCS #8, base64.
    #[serde(with = "secret::stored")]
    pub private: SecretString,
    /// 32 bytes, base64.
    pub public: String,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
}

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who signed.
    pub iss: String,
    /// For whom.
    pub aud: String,
    /// User id.
    pub sub: String,
    /// Session id.
    pub sid: String,
    /// When it was made, Unix seconds.
    pub iat: i64,
    /// When it ends, Unix seconds.
    pub exp: i64,
}

/// What goes wrong with access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No key could be made or used.
    #[error("the signing key cannot be used")]
    Key,
    /// Not a token that one of the keys signed.
    #[error("the access token is not valid")]
    Invalid,
    /// It has ended.
    #[error("the access token has expired")]
    Expired,
}

impl SigningKeys {
    /// The first key of a deployment.
    ///
    /// # Errors
    /// When no key could be made.
    pub fn fresh(now_ms: i64) -> Result<Self, TokenError> {
        Ok(Self { keys: vec![SigningKey::make(now_ms)?] })
    }

    /// Whether the newest key has signed for long enough.
    pub fn is_due(&self, now_ms: i64) -> bool {
        self.keys.first().is_none_or(|key| now_ms - key.created_at_ms >= SIGNS_MS)
    }

    /// Puts a new key first; the one before stays for what it signed.
    ///
    /// # Errors
    /// When no key could be made.
    pub fn rotate(&mut self, now_ms: i64) -> Result<(), TokenError> {
        self.keys.insert(0, SigningKey::make(now_ms)?);
        self.keys.truncate(2);
        Ok(())
    }

    /// A new access token of a session.
    ///
    /// # Errors
    /// When there is no key or it cannot be used.
    pub fn sign(&self, user_id: &str, session_id: &str, now_ms: i64) -> Result<SecretString, TokenError> {
        let key = self.keys.first().ok_or(TokenError::Key)?;
        let now = now_ms.div_euclid(1000);
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: user_id.into(),
            sid: session_id.into(),
            iat: now,
            exp: now + ACCESS_SECONDS,
        };
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::EdDSA) };
        let pkcs8 = BASE64.decode(key.private.expose_secret()).map_err(|_| TokenError::Key)?;
        let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&pkcs8));
        token.map(SecretString::from).map_err(|_| TokenError::Key)
    }

    /// What a token says, if one of the keys signed it, for us, and it has not ended.
    ///
    /// # Errors
    /// Why it is not to be believed.
    pub fn verify(&self, token: &str, now_ms: i64) -> Result<Claims, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let key =
            self.keys.iter().find(|key| Some(&key.id) == header.kid.as_ref()).ok_or(TokenError::Invalid)?;
        let public = BASE64.decode(&key.public).map_err(|_| TokenError::Key)?;
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        // Time is a parameter here: it is compared below.
        rules.validate_exp = false;
        let read = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_ed_der(&public), &rules);
        let claims = read.map_err(|_| TokenError::Invalid)?.claims;
        let now = now_ms.div_euclid(1000);
        if claims.iat > now + SKEW_SECONDS {
            return Err(TokenError::Invalid);
        }
        if claims.exp <= now {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }
}

impl SigningKey {
    fn make(now_ms: i64) -> Result<Self, TokenError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| TokenError::Key)?;
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| TokenError::Key)?;
        Ok(Self {
            id: uuid::Uuid::now_v7().simple().to_string(),
            private: BASE64.encode(pkcs8.as_ref()).into(),
            public: BASE64.encode(pair.public_key().as_ref()),
            created_at_ms: now_ms,
        })
    }
}

impl Record for SigningKeys {
    const KIND: &'static str = "signing_keys";
    const SEALED: bool = true;

    fn id(&self) -> &str {
        ID
    }

    fn audit_view(&self) -> serde_json::Value {
        let mut view = serde_json::to_value(self).unwrap_or_default();
        for key in view["keys"].as_array_mut().into_iter().flatten() {
            key["private"] = secret::MASK.into();
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn a_token_says_whose_it_is_until_it_ends() {
        let keys = SigningKeys::fresh(NOW).unwrap();
        let token = keys.sign("user", "session", NOW).unwrap();
        let token = token.expose_secret();
        let claims = keys.verify(token, NOW + 1000).unwrap();
        assert_eq!((claims.sub.as_str(), claims.sid.as_str()), ("user", "session"));
        assert_eq!(keys.verify(token, NOW + ACCESS_SECONDS * 1000), Err(TokenError::Expired));
        assert_eq!(keys.verify(token, NOW - 60_000), Err(TokenError::Invalid));
    }

    #[test]
    fn the_key_before_goes_on_verifying_and_the_one_before_that_does_not() {
        let mut keys = SigningKeys::fresh(NOW).unwrap();
        assert!(!keys.is_due(NOW));
        assert!(keys.is_due(NOW + SIGNS_MS));
        let token = keys.sign("user", "session", NOW).unwrap();
        keys.rotate(NOW).unwrap();
        assert!(keys.verify(token.expose_secret(), NOW).is_ok());
        keys.rotate(NOW).unwrap();
        assert_eq!(keys.verify(token.expose_secret(), NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn what_others_signed_is_not_believed() {
        let keys = SigningKeys::fresh(NOW).unwrap();
        let mut forger = SigningKeys::fresh(NOW).unwrap();
        forger.keys[0].id.clone_from(&keys.keys[0].id);
        let forged = forger.sign("user", "session", NOW).unwrap();
        assert_eq!(keys.verify(forged.expose_secret(), NOW), Err(TokenError::Invalid));
        for wrong in ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
            assert_eq!(keys.verify(wrong, NOW), Err(TokenError::Invalid), "{wrong}");
        }
    }

    #[test]
    fn a_private_key_is_not_shown() {
        let keys = SigningKeys::fresh(NOW).unwrap();
        let private = keys.keys[0].private.expose_secret().to_owned();
        assert!(!keys.audit_view().to_string().contains(&private));
        assert!(!format!("{keys:?}").contains(&private));
    }
}
