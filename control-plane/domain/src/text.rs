//! Checks of texts that people write: names, tags, words of a vocabulary, patterns, networks.

use std::{collections::BTreeSet, net::IpAddr};

use crate::violation::Violations;

/// Longest name, characters.
pub const MAX_NAME: usize = 100;
/// Longest description, characters.
pub const MAX_DESCRIPTION: usize = 500;
/// Most tags on one thing.
pub const MAX_TAGS: usize = 32;
/// Longest tag, characters.
pub const MAX_TAG: usize = 64;
/// Most entries in a list of patterns, networks or clients.
pub const MAX_LIST: usize = 256;

/// A display name: 1 to 100 characters, trimmed, without control characters.
pub fn name(value: &str, path: &str, wrong: &mut Violations) -> String {
    let value = value.trim();
    wrong.require(!value.is_empty(), path, "must not be empty");
    line(value, MAX_NAME, path, wrong)
}

/// One line of text of bounded length, without control characters.
pub fn line(value: &str, max: usize, path: &str, wrong: &mut Violations) -> String {
    wrong.require(value.chars().count() <= max, path, format!("must have at most {max} characters"));
    wrong.require(!value.chars().any(char::is_control), path, "must not hold control characters");
    value.to_owned()
}

/// Free text: bounded, without control characters but line breaks and tabs.
pub fn description(value: &str, path: &str, wrong: &mut Violations) -> String {
    let fine = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    let max = MAX_DESCRIPTION;
    wrong.require(value.chars().count() <= max, path, format!("must have at most {max} characters"));
    wrong.require(value.chars().all(fine), path, "must not hold control characters");
    value.to_owned()
}

/// Labels: trimmed, each once, in the order given.
pub fn tags(values: &[String], path: &str, wrong: &mut Violations) -> Vec<String> {
    wrong.require(values.len() <= MAX_TAGS, path, format!("must be at most {MAX_TAGS}"));
    let mut seen = BTreeSet::new();
    let mut tags = Vec::new();
    for (n, tag) in values.iter().take(MAX_TAGS).enumerate() {
        let tag = tag.trim();
        let path = format!("{path}[{n}]");
        wrong.require(!tag.is_empty(), &path, "must not be empty");
        let tag = line(tag, MAX_TAG, &path, wrong);
        if seen.insert(tag.clone()) {
            tags.push(tag);
        }
    }
    tags
}

/// Words of a vocabulary: lower-case letters, digits, `-`, `_` and `.`; each once.
pub fn words(values: &[String], max: usize, path: &str, wrong: &mut Violations) -> Vec<String> {
    wrong.require(values.len() <= max, path, format!("must be at most {max}"));
    let mut words: Vec<String> = Vec::new();
    for (n, word) in values.iter().take(max).enumerate() {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        wrong.require(
            !word.is_empty() && word.len() <= 64 && word.chars().all(fine),
            format!("{path}[{n}]"),
            "must be 1 to 64 of a-z, 0-9, `-`, `_` and `.`",
        );
        if !words.contains(word) {
            words.push(word.clone());
        }
    }
    words
}

/// Model names in which `*` stands for any run of characters.
pub fn patterns(values: &[String], path: &str, wrong: &mut Violations) -> Vec<String> {
    wrong.require(values.len() <= MAX_LIST, path, format!("must be at most {MAX_LIST}"));
    for (n, pattern) in values.iter().take(MAX_LIST).enumerate() {
        let path = format!("{path}[{n}]");
        wrong.require(!pattern.trim().is_empty(), &path, "must not be empty");
        wrong.require(pattern.matches('*').count() <= 8, &path, "must hold at most 8 `*`");
        line(pattern, 200, &path, wrong);
    }
    values.iter().take(MAX_LIST).map(|pattern| pattern.trim().to_owned()).collect()
}

/// Networks: an address, or an address and a prefix length, of IPv4 or IPv6. Host bits are cleared.
pub fn networks(values: &[String], path: &str, wrong: &mut Violations) -> Vec<String> {
    wrong.require(values.len() <= MAX_LIST, path, format!("must be at most {MAX_LIST}"));
    let mut networks = Vec::new();
    for (n, value) in values.iter().take(MAX_LIST).enumerate() {
        match network(value) {
            Some(network) => networks.push(network),
            None => wrong.add(
                format!("{path}[{n}]"),
                "must be an address or a network such as `203.0.113.0/24` or `2001:db8::/32`",
            ),
        }
    }
    networks
}

/// A network in its usual form; `None` when it is none.
pub fn network(value: &str) -> Option<String> {
    let (address, length) = match value.trim().split_once('/') {
        Some((address, length)) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => {
            (address, Some(length.parse::<u8>().ok()?))
        }
        Some(_) => return None,
        None => (value.trim(), None),
    };
    match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => {
            let length = length.unwrap_or(32);
            let mask = (length <= 32).then(|| u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0))?;
            Some(format!("{}/{length}", std::net::Ipv4Addr::from_bits(address.to_bits() & mask)))
        }
        IpAddr::V6(address) => {
            let length = length.unwrap_or(128);
            let mask =
                (length <= 128).then(|| u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0))?;
            Some(format!("{}/{length}", std::net::Ipv6Addr::from_bits(address.to_bits() & mask)))
        }
    }
}

/// Whether a text is an id of ours: a UUID, or up to 64 of `a-z A-Z 0-9 - _ .`.
pub fn is_id(value: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !value.is_empty() && value.len() <= 64 && value.bytes().all(fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_in_both_families() {
        assert_eq!(network("203.0.113.7/24").as_deref(), Some("203.0.113.0/24"));
        assert_eq!(network("203.0.113.7").as_deref(), Some("203.0.113.7/32"));
        assert_eq!(network("0.0.0.0/0").as_deref(), Some("0.0.0.0/0"));
        assert_eq!(network("2001:db8::1/32").as_deref(), Some("2001:db8::/32"));
        assert_eq!(network("::/0").as_deref(), Some("::/0"));
        for wrong in
            ["", "1.2.3", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/+1", "010.1.1.1"]
        {
            assert_eq!(network(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_are_one_line() {
        let mut wrong = Violations::default();
        assert_eq!(name("  Café 北京 ", "name", &mut wrong), "Café 北京");
        assert!(wrong.0.is_empty());
        name("", "name", &mut wrong);
        name("a\nb", "name", &mut wrong);
        name(&"x".repeat(101), "name", &mut wrong);
        assert_eq!(wrong.0.len(), 3, "{wrong}");
    }
}
