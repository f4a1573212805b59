//! What an answer says of its account, taken to heart by this node and told on where it is news.

use proto::rules::{upstream_window::Window, verdict::Verdict};
use snapshot::Account;

use super::settle::Settlement;

/// Takes a verdict to heart, and tells the control plane if it changed something.
pub fn judge(life: &Settlement, account: &Account, verdict: &Verdict, status: u16, error_type: &str) {
    let node = &life.worker.node;
    let now_ms = process::clock::unix_ms();
    let began_ms = life.attempt_began_ms().unwrap_or(now_ms);
    if let Some(event) = node.scheduler.judge(account, verdict, began_ms, now_ms) {
        tracing::info!(account = %account.id, state = event.state, status, error_type, "an account changed its state");
        let reason = if error_type.is_empty() { verdict.name() } else { error_type };
        node.events.report(event.into_wire(account.id.as_str(), now_ms, status, reason.to_owned()));
    }
}

/// Takes note of the usage windows that an answer told of at a time, Unix milliseconds.
pub fn observe(life: &Settlement, account: &Account, mut windows: Vec<Window>, now_ms: i64) {
    windows.iter_mut().for_each(|window| window.seen_at_ms = now_ms);
    let node = &life.worker.node;
    if let Some(event) = node.scheduler.observe(account, windows) {
        node.events.report(event.into_wire(account.id.as_str(), now_ms, 0, String::new()));
    }
}
