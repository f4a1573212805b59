//! Fields of a counter row, and their sums as the admin API shows them.

use proto::{
    admin::UsageTotals,
    rules::money,
    types::{Attempt, TokenUsage},
};
use store::Row;

/// Requests.
pub const REQUESTS: &str = "r";
/// Of them: answered with an error, or broken off.
pub const FAILED: &str = "f";
/// Requests whose usage holds an estimate.
pub const ESTIMATED: &str = "e";
/// Requests that used tokens without a price.
pub const UNPRICED: &str = "np";
/// Those tokens.
pub const UNPRICED_TOKENS: &str = "nt";
/// Attempts.
pub const ATTEMPTS: &str = "a";
/// Cost before multipliers, nano-dollars.
pub const REAL: &str = "cr";
/// Cost after multipliers, nano-dollars.
pub const RATED: &str = "cx";
/// Sum of times to first byte, microseconds.
pub const FIRST_BYTE: &str = "lf";
/// Sum of total times, microseconds.
pub const TOTAL_TIME: &str = "lt";
/// When it was last used, Unix milliseconds: raised, not added.
pub const LAST_USED: &str = "u";

type Kind = (&'static str, fn(&TokenUsage) -> i64, fn(&mut TokenUsage) -> &mut i64);

/// Tokens by kind: field, reading, writing.
const TOKENS: [Kind; 11] = [
    ("ti", |t| t.input, |t| &mut t.input),
    ("to", |t| t.output, |t| &mut t.output),
    ("tr", |t| t.cache_read, |t| &mut t.cache_read),
    ("t5", |t| t.cache_write_5m, |t| &mut t.cache_write_5m),
    ("t1", |t| t.cache_write_1h, |t| &mut t.cache_write_1h),
    ("th", |t| t.reasoning, |t| &mut t.reasoning),
    ("tai", |t| t.audio_input, |t| &mut t.audio_input),
    ("tao", |t| t.audio_output, |t| &mut t.audio_output),
    ("tii", |t| t.image_input, |t| &mut t.image_input),
    ("tio", |t| t.image_output, |t| &mut t.image_output),
    ("ts", |t| t.server_tool_calls, |t| &mut t.server_tool_calls),
];

/// What one record adds to one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Share {
    /// 1, or 0 where the row counts none.
    pub requests: i64,
    /// Whether it failed.
    pub failed: bool,
    /// Whether it holds an estimate.
    pub estimated: bool,
    /// Tokens of them without a price.
    pub unpriced_tokens: i64,
    /// Whether any of them used something without a price.
    pub unpriced: bool,
    /// Attempts.
    pub attempts: i64,
    /// Tokens of them.
    pub tokens: TokenUsage,
    /// Real cost of them, nano-dollars.
    pub real: i64,
    /// Rated cost of them, nano-dollars.
    pub rated: i64,
    /// Time to first byte, microseconds.
    pub first_byte_us: i64,
    /// Total time, microseconds.
    pub total_us: i64,
}

impl Share {
    /// Adds one attempt's tokens and cost.
    pub fn attempt(&mut self, attempt: &Attempt) {
        self.attempts += 1;
        if let Some(usage) = &attempt.usage {
            self.tokens.add(usage);
        }
        if attempt.is_unpriced() {
            let tokens = attempt.usage.as_ref().map_or(0, TokenUsage::all);
            self.unpriced = true;
            self.unpriced_tokens = self.unpriced_tokens.saturating_add(tokens);
        }
        if let Some(cost) = &attempt.cost {
            self.real = self.real.saturating_add(cost.real);
            self.rated = self.rated.saturating_add(cost.rated);
        }
    }

    /// Fields that are not zero. Nothing is ever counted downwards.
    pub fn fields(&self) -> Vec<(&'static str, i64)> {
        let single = [
            (REQUESTS, self.requests),
            (FAILED, i64::from(self.failed)),
            (ESTIMATED, i64::from(self.estimated)),
            (UNPRICED, i64::from(self.unpriced)),
            (UNPRICED_TOKENS, self.unpriced_tokens),
            (ATTEMPTS, self.attempts),
            (REAL, self.real),
            (RATED, self.rated),
            (FIRST_BYTE, self.first_byte_us),
            (TOTAL_TIME, self.total_us),
        ];
        let tokens = TOKENS.iter().map(|(field, read, _)| (*field, read(&self.tokens)));
        single.into_iter().chain(tokens).filter(|(_, by)| *by > 0).collect()
    }
}

/// Adds a row as the store has it to sums.
pub fn add(totals: &mut UsageTotals, row: &Row) {
    let of = |field: &str| row.get(field).copied().unwrap_or_default();
    totals.requests += of(REQUESTS);
    totals.failed += of(FAILED);
    totals.estimated += of(ESTIMATED);
    totals.unpriced_requests += of(UNPRICED);
    totals.unpriced_tokens += of(UNPRICED_TOKENS);
    totals.attempts += of(ATTEMPTS);
    totals.real_cost += of(REAL);
    totals.rated_cost += of(RATED);
    totals.first_byte_us += of(FIRST_BYTE);
    totals.total_us += of(TOTAL_TIME);
    let tokens = totals.tokens.get_or_insert_with(TokenUsage::default);
    for (field, _, slot) in TOKENS {
        let sum = slot(tokens);
        *sum = sum.saturating_add(of(field));
    }
    totals.all_tokens = tokens.all();
    totals.rated_cost_usd = totals.rated_cost as f64 / money::PER_DOLLAR as f64;
}

/// Adds sums to sums.
pub fn merge(totals: &mut UsageTotals, other: &UsageTotals) {
    totals.requests += other.requests;
    totals.failed += other.failed;
    totals.estimated += other.estimated;
    totals.unpriced_requests += other.unpriced_requests;
    totals.unpriced_tokens += other.unpriced_tokens;
    totals.attempts += other.attempts;
    totals.real_cost += other.real_cost;
    totals.rated_cost += other.rated_cost;
    totals.first_byte_us += other.first_byte_us;
    totals.total_us += other.total_us;
    let tokens = totals.tokens.get_or_insert_with(TokenUsage::default);
    if let Some(more) = &other.tokens {
        tokens.add(more);
    }
    totals.all_tokens = tokens.all();
    totals.rated_cost_usd = totals.rated_cost as f64 / money::PER_DOLLAR as f64;
}
