//! The upstream's usage windows of an account, as nodes tell them. A record of its own beside the account: they change
//! with use, are nobody's decision, and so are no entries of the audit log.

use proto::rules::upstream_window::Window;
use serde::{Deserialize, Serialize};

use crate::record::Record;

/// Most windows of one account.
const MOST: usize = 16;
/// What is known of a window that has started anew is kept for so long, milliseconds.
const KEPT_MS: i64 = 86_400_000;

/// An account's windows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountWindows {
    /// The account's id.
    pub id: String,
    /// The windows, by name.
    pub windows: Vec<Window>,
}

impl AccountWindows {
    /// Takes over what a node saw, where it is newer and says something else; whether anything changed.
    pub fn merge(&mut self, seen: Window) -> bool {
        match self.windows.binary_search_by(|held| held.name.cmp(&seen.name)) {
            Ok(at) => {
                let held = &mut self.windows[at];
                let news = seen.seen_at_ms >= held.seen_at_ms && seen.is_news_to(held);
                if news {
                    *held = seen;
                }
                news
            }
            Err(at) if self.windows.len() < MOST => {
                self.windows.insert(at, seen);
                true
            }
            Err(_) => false,
        }
    }
}

impl Record for AccountWindows {
    const KIND: &'static str = "account_windows";
    const SEALED: bool = false;
    const AUDITED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at_ms(&self) -> Option<i64> {
        self.windows.iter().map(|window| window.resets_at_ms.saturating_add(KEPT_MS)).max()
    }

    fn audit_view(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(name: &str, used: u32, seen_at_ms: i64) -> Window {
        Window {
            name: name.into(),
            used_permille: Some(used),
            resets_at_ms: 9_000_000,
            seen_at_ms,
            ..Window::default()
        }
    }

    #[test]
    fn the_newer_word_is_kept_and_small_steps_are_not_written() {
        let mut held = AccountWindows::default();
        assert!(held.merge(window("7d", 100, 5)) && held.merge(window("5h", 300, 5)));
        assert!(!held.merge(window("5h", 305, 6)), "no news");
        assert!(held.merge(window("5h", 320, 7)));
        assert!(!held.merge(window("5h", 310, 6)), "older");
        let names: Vec<_> = held.windows.iter().map(|w| (w.name.as_str(), w.used_permille)).collect();
        assert_eq!(names, [("5h", Some(320)), ("7d", Some(100))]);
        assert_eq!(held.expires_at_ms(), Some(9_000_000 + KEPT_MS));
    }

    #[test]
    fn names_are_bounded() {
        let mut held = AccountWindows::default();
        let added = (0..40).filter(|n| held.merge(window(&n.to_string(), 1, 1))).count();
        assert_eq!((added, held.windows.len()), (MOST, MOST));
    }
}
