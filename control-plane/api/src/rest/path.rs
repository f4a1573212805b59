//! A request's path, taken apart once. What two readers could read in two ways is refused here.

/// Why a path is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `//`, `.` or `..`.
    #[error("the path holds an empty, `.` or `..` segment")]
    Segment,
    /// A percent sign without two hex digits after it, or what it encodes is not UTF-8.
    #[error("the path holds a percent sign that encodes nothing")]
    Encoding,
    /// An encoded slash, backslash or control character.
    #[error("the path holds an encoded slash, backslash or control character")]
    Hidden,
}

/// The segments of a path, decoded.
///
/// # Errors
/// Why the path is not served.
pub fn segments(path: &str) -> Result<Vec<String>, PathError> {
    path.strip_prefix('/').unwrap_or(path).split('/').map(segment).collect()
}

fn segment(raw: &str) -> Result<String, PathError> {
    let text = decode(raw, false).ok_or(PathError::Encoding)?;
    if matches!(text.as_str(), "" | "." | "..") {
        return Err(PathError::Segment);
    }
    if text.chars().any(|c| c.is_control() || c == '/' || c == '\\') {
        return Err(PathError::Hidden);
    }
    Ok(text)
}

/// Decodes percent signs, and `+` as a blank where `plus` says so; `None` when one encodes nothing or the result is not
/// UTF-8.
pub fn decode(raw: &str, plus: bool) -> Option<String> {
    let bytes = raw.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digits = bytes.get(at + 1..at + 3)?;
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).ok()?;
                decoded.push(byte[0]);
                at += 2;
            }
            b'+' if plus => decoded.push(b' '),
            byte => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        assert_eq!(segments("/a/b%20c/%E5%8C%97").unwrap(), ["a", "b c", "北"]);
        assert_eq!(decode("a+b%2B", true).as_deref(), Some("a b+"));
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        for (path, why) in [
            ("/a//b", PathError::Segment),
            ("/a/", PathError::Segment),
            ("/a/../b", PathError::Segment),
            ("/a/%2e%2e/b", PathError::Segment),
            ("/a/b%2fc", PathError::Hidden),
            ("/a/b%5cc", PathError::Hidden),
            ("/a/b%00", PathError::Hidden),
            ("/a/b%zz", PathError::Encoding),
            ("/a/b%", PathError::Encoding),
            ("/a/%ff", PathError::Encoding),
        ] {
            assert_eq!(segments(path), Err(why), "{path}");
        }
    }
}
