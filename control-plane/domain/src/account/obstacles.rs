//! What stands against choosing an account, as far as the control plane knows; the reasons are those of the scheduler's
//! explanations.

use proto::{admin, rules::upstream_window::Window};

use super::{Account, Status};
use crate::time;

impl Account {
    /// What keeps the account from serving at a time (Unix milliseconds), or from serving some family; empty: nothing.
    pub fn obstacles(&self, windows: &[Window], now_ms: i64) -> Vec<admin::Obstacle> {
        let obstacle = |reason: &str, until_ms: Option<i64>, family: &str, detail: &str| admin::Obstacle {
            reason: reason.to_owned(),
            until: until_ms.map(time::to_wire),
            family: family.to_owned(),
            detail: detail.to_owned(),
        };
        let mut found = Vec::new();
        match self.state.status(now_ms) {
            Status::Active => {}
            status => found.push(obstacle(status.as_str(), self.state.until_ms, "", &self.state.reason)),
        }
        if !self.schedulable {
            found.push(obstacle("unschedulable", None, "", "scheduling is switched off"));
        }
        if self.expires_at_ms.is_some_and(|end| end <= now_ms) {
            found.push(obstacle("expired", None, "", "its subscription has ended"));
        }
        for (family, block) in &self.state.family_blocks {
            if now_ms < block.until_ms {
                found.push(obstacle("family_blocked", Some(block.until_ms), family, &block.reason));
            }
        }
        for window in windows {
            let family = window.family.as_deref().unwrap_or_default();
            if let Some(until) = window.blocks(family, self.window_pause_percent, now_ms) {
                let share = window.used_permille.map(|used| format!(", {}.{} % used", used / 10, used % 10));
                let detail = format!(
                    "window {}: {}{}",
                    window.name,
                    window.status.as_str(),
                    share.unwrap_or_default()
                );
                found.push(obstacle("window_used_up", Some(until), family, &detail));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::FamilyBlock;

    #[test]
    fn everything_that_stands_against_it_is_named_with_its_end() {
        let mut account = Account { schedulable: false, expires_at_ms: Some(5), ..Account::default() };
        account.state.status = Status::RateLimited;
        account.state.until_ms = Some(9_000);
        let block = FamilyBlock { until_ms: 9_000, reason: "said so".into() };
        account.state.family_blocks.insert("opus".into(), block);
        let window = |family: Option<&str>, used: u32| Window {
            name: "7d".into(),
            family: family.map(str::to_owned),
            used_permille: Some(used),
            resets_at_ms: 9_000,
            ..Window::default()
        };
        let windows = [window(Some("sonnet"), 1000), window(None, 500)];
        let named = |now_ms| {
            let found = account.obstacles(&windows, now_ms);
            found.into_iter().map(|o| (o.reason, o.until.is_some(), o.family)).collect::<Vec<_>>()
        };
        let of = |reason: &str, until, family: &str| (reason.to_owned(), until, family.to_owned());
        assert_eq!(
            named(5),
            [
                of("rate_limited", true, ""),
                of("unschedulable", false, ""),
                of("expired", false, ""),
                of("family_blocked", true, "opus"),
                of("window_used_up", true, "sonnet"),
            ]
        );
        assert_eq!(named(9_000), [of("unschedulable", false, ""), of("expired", false, "")]);
        assert!(Account::default().obstacles(&[], 0).is_empty());
    }

    #[test]
    fn limits_alone_are_forgotten() {
        let mut state = crate::account::State::default();
        assert!(!state.reset_limits(), "nothing to forget");
        state.status = Status::Unauthorized;
        state.family_blocks.insert("opus".into(), FamilyBlock::default());
        assert!(state.reset_limits());
        assert_eq!((state.status, state.generation, state.family_blocks.len()), (Status::Unauthorized, 1, 0));
        (state.status, state.until_ms) = (Status::RateLimited, Some(7));
        assert!(state.reset_limits());
        assert_eq!((state.status, state.until_ms, state.generation), (Status::Active, None, 2));
    }
}
