//! The identity of a session: what two requests must share to go to the same account.
//!
//! It is always scoped by key, so that nobody can steer onto another key's account by naming its session, and it is a
//! digest, so that what the client said is not kept.

use sha2::{Digest, Sha256};

/// A session's identity: 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 32]);

impl SessionId {
    /// From a key and what the client said, with the source that was believed (such as `metadata.user_id`), so that
    /// equal texts from different sources do not meet. Every part is preceded by its length.
    pub fn new(key_id: &str, source: &str, evidence: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in [key_id.as_bytes(), source.as_bytes(), evidence] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// From the wire; `None` unless it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As people and the store's names see it: 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// A score of this session on an account, for weighted rendezvous hashing: the account with the highest score is
    /// the session's, on every node alike. `-weight / ln(u)` with `u` uniform in (0, 1) from the digest of both
    /// (Thaler & Ravishankar; weights after Schindelhauer & Schomaker).
    pub fn rendezvous(&self, account_id: &str, weight: u32) -> f64 {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(account_id.as_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut head = [0; 8];
        head.copy_from_slice(&digest[..8]);
        let uniform = ((u64::from_be_bytes(head) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -f64::from(weight.max(1)) / uniform.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_under_another_key_are_another_session() {
        assert_ne!(SessionId::new("a", "s", b"x"), SessionId::new("b", "s", b"x"));
        assert_ne!(SessionId::new("a", "bc", b"x"), SessionId::new("ab", "c", b"x"));
    }

    #[test]
    fn rendezvous_follows_weights() {
        let mut heavy = 0;
        for n in 0..4000 {
            let session = SessionId::new("k", "test", n.to_string().as_bytes());
            heavy += usize::from(session.rendezvous("a", 30) > session.rendezvous("b", 10));
        }
        assert!((2850..3150).contains(&heavy), "{heavy} of 4000, expected about 3000");
    }
}
