//! The breaker: after a few failures in a row calls are refused at once for a while, so that a slow store costs its
//! callers nothing but an error. Pure: the time is a parameter.

use std::time::{Duration, Instant};

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// How long it stays open at first; doubled each time a probe fails.
const OPEN: Duration = Duration::from_millis(200);
/// How long it stays open at most.
const LONGEST: Duration = Duration::from_secs(2);

/// Counts failures and says who may call.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// Until when calls are refused.
    open_until: Option<Instant>,
    open_for: Duration,
}

impl Breaker {
    /// Whether a call may be made. When the refusing ends, one call is let through, and the others once it succeeded.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        match self.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.open_until = Some(now + self.open_for);
                true
            }
        }
    }

    /// A call was answered. Whether that closed it.
    pub(super) fn succeeded(&mut self) -> bool {
        let was_open = self.open_until.is_some();
        *self = Self::default();
        was_open
    }

    /// A call was not answered. Whether that opened it.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES {
            return false;
        }
        let opened = self.open_until.is_none();
        self.open_for = if opened { OPEN } else { (self.open_for * 2).min(LONGEST) };
        self.open_until = Some(now + self.open_for);
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_with_a_success() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        for _ in 1..FAILURES {
            assert!(!breaker.failed(start));
        }
        assert!(breaker.admits(start));
        assert!(breaker.failed(start));
        assert!(!breaker.admits(start + OPEN / 2));
        assert!(breaker.admits(start + OPEN), "one probe");
        assert!(!breaker.admits(start + OPEN), "and no other");
        assert!(breaker.succeeded());
        assert!(breaker.admits(start + OPEN));
    }

    #[test]
    fn it_stays_open_longer_each_time_but_not_for_ever() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES + 10 {
            breaker.failed(now);
        }
        assert!(!breaker.admits(now + LONGEST - Duration::from_millis(1)));
        now += LONGEST;
        assert!(breaker.admits(now));
    }
}
