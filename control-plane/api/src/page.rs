//! Pages of lists: filter words, order, and tokens that go on after the last entry, whatever came or went meanwhile.

use std::cmp::{Ordering, Reverse};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};
use tonic::Status;

use crate::convert;

/// Entries per page where none is asked for.
const DEFAULT: usize = 50;
/// Entries per page at most.
const MAX: i32 = 1000;

/// What entries are ordered by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortKey {
    /// A number or a time.
    Number(i64),
    /// A text, compared without case.
    Text(String),
}

impl SortKey {
    /// A text, compared without case.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_lowercase())
    }
}

/// An order: a field's name, and whether the largest come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Field.
    pub field: &'static str,
    /// Largest first.
    pub descending: bool,
}

impl Order {
    /// Reads `field` or `field desc`; empty is the default.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when it names no field that can be ordered by.
    pub fn parse(text: &str, fields: &[&'static str], default: Self) -> Result<Self, Status> {
        let mut words = text.split_whitespace();
        let Some(name) = words.next() else { return Ok(default) };
        let field = fields.iter().find(|field| **field == name);
        let descending = match words.next() {
            None | Some("asc") => Some(false),
            Some("desc") => Some(true),
            Some(_) => None,
        };
        match (field, descending, words.next()) {
            (Some(field), Some(descending), None) => Ok(Self { field, descending }),
            _ => {
                let fields = fields.join("`, `");
                Err(convert::invalid_field(
                    "order_by",
                    format!("must be one of `{fields}`, with ` desc` or without"),
                ))
            }
        }
    }
}

/// Entries per page.
///
/// # Errors
/// `INVALID_ARGUMENT` when out of range.
pub fn size(asked: i32) -> Result<usize, Status> {
    match asked {
        0 => Ok(DEFAULT),
        1..=MAX => Ok(asked as usize),
        _ => Err(convert::invalid_field("page_size", format!("must be 1 to {MAX}, or 0 for {DEFAULT}"))),
    }
}

/// Where a page ended.
#[derive(Serialize, Deserialize)]
struct Cursor {
    /// What the list was of: another filter or order is another list.
    of: String,
    key: SortKey,
    id: String,
}

/// One entry to be ordered.
pub struct Entry<'a, T> {
    /// What it is ordered by.
    pub key: SortKey,
    /// Its id, which decides among equals.
    pub id: &'a str,
    /// The entry.
    pub value: T,
}

/// A page.
pub struct Page<T> {
    /// Its entries.
    pub values: Vec<T>,
    /// For the next page; empty: this is the last.
    pub next: String,
    /// How many there are in all.
    pub total: i64,
}

/// Cuts one page out of all entries that match. `of` names the list (filter and order) that a token is good for.
///
/// # Errors
/// `INVALID_ARGUMENT` when the token is not one of this list.
pub fn cut<T>(
    entries: Vec<Entry<'_, T>>,
    descending: bool,
    size: usize,
    token: &str,
    of: &str,
) -> Result<Page<T>, Status> {
    let total = entries.len() as i64;
    let compare = |a: (&SortKey, &str), b: (&SortKey, &str)| -> Ordering {
        if descending { Reverse(a).cmp(&Reverse(b)) } else { a.cmp(&b) }
    };
    let mut rest = entries;
    if !token.is_empty() {
        let cursor = read_token(token, of)?;
        let last = (&cursor.key, cursor.id.as_str());
        rest.retain(|entry| compare((&entry.key, entry.id), last) == Ordering::Greater);
    }
    let by = |a: &Entry<'_, T>, b: &Entry<'_, T>| compare((&a.key, a.id), (&b.key, b.id));
    let more = rest.len() > size;
    if more {
        rest.select_nth_unstable_by(size, by);
        rest.truncate(size);
    }
    rest.sort_unstable_by(by);
    let next = match rest.last() {
        Some(last) if more => {
            let cursor = Cursor { of: of.to_owned(), key: last.key.clone(), id: last.id.to_owned() };
            BASE64.encode(serde_json::to_vec(&cursor).unwrap_or_default())
        }
        _ => String::new(),
    };
    Ok(Page { values: rest.into_iter().map(|entry| entry.value).collect(), next, total })
}

fn read_token(token: &str, of: &str) -> Result<Cursor, Status> {
    let bytes = BASE64.decode(token).ok();
    let cursor = bytes.and_then(|bytes| serde_json::from_slice::<Cursor>(&bytes).ok());
    cursor.filter(|cursor| cursor.of == of).ok_or_else(|| {
        convert::invalid_field("page_token", "is not one that this list gave; begin again without it")
    })
}

