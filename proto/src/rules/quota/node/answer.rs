//! What the node makes of answers. Messages may be lost, doubled, late and out of order; each rule below says against
//! which of these it stands.

use super::{Answered, Dry, Exhausted, Grant, Lease};

/// The part of a lease's life in which the node uses it: the rest is for clocks that run at different speeds.
const USABLE: (i64, i64) = (8, 10);
/// A part of a lease's life after which it is renewed.
const RENEW: (i64, i64) = (3, 10);
/// How long "nothing is free, and only a return helps" is believed without a push, milliseconds.
const DRY_MS: i64 = 100;
/// How long no further reserve is asked for after one was refused, milliseconds.
const NO_RESERVE_MS: i64 = 1000;

impl Lease {
    /// The store's view of this lease, in an answer.
    pub fn on_grant(&mut self, answered: Answered, grant: &Grant, now: i64) {
        // Late, to a value that was forgotten since: its totals may be older than what was used.
        if self.first_asked.is_none_or(|first| answered.sequence < first) {
            return;
        }
        self.heard = self.heard.max(answered.sequence);
        let before = self.granted;
        if !self.place(answered, grant, now) {
            return;
        }
        let lives = |part: (i64, i64)| answered.sent_at + answered.ttl_ms / part.1 * part.0;
        self.believed = answered.sequence;
        self.valid_until = self.valid_until.max(lives(USABLE));
        self.renew_at = lives(RENEW).max(now + 1);
        self.confirmed =
            (grant.granted, grant.spent, grant.returned) == (self.granted, self.spent, self.returned);
        if self.pending.is_some_and(|pending| pending.sequence == answered.sequence) {
            let reserve = self.pending.is_some_and(|pending| pending.waiting == 0);
            if reserve && self.granted <= before {
                self.reserve_after = now + NO_RESERVE_MS;
            }
            self.pending = None;
        }
        // Of amounts a little may be had, and what was asked for not.
        if self.idle() > 0 && !self.meter.settles_later() {
            self.dry = None;
        }
    }

    /// Puts the granted total where it belongs; `false`: it is not believed.
    fn place(&mut self, answered: Answered, grant: &Grant, now: i64) -> bool {
        let ends_at = (grant.ends_in_ms > 0).then(|| answered.sent_at.saturating_add(grant.ends_in_ms));
        let over = ends_at.is_some_and(|end| end <= now);
        if grant.generation < self.generation || (over && grant.generation == self.generation) {
            return false; // Of a generation or window that has ended.
        }
        let same = grant.generation == self.generation && *grant.window_id == *self.window_id;
        if same && self.adopted {
            if answered.sequence < self.believed {
                return false; // Overtaken by a newer answer.
            }
            self.granted = grant.granted;
            // Only an operator gives back for a node; then it is given back.
            self.returned = self.returned.max(grant.returned);
            // Every answer's end lies before the true one; the latest of them is the closest.
            self.ends_at = self.ends_at.max(ends_at);
            return true;
        }
        let windowless = self.meter.has_window() && grant.window_id.is_empty();
        if self.adopted && grant.generation == self.generation {
            // Within a generation windows follow each other: an answer without window, or of one that began earlier, is
            // an older one, however late or early it was asked for.
            let follows = self.window_id.is_empty() || start_of(&grant.window_id) > start_of(&self.window_id);
            if windowless || !follows {
                return false;
            }
        }
        self.replace(grant, ends_at);
        true
    }

    /// Another lease takes this one's place. What the store counts as used and returned is taken over: a value that was
    /// forgotten had it all confirmed.
    fn replace(&mut self, grant: &Grant, ends_at: Option<i64>) {
        self.stamp += 1;
        self.window_id = grant.window_id.as_str().into();
        (self.generation, self.ends_at) = (grant.generation, ends_at);
        (self.granted, self.spent, self.returned) = (grant.granted, grant.spent, grant.returned);
        (self.in_use, self.taken, self.owed) = (0, 0, 0);
        (self.adopted, self.dirty, self.dry, self.short) = (true, false, None, None);
        self.valid_until = i64::MIN;
    }

    /// The store had too little free.
    pub fn on_exhausted(&mut self, answered: Answered, said: Exhausted, now: i64) {
        self.heard = self.heard.max(answered.sequence);
        if self.pending.is_some_and(|pending| pending.sequence == answered.sequence) {
            self.pending = None;
        } else if answered.sequence < self.believed {
            return;
        }
        let (mut until, mut hard) = match said.retry_in_ms {
            0 => (now + DRY_MS, true),
            // A whole round of asking others is worth waiting for; anything longer is not.
            soon @ 1..=DRY_MS => ((answered.sent_at + soon).max(now + 1), false),
            later => (answered.sent_at.saturating_add(later), true),
        };
        if self.hinted_at >= answered.sent_at {
            // Something was given back after the question was asked.
            (until, hard) = (now, false);
        }
        let resets_at = (said.resets_in_ms > 0).then(|| answered.sent_at.saturating_add(said.resets_in_ms));
        let free = said.amount.saturating_sub(said.used).saturating_sub(said.leased).max(0);
        self.short = Some((now, said));
        self.dry = Some(Dry { until, free, hard, said, resets_at });
    }

    /// Pushed: asking again makes sense.
    pub fn on_hint(&mut self, now: i64) {
        self.hinted_at = now;
        self.dry = None;
    }
}

/// When a window began, from its id; windows without a start come before all others.
fn start_of(window_id: &str) -> i64 {
    window_id.rsplit_once(':').and_then(|(_, start)| start.parse().ok()).unwrap_or(i64::MIN)
}
