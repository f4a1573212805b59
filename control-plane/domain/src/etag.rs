//! Etags: a record's version as people send it back, to refuse overwriting someone else's change.

use crate::violation::Violations;

/// The etag of a version.
pub fn of(version: u64) -> String {
    format!("\"{version}\"")
}

/// The version that an etag names; `None` for the empty etag, which asks for nothing.
///
/// # Errors
/// When it is no etag of ours.
pub fn parse(etag: &str) -> Result<Option<u64>, Violations> {
    if etag.is_empty() {
        return Ok(None);
    }
    let bare = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    bare.parse().map(Some).map_err(|_| Violations::one("etag", "is not an etag that this service gave"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_comes_back() {
        assert_eq!(parse(&of(7)), Ok(Some(7)));
        assert_eq!(parse("7"), Ok(Some(7)));
        assert_eq!(parse(""), Ok(None));
        assert!(parse("\"x\"").is_err());
    }
}