/// What a list must hold: words anywhere, or `field:value`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Words that some text must hold, lower-case.
    pub words: Vec<String>,
    /// Fields that must have a value, lower-case.
    pub fields: Vec<(String, String)>,
}

impl Filter {
    /// Reads a filter; texts with blanks stand in double quotes.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when it is too long or names a field that cannot be filtered by.
    pub fn parse(text: &str, fields: &[&str]) -> Result<Self, Status> {
        let wrong = |why: String| convert::invalid_field("filter", why);
        if text.chars().count() > 500 {
            return Err(wrong("must have at most 500 characters".into()));
        }
        let mut filter = Self::default();
        for (word, quoted) in split(&text.to_lowercase()) {
            match word.split_once(':') {
                Some((field, value)) if !quoted && !field.is_empty() => {
                    if !fields.contains(&field) {
                        let fields = fields.join("`, `");
                        return Err(wrong(format!("`{field}` is no field; there are `{fields}`")));
                    }
                    filter.fields.push((field.to_owned(), value.to_owned()));
                }
                _ => filter.words.push(word),
            }
        }
        Ok(filter)
    }

    /// Whether every word is in one of the texts.
    pub fn words_in<'a>(&self, texts: impl Iterator<Item = &'a str> + Clone) -> bool {
        self.words.iter().all(|word| texts.clone().any(|text| holds(text, word)))
    }
}

/// Whether a text holds a lower-case word, without case.
pub fn holds(text: &str, word: &str) -> bool {
    if text.is_ascii() {
        let (text, word) = (text.as_bytes(), word.as_bytes());
        return word.is_empty() || text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    }
    text.to_lowercase().contains(word)
}

/// Words, and whether each began with a quote.
fn split(text: &str) -> Vec<(String, bool)> {
    let (mut words, mut word, mut inside, mut quoted) = (Vec::new(), String::new(), false, false);
    for c in text.chars() {
        match c {
            '"' => {
                quoted |= word.is_empty() && !inside;
                inside = !inside;
            }
            c if c.is_whitespace() && !inside => {
                if !word.is_empty() {
                    words.push((std::mem::take(&mut word), quoted));
                }
                quoted = false;
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push((word, quoted));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries<'a>(keys: &[i64], ids: &'a [String]) -> Vec<Entry<'a, i64>> {
        let entry = |(key, id): (&i64, &'a String)| Entry { key: SortKey::Number(*key), id, value: *key };
        keys.iter().zip(ids).map(entry).collect()
    }

    fn ids() -> Vec<String> {
        (0..100).map(|n| format!("{n:03}")).collect()
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat() {
        let keys: Vec<i64> = (0..100).map(|n| n * 7 % 13).collect();
        for descending in [false, true] {
            let (mut seen, mut token) = (Vec::new(), String::new());
            loop {
                let page = cut(entries(&keys, &ids()), descending, 7, &token, "x").unwrap();
                assert_eq!(page.total, 100);
                seen.extend(page.values);
                token = page.next;
                if token.is_empty() {
                    break;
                }
            }
            let mut expected = keys.clone();
            expected.sort();
            if descending {
                expected.reverse();
            }
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn a_token_is_good_for_its_list_only() {
        let page = cut(entries(&[1, 2, 3], &ids()), false, 1, "", "x").unwrap();
        assert!(cut(entries(&[1, 2, 3], &ids()), false, 1, &page.next, "y").is_err());
        assert!(cut(entries(&[1, 2, 3], &ids()), false, 1, "nonsense", "x").is_err());
    }

    #[test]
    fn filters_are_read() {
        let filter = Filter::parse("Prod tag:Team-A \"two words\" tag:\"b c\"", &["tag"]).unwrap();
        assert_eq!(filter.words, ["prod", "two words"]);
        assert_eq!(filter.fields, [("tag".into(), "team-a".into()), ("tag".into(), "b c".into())]);
        assert!(Filter::parse("color:red", &["tag"]).is_err());
        assert!(filter.words_in(["my PROD key", "with Two Words"].into_iter()));
        assert!(!filter.words_in(["my PROD key"].into_iter()));
    }

    #[test]
    fn orders_are_read() {
        let default = Order { field: "name", descending: false };
        let parse = |text| Order::parse(text, &["name", "created_at"], default.clone());
        assert_eq!(parse("").unwrap(), default);
        assert!(parse("created_at desc").unwrap().descending);
        assert!(parse("secret").is_err());
        assert!(parse("name up").is_err());
    }
}
