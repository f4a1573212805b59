//! Usage windows that an upstream keeps of an account (five hours, a week, a week of one model family): when one keeps
//! the account from serving, how its use compares with its time, and when a change is worth telling. Platforms read
//! them from answers; nodes choose by them; the control plane shows them.

use prost_types::{Duration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::types::UsageWindow;

/// Best pace: as much of the window is left as of its time, or more.
pub const FULL_PACE: u32 = 8;
/// Share that is all, in thousandths.
const ALL: u32 = 1000;
/// A change of use that is worth telling, in thousandths.
const STEP: u32 = 10;
/// Resets that lie closer together are the same one, milliseconds: upstreams round them.
const SAME_RESET_MS: i64 = 60_000;
/// Longest name that is kept, bytes.
const MAX_NAME: usize = 64;

/// What the upstream says of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Room.
    #[default]
    Allowed,
    /// Little room.
    Warning,
    /// None.
    Rejected,
}

impl Status {
    /// By the upstream's word or ours; what is not known is room.
    pub fn parse(word: &str) -> Self {
        match word {
            "rejected" => Self::Rejected,
            "warning" | "allowed_warning" => Self::Warning,
            _ => Self::Allowed,
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Warning => "warning",
            Self::Rejected => "rejected",
        }
    }
}

/// A window as it was last seen. Times are Unix milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// Name, as the upstream's: `5h`, `7d`, `7d_opus`.
    pub name: String,
    /// Model family that it speaks of; `None`: all.
    pub family: Option<String>,
    /// What the upstream says.
    pub status: Status,
    /// Share that is used, in thousandths; `None`: not told.
    pub used_permille: Option<u32>,
    /// When it starts anew.
    pub resets_at_ms: i64,
    /// How long it is, milliseconds; 0: not known.
    pub length_ms: i64,
    /// When that was seen.
    pub seen_at_ms: i64,
    /// Whether the account is served beyond it all the same.
    pub overage: bool,
}

impl Window {
    /// Whether it still runs, so that what was seen of it holds.
    pub fn runs(&self, now_ms: i64) -> bool {
        now_ms < self.resets_at_ms
    }

    /// Until when it keeps the account from serving models of a family, if it does. `pause_percent`: the share from
    /// which an operator wants it so; 0: 100.
    pub fn blocks(&self, model_family: &str, pause_percent: u32, now_ms: i64) -> Option<i64> {
        let speaks_of_it = self.family.as_deref().is_none_or(|family| family == model_family);
        if !speaks_of_it || !self.runs(now_ms) {
            return None;
        }
        let used = self.used_permille.unwrap_or(0);
        let paused = (1..100).contains(&pause_percent) && used >= pause_percent * 10;
        let used_up = self.status == Status::Rejected || used >= ALL;
        (paused || (used_up && !self.overage)).then_some(self.resets_at_ms)
    }

    /// How well what is left of it goes with what is left of its time, from 1 (far too much is used) to
    /// [`FULL_PACE`]: the weight of an account at a choice, so that windows are spent evenly.
    pub fn pace(&self, now_ms: i64) -> u32 {
        let (Some(used), true) = (self.used_permille, self.runs(now_ms)) else { return FULL_PACE };
        if self.length_ms <= 0 {
            return FULL_PACE;
        }
        let left = u64::from(ALL.saturating_sub(used));
        let time_left = (self.resets_at_ms - now_ms).min(self.length_ms) as u64;
        // At least a twentieth of the time, so that the last minutes do not divide by nothing.
        let time = (time_left * u64::from(ALL) / self.length_ms as u64).max(50);
        (u64::from(FULL_PACE) * left / time).clamp(1, u64::from(FULL_PACE)) as u32
    }

    /// Whether it says something else than what is known, so much that others should hear of it.
    pub fn is_news_to(&self, known: &Self) -> bool {
        let used = |window: &Self| window.used_permille.unwrap_or(0);
        self.status != known.status
            || self.overage != known.overage
            || self.resets_at_ms.abs_diff(known.resets_at_ms) > SAME_RESET_MS as u64
            || used(self).abs_diff(used(known)) >= STEP
            || (used(self) >= ALL) != (used(known) >= ALL)
    }

    /// From the wire; `None` when it has no name or no end.
    pub fn from_wire(wire: &UsageWindow) -> Option<Self> {
        let named = !wire.name.is_empty() && wire.name.len() <= MAX_NAME && wire.family.len() <= MAX_NAME;
        let length = wire.length.as_ref().map_or(0, |length| length.seconds.saturating_mul(1000));
        named.then_some(Self {
            name: wire.name.clone(),
            family: (!wire.family.is_empty()).then(|| wire.family.clone()),
            status: Status::parse(&wire.status),
            used_permille: wire.used_permille.map(|used| used.min(10 * ALL)),
            resets_at_ms: ms(wire.resets_at.as_ref()?),
            length_ms: length.max(0),
            seen_at_ms: wire.seen_at.as_ref().map_or(0, ms),
            overage: wire.overage,
        })
    }

