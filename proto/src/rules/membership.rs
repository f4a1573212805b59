//! How a node is told, so that it can believe it, that its membership has ended: a proof that only a control plane which
//! knows the node's join token can make. Being unable to reach the control plane, or being answered by one that does not
//! know the token (an empty store, a wrong address), proves nothing, and ends nothing (G5).

use sha2::{Digest as _, Sha256};

use super::key_hash::Pepper;

/// The metadata that carries the proof, beside `PERMISSION_DENIED`.
pub const METADATA: &str = "crs-membership-ended";

/// What the control plane keeps of a join token: SHA-256, hexadecimal.
pub fn digest(join_token: &str) -> String {
    hex::encode(Sha256::digest(join_token.as_bytes()))
}

/// That the membership of this node under this token has ended.
pub fn proof(token_digest: &str, node: &str, epoch: &str) -> String {
    let said = format!("crs membership ended, version 1\0{node}\0{epoch}");
    hex::encode(Pepper::new(token_digest.as_bytes()).digest(said.as_bytes()).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_of_one_token_one_node_and_one_life() {
        let proven = proof(&digest("t"), "n", "e");
        assert_eq!(proven, proof(&digest("t"), "n", "e"));
        for other in
            [proof(&digest("u"), "n", "e"), proof(&digest("t"), "m", "e"), proof(&digest("t"), "n", "f")]
        {
            assert_ne!(proven, other);
        }
        assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
