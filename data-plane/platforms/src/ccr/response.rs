//! The answer: passed on as it is, read for what it says of the account.

use http::{HeaderMap, StatusCode};

use crate::{
    headers,
    platform::AccountView,
    seen::{self, Seen},
};

pub(super) fn headers(account: &AccountView<'_>, headers: &HeaderMap) -> HeaderMap {
    headers::answer(account, headers)
}

pub(super) fn seen(status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen {
    seen::anthropic_like(status, headers, body_head, now_ms)
}
