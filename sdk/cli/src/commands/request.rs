//! `request list|explain`.

use anyhow::Result;
use sdk::{
    admin,
    types::{Attempt, UsageRecord},
};

use super::Context;
use crate::output::{self, Shown, count, money, time};

/// Verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Newest records
    List {
        /// Only this key's
        #[arg(long, default_value = "")]
        key: String,
        /// Only with an attempt at this account
        #[arg(long, default_value = "")]
        account: String,
        /// Only those that asked for this model
        #[arg(long, default_value = "")]
        model: String,
        /// ok, client_gone, upstream_error, interrupted or unknown
        #[arg(long, default_value = "")]
        outcome: String,
        /// How many
        #[arg(long, default_value_t = 50)]
        limit: i32,
    },
    /// One record, with how it was decided
    Explain {
        /// Request id, as the client was told in the request-id header
        id: String,
    },
}

/// Runs a verb.
pub async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::List { key, account, model, outcome, limit } => {
            let request = admin::ListRequestsRequest {
                page_size: limit,
                key_id: key,
                account_id: account,
                model,
                outcome,
                ..Default::default()
            };
            let answer = context
                .client
                .requests()
                .list_requests(request)
                .await
                .map_err(sdk::Error::from)?
                .into_inner();
            let rows = answer.requests.iter().map(row).collect();
            let headings =
                vec!["ID", "AT", "MODEL", "CLIENT", "STATUS", "OUTCOME", "TRIES", "TOKENS", "COST", "TIME"];
            context.show(context.json("crs.admin.v1.ListRequestsResponse", &answer)?, headings, rows)
        }
        Command::Explain { id } => {
            let answer = context.client.requests().get_request(admin::GetRequestRequest { id }).await;
            explain(context, &answer.map_err(sdk::Error::from)?.into_inner())
        }
    }
}

fn row(record: &UsageRecord) -> Vec<String> {
    let tokens = record.attempts.iter().filter_map(|attempt| attempt.usage).map(|usage| usage.all()).sum();
    vec![
        record.request_id.clone(),
        time(record.started_at.as_ref()),
        record.model.clone(),
        record.client_kind.clone(),
        record.status.to_string(),
        format!("{}{}", record.outcome, if record.estimated { " (estimated)" } else { "" }),
        record.attempts.len().to_string(),
        count(tokens),
        cost(record),
        format!("{} ms", record.total_us / 1000),
    ]
}

/// What a request cost. Tokens of a model without a price are not free: that is said, where 0 would hide it.
fn cost(record: &UsageRecord) -> String {
    let costs = record.attempts.iter().filter_map(|attempt| attempt.cost.as_ref()).map(|cost| cost.rated);
    match (costs.sum(), record.attempts.iter().any(Attempt::is_unpriced)) {
        (sum, false) => money(sum),
        (0, true) => "no price".to_owned(),
        (sum, true) => format!("{} and more", money(sum)),
    }
}

fn explain(context: &Context, record: &UsageRecord) -> Result<()> {
    let line = |what: &str, value: String| vec![what.to_owned(), value];
    let explanation = record.explanation.clone().unwrap_or_default();
    let mut rows = vec![
        line("request", record.request_id.clone()),
        line("key", record.key_id.clone()),
        line("asked", format!("{} {} for {}", record.dialect, record.operation, record.model)),
        line("config", explanation.revision.clone()),
        line("session", explanation.session_source.clone()),
        line("choice", explanation.choice.clone()),
    ];
    for limit in &explanation.limits {
        let text = format!(
            "took {} of {} {}; {} left in the lease",
            limit.taken, limit.amount, limit.meter, limit.lease_left
        );
        rows.push(line("limit", text));
    }
    for candidate in &explanation.candidates {
        let why = if candidate.reason.is_empty() { "chosen" } else { &candidate.reason };
        rows.push(line("account", format!("{}: {why}", candidate.account_id)));
    }
    for (reason, number) in &explanation.passed_over {
        rows.push(line("accounts", format!("{number} more: {reason}")));
    }
    for attempt in &record.attempts {
        let cost = attempt.cost.clone().unwrap_or_default();
        let text = format!(
            "{} at {} as {}: HTTP {}, {}, first event {} ms, {} ms in all\n{}",
            attempt.id,
            attempt.account_id,
            attempt.model_sent,
            attempt.status,
            attempt.outcome,
            attempt.first_event_us / 1000,
            attempt.total_us / 1000,
            match (attempt.is_unpriced(), cost.formula.as_str()) {
                (true, _) => "no price for this model (see `crsctl settings get`, unknown_price)".to_owned(),
                (false, "") => money(cost.rated),
                (false, formula) => format!("{formula} = {}", money(cost.rated)),
            },
        );
        rows.push(line("attempt", text));
    }
    let json = context.json("crs.types.v1.UsageRecord", record)?;
    let names = vec![record.request_id.clone()];
    output::print(context.format, Shown { json, table: (vec!["WHAT", "HOW"], rows), names, note: None })
}

#[cfg(test)]
mod tests {
    use sdk::types::{Cost, TokenUsage};

    use super::*;

    #[test]
    fn tokens_without_a_price_are_not_shown_as_free() {
        let attempt = |input, price_model: &str, rated| Attempt {
            usage: Some(TokenUsage { input, ..TokenUsage::default() }),
            cost: Some(Cost { price_model: price_model.into(), rated, ..Cost::default() }),
            ..Attempt::default()
        };
        let told = |attempts| cost(&UsageRecord { attempts, ..UsageRecord::default() });
        assert_eq!(told(vec![attempt(10, "", 0)]), "no price");
        assert_eq!(told(vec![attempt(0, "", 0)]), money(0));
        assert_eq!(told(vec![attempt(0, "", 0), attempt(10, "m", 30_000)]), money(30_000));
        assert_eq!(
            told(vec![attempt(5, "", 0), attempt(10, "m", 30_000)]),
            format!("{} and more", money(30_000))
        );
    }
}
