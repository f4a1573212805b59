//! An answer's bytes, taken apart.

pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// A body's content, however it is framed.
pub fn unchunked(answer: &str) -> String {
    if !answer.contains("transfer-encoding: chunked") {
        return body(answer).to_owned();
    }
    let (mut rest, mut content) = (body(answer), String::new());
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 || after.len() < length {
            break;
        }
        content.push_str(&after[..length]);
        rest = &after[length + 2..];
    }
    content
}
