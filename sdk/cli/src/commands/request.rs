//! `request list|explain|tail`.

mod explain;
mod tail;

use anyhow::Result;
use sdk::{
    admin,
    types::{Attempt, UsageRecord},
};

use super::{Context, key_duration};
use crate::output::{count, money, time};

/// Records asked for in one page, at most.
const PAGE: i32 = 200;

/// Which records.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Filter {
    /// Only this key's (id)
    #[arg(long, default_value = "")]
    key: String,
    /// Only with an attempt at this account (id)
    #[arg(long, default_value = "")]
    account: String,
    /// Only those that asked for this model
    #[arg(long, default_value = "")]
    model: String,
    /// ok, client_gone, upstream_error, interrupted, unknown or refused
    #[arg(long, default_value = "")]
    outcome: String,
    /// Only those whose client got this HTTP status
    #[arg(long, default_value_t = 0)]
    status: i32,
    /// Only of this client kind, such as claude_code
    #[arg(long, default_value = "")]
    client: String,
    /// Only those that this node served (id)
    #[arg(long, default_value = "")]
    node: String,
}

/// Verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Newest records, those of refused requests among them
    List {
        /// Which
        #[command(flatten)]
        filter: Filter,
        /// Only those that began so long ago at most, such as 30m or 7d, or since a time such as 2026-01-31T08:00:00Z
        #[arg(long, value_parser = moment)]
        since: Option<prost_types::Timestamp>,
        /// Only those that began before: as --since
        #[arg(long, value_parser = moment)]
        until: Option<prost_types::Timestamp>,
        /// How many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// One record, with how it was decided: limits, accounts, attempts, price
    Explain {
        /// Request id, as the client was told in the request-id header
        id: String,
    },
    /// Records as they arrive, until interrupted
    Tail {
        /// Which
        #[command(flatten)]
        filter: Filter,
        /// End after so many
        #[arg(long)]
        limit: Option<usize>,
    },
}

/// Runs a verb.
pub async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::List { filter, since, until, limit } => list(context, filter, since, until, limit).await,
        Command::Explain { id } => {
            let answer = context.client.requests().get_request(admin::GetRequestRequest { id }).await;
            explain::show(context, &answer.map_err(sdk::Error::from)?.into_inner())
        }
        Command::Tail { filter, limit } => tail::follow(context, filter, limit).await,
    }
}

/// Page after page until there are enough: a page may be short though more are to come.
async fn list(
    context: &Context,
    filter: Filter,
    start: Option<prost_types::Timestamp>,
    end: Option<prost_types::Timestamp>,
    limit: usize,
) -> Result<()> {
    let mut request = admin::ListRequestsRequest {
        key_id: filter.key,
        account_id: filter.account,
        model: filter.model,
        outcome: filter.outcome,
        status: filter.status,
        client_kind: filter.client,
        node_id: filter.node,
        with_refused: true,
        start,
        end,
        ..Default::default()
    };
    let mut all = admin::ListRequestsResponse::default();
    let mut client = context.client.requests();
    while all.requests.len() < limit {
        request.page_size = i32::try_from(limit - all.requests.len()).unwrap_or(PAGE).min(PAGE);
        let page = client.list_requests(request.clone()).await.map_err(sdk::Error::from)?.into_inner();
        all.requests.extend(page.requests);
        all.next_page_token.clone_from(&page.next_page_token);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let rows = all.requests.iter().map(row).collect();
    context.show(context.json("crs.admin.v1.ListRequestsResponse", &all)?, HEADINGS.to_vec(), rows)
}

const HEADINGS: [&str; 10] =
    ["ID", "AT", "MODEL", "CLIENT", "STATUS", "OUTCOME", "TRIES", "TOKENS", "COST", "TIME"];

fn row(record: &UsageRecord) -> Vec<String> {
    let tokens = record.attempts.iter().filter_map(|attempt| attempt.usage).map(|usage| usage.all()).sum();
    vec![
        record.request_id.clone(),
        time(record.started_at.as_ref()),
        record.model.clone(),
        record.client_kind.clone(),
        record.status.to_string(),
        outcome(record),
        record.attempts.len().to_string(),
        count(tokens),
        cost(record),
        format!("{} ms", record.total_us / 1000),
    ]
}

fn outcome(record: &UsageRecord) -> String {
    match &record.refusal {
        Some(refusal) => format!("{}: {}", record.outcome, refusal.reason),
        None if record.estimated => format!("{} (estimated)", record.outcome),
        None => record.outcome.clone(),
    }
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

/// A moment: so long ago, or a time of RFC 3339.
fn moment(text: &str) -> Result<prost_types::Timestamp, String> {
    if let Ok(ago) = key_duration(text) {
        let seconds = process::clock::unix_ms() / 1000 - ago.seconds;
        return Ok(prost_types::Timestamp { seconds, nanos: 0 });
    }
    text.parse().map_err(|_| {
        format!("{text:?} is neither a duration such as 30m nor a time such as 2026-01-31T08:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use sdk::types::{Cost, Refusal, TokenUsage};

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

    #[test]
    fn moments_are_ages_or_times() {
        assert_eq!(moment("1970-01-01T00:01:00Z").unwrap().seconds, 60);
        let ago = process::clock::unix_ms() / 1000 - moment("1h").unwrap().seconds;
        assert!((3_600..3_610).contains(&ago), "{ago}");
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn a_refused_request_says_why() {
        let refusal = Refusal { reason: "limit".into(), ..Refusal::default() };
        let record =
            UsageRecord { outcome: "refused".into(), refusal: Some(refusal), ..UsageRecord::default() };
        assert_eq!(outcome(&record), "refused: limit");
    }
}
