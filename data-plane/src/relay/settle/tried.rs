//! One try of a request at one account, as it is kept until the request is settled.

use std::sync::Arc;

use proto::{
    rules::{ids::GroupId, usage},
    types::{Cost, TokenUsage},
};
use snapshot::Account;
use uuid::Uuid;

/// A try.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) id: Uuid,
    pub(super) account: Arc<Account>,
    pub(super) group: Option<GroupId>,
    /// Where the account came from.
    pub(super) choice: &'static str,
    pub(super) model_sent: String,
    /// Unix microseconds.
    pub(super) started_us: i64,
    pub(super) first_event_us: i64,
    pub(super) total_us: i64,
    pub(super) model_served: String,
    pub(super) service_tier: String,
    pub(super) upstream_request_id: String,
    /// None while it is under way.
    pub(super) usage: Option<TokenUsage>,
    pub(super) cost: Option<Cost>,
    pub(super) status: u16,
    pub(super) outcome: &'static str,
    pub(super) verdict: &'static str,
    pub(super) estimated: bool,
}

impl Tried {
    pub(super) fn begun(
        id: Uuid,
        account: Arc<Account>,
        group: Option<GroupId>,
        model_sent: String,
        now_us: i64,
    ) -> Self {
        Self {
            id,
            account,
            group,
            choice: "",
            model_sent,
            started_us: now_us,
            first_event_us: 0,
            total_us: 0,
            model_served: String::new(),
            service_tier: String::new(),
            upstream_request_id: String::new(),
            usage: None,
            cost: None,
            status: 0,
            outcome: "",
            verdict: "",
            estimated: false,
        }
    }

    /// As [`proto::types::Attempt::is_unpriced`].
    pub(super) fn is_unpriced(&self) -> bool {
        usage::unpriced(self.usage.as_ref(), self.cost.as_ref())
    }

    /// The group's id; empty: none.
    pub(super) fn group(&self) -> &str {
        self.group.as_ref().map_or("", GroupId::as_str)
    }
}
