//! Error bodies and error elements as Google writes them: an object, or a list with one in it.

use crate::{anthropic, error::Found};

/// Reads the beginning of an error's JSON; it may be cut. The status in words (`RESOURCE_EXHAUSTED`) is the error's type.
pub fn read(head: &[u8]) -> Found {
    let head = head.trim_ascii_start();
    anthropic::error::read(head.strip_prefix(b"[").unwrap_or(head).trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let object =
            r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED","details":[]}}"#;
        for body in [object.to_owned(), format!("[{object}\n]"), format!(" [ {object}")] {
            let found = read(body.as_bytes());
            assert_eq!(found.error_type.as_deref(), Some("RESOURCE_EXHAUSTED"), "{body}");
            assert_eq!(found.message.as_deref(), Some("slow down"), "{body}");
        }
    }
}
