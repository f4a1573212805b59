//! Model patterns: `*` stands for any run of characters, compared without case. Not regular expressions; matching is
//! linear in practice and never recursive, since patterns come from people and texts from strangers.

use std::fmt;

/// A pattern such as `claude-*-4`.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// A pattern from its text. Every text is one.
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase().into())
    }

    /// The text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text matches as a whole.
    pub fn matches(&self, text: &str) -> bool {
        if text.is_ascii() {
            glob(self.0.as_bytes(), text.as_bytes(), u8::to_ascii_lowercase)
        } else {
            glob(self.0.as_bytes(), text.to_lowercase().as_bytes(), |byte| *byte)
        }
    }
}

/// Greedy matching that goes back to the last star only: a star before it can never have to give up more.
fn glob(pattern: &[u8], text: &[u8], fold: impl Fn(&u8) -> u8) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            last_star = Some((p, t));
            p += 1;
        } else if pattern.get(p).copied() == Some(fold(&text[t])) {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = last_star {
            last_star = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_run() {
        for (pattern, text, expected) in [
            ("claude-*", "claude-opus-4", true),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("*opus*", "Claude-OPUS-4", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbX", false),
            ("claude", "claude-3", false),
            ("Claude-3", "claude-3", true),
            ("*-4", "claude-4-4", true),
            ("ÄRA*", "ära-1", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} on {text}");
        }
    }

    /// The definition, exponential but plainly right.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.first() {
            None => text.is_empty(),
            Some(b'*') => (0..=text.len()).any(|skip| slow(&pattern[1..], &text[skip..])),
            Some(byte) => text.first() == Some(byte) && slow(&pattern[1..], &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(Pattern::new(&pattern).matches(&text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