    /// On the wire.
    pub fn to_wire(&self) -> UsageWindow {
        UsageWindow {
            name: self.name.clone(),
            family: self.family.clone().unwrap_or_default(),
            status: self.status.as_str().to_owned(),
            used_permille: self.used_permille,
            resets_at: Some(timestamp(self.resets_at_ms)),
            length: (self.length_ms > 0).then_some(Duration { seconds: self.length_ms / 1000, nanos: 0 }),
            seen_at: Some(timestamp(self.seen_at_ms)),
            overage: self.overage,
        }
    }
}

/// The smallest pace of those windows that speak of a model family.
pub fn pace(windows: &[Window], model_family: &str, now_ms: i64) -> u32 {
    let speaks_of_it =
        |window: &&Window| window.family.as_deref().is_none_or(|family| family == model_family);
    windows.iter().filter(speaks_of_it).map(|window| window.pace(now_ms)).min().unwrap_or(FULL_PACE)
}

fn ms(time: &Timestamp) -> i64 {
    time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos / 1_000_000))
}

fn timestamp(ms: i64) -> Timestamp {
    Timestamp { seconds: ms.div_euclid(1000), nanos: (ms.rem_euclid(1000) * 1_000_000) as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn window(used: u32, left_ms: i64) -> Window {
        Window {
            name: "5h".into(),
            used_permille: Some(used),
            resets_at_ms: left_ms,
            length_ms: 5 * HOUR,
            ..Window::default()
        }
    }

    #[test]
    fn a_window_that_is_used_up_blocks_what_it_speaks_of_until_it_starts_anew() {
        let mut full = window(1000, HOUR);
        assert_eq!(full.blocks("opus", 0, 0), Some(HOUR));
        assert_eq!(full.blocks("opus", 0, HOUR), None, "it has started anew");
        full.family = Some("opus".into());
        assert_eq!((full.blocks("opus", 0, 0), full.blocks("sonnet", 0, 0)), (Some(HOUR), None));
        full.overage = true;
        assert_eq!(full.blocks("opus", 0, 0), None, "served beyond it");
        assert_eq!(full.blocks("opus", 90, 0), Some(HOUR), "an operator's own bound holds all the same");
        let rejected = Window { status: Status::Rejected, used_permille: None, ..window(0, HOUR) };
        assert_eq!(rejected.blocks("opus", 0, 0), Some(HOUR));
        assert_eq!(window(899, HOUR).blocks("opus", 90, 0), None);
    }

    #[test]
    fn the_pace_compares_what_is_left_with_the_time_that_is_left() {
        assert_eq!(window(0, 5 * HOUR).pace(0), FULL_PACE);
        assert_eq!(window(500, 5 * HOUR / 2).pace(0), FULL_PACE, "on time");
        assert_eq!(window(500, 5 * HOUR).pace(0), FULL_PACE / 2, "half of it used at once");
        assert_eq!(window(990, 5 * HOUR).pace(0), 1);
        assert_eq!(window(900, HOUR / 10).pace(0), FULL_PACE, "about to start anew: spend it");
        assert_eq!(window(990, HOUR).pace(2 * HOUR), FULL_PACE, "over");
        let of_opus = Window { family: Some("opus".into()), ..window(990, 5 * HOUR) };
        let both = [window(500, 5 * HOUR), of_opus];
        assert_eq!((pace(&both, "opus", 0), pace(&both, "sonnet", 0), pace(&[], "opus", 0)), (1, 4, 8));
    }

    #[test]
    fn small_changes_are_no_news() {
        let known = window(500, HOUR);
        assert!(!window(505, HOUR + 1000).is_news_to(&known));
        assert!(window(510, HOUR).is_news_to(&known) && window(500, 6 * HOUR).is_news_to(&known));
        assert!(Window { status: Status::Warning, ..known.clone() }.is_news_to(&known));
        assert!(window(1000, HOUR).is_news_to(&window(995, HOUR)), "used up is always news");
    }

    #[test]
    fn the_wire_keeps_it() {
        let whole = Window {
            family: Some("opus".into()),
            status: Status::Warning,
            seen_at_ms: 1_234,
            overage: true,
            ..window(730, 99 * HOUR)
        };
        assert_eq!(Window::from_wire(&whole.to_wire()), Some(whole));
        assert_eq!(Window::from_wire(&UsageWindow::default()), None);
    }
}
