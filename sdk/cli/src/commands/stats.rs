//! `stats`: usage and cost by anything; and `status`.

use anyhow::Result;
use sdk::admin::{self, StatsRange, TopEntry, UsageReport, UsageTotals};

use super::Context;
use crate::{
    failure::Usage,
    output::{self, Shown, count, money, time, time_in_zone},
};

/// A range of time.
#[derive(Debug, clap::Args)]
pub struct Range {
    /// today, yesterday, 7d, 30d, month or total
    #[arg(long, default_value = "")]
    range: String,
    /// Begin instead of a named range, such as 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// End, exclusive
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// minute, hour, day, month or total
    #[arg(long, default_value = "")]
    step: String,
}

impl Range {
    /// As the API takes it.
    pub fn wire(self) -> Result<StatsRange, Usage> {
        let at = |text: Option<String>| {
            text.map(|text| match text.parse::<jiff::Timestamp>() {
                Ok(at) => {
                    Ok(prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() })
                }
                Err(_) => Err(Usage(format!("{text:?} is no time; write 2026-11-01T00:00:00Z"))),
            })
            .transpose()
        };
        Ok(StatsRange { start: at(self.start)?, end: at(self.end)?, preset: self.range, step: self.step })
    }
}

/// Which statistics.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to show
    #[command(subcommand)]
    command: Option<Command>,
    /// The range
    #[command(flatten)]
    range: Range,
}

/// Verbs; without one: keys, accounts and models of the range.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Sums and steps, of everything or of one key, account, model, user, tag or platform
    Usage {
        /// Such as key=ID or model=NAME
        #[arg(value_name = "DIMENSION=ID")]
        of: Option<String>,
        /// The range
        #[command(flatten)]
        range: Range,
    },
    /// The largest keys, accounts, models, users, tags or platforms
    Top {
        /// key, account, model, user, tag, platform or group
        #[arg(default_value = "model")]
        dimension: String,
        /// rated_cost, requests or tokens
        #[arg(long, default_value = "rated_cost")]
        order_by: String,
        /// How many
        #[arg(long, default_value_t = 10)]
        limit: i32,
        /// The range
        #[command(flatten)]
        range: Range,
    },
}

/// Runs a verb.
pub async fn run(context: &Context, arguments: Arguments) -> Result<()> {
    match arguments.command {
        None => summary(context, arguments.range.wire()?).await,
        Some(Command::Usage { of, range }) => usage(context, of, range.wire()?).await,
        Some(Command::Top { dimension, order_by, limit, range }) => {
            let request = admin::GetTopRequest { range: Some(range.wire()?), dimension, order_by, limit };
            let answer =
                context.client.stats().get_top(request).await.map_err(sdk::Error::from)?.into_inner();
            let rows = answer.entries.iter().map(entry_row).collect();
            let any = answer
                .entries
                .iter()
                .any(|entry| entry.totals.is_some_and(|sums| sums.unpriced_requests > 0));
            let note = any.then(|| format!("What has no price is not in the cost. {ADVICE}"));
            let names = answer.entries.iter().map(|entry| entry.id.clone()).collect();
            let json = context.json("crs.admin.v1.GetTopResponse", &answer)?;
            output::print(context.format, Shown { json, table: (entry_headings(), rows), names, note })
        }
    }
}

/// Keys, accounts and models of a range, and their sum.
async fn summary(context: &Context, range: StatsRange) -> Result<()> {
    let mut client = context.client.stats();
    let usage = admin::GetUsageRequest { range: Some(range.clone()), ..Default::default() };
    let report = client.get_usage(usage).await.map_err(sdk::Error::from)?.into_inner();
    let mut json = serde_json::Map::new();
    json.insert(
        "totals".into(),
        context.json("crs.admin.v1.UsageTotals", &report.totals.unwrap_or_default())?,
    );
    let mut rows = Vec::new();
    for dimension in ["key", "account", "model"] {
        let request = admin::GetTopRequest {
            range: Some(range.clone()),
            dimension: dimension.into(),
            order_by: String::new(),
            limit: 100,
        };
        let answer = client.get_top(request).await.map_err(sdk::Error::from)?.into_inner();
        rows.extend(
            answer.entries.iter().map(|entry| [vec![dimension.to_owned()], entry_row(entry)].concat()),
        );
        let mut entries = context.json("crs.admin.v1.GetTopResponse", &answer)?;
        json.insert(format!("{dimension}s"), entries["entries"].take());
    }
    rows.push(
        [vec!["all".into(), String::new(), String::new()], totals_row(&report.totals.unwrap_or_default())]
            .concat(),
    );
    let range = format!("From {} to {}", time(report.start.as_ref()), time_in_zone(report.end.as_ref()));
    let unpriced = report.totals.as_ref().and_then(unpriced);
    let note = Some(unpriced.map_or(range.clone(), |unpriced| format!("{range}\n{unpriced}")));
    let headings = [vec!["OF"], entry_headings()].concat();
    let names = rows.iter().filter_map(|row| row.get(1).filter(|id| !id.is_empty()).cloned()).collect();
    output::print(context.format, Shown { json: json.into(), table: (headings, rows), names, note })
}

async fn usage(context: &Context, of: Option<String>, range: StatsRange) -> Result<()> {
    let (dimension, id) = match &of {
        None => ("", ""),
        Some(of) => {
            of.split_once('=').ok_or_else(|| Usage(format!("{of:?}: write DIMENSION=ID, such as key=…")))?
        }
    };
    let request = admin::GetUsageRequest { range: Some(range), dimension: dimension.into(), id: id.into() };
    let report = context.client.stats().get_usage(request).await.map_err(sdk::Error::from)?.into_inner();
    show_report(context, &report)
}

/// Prints a report: steps, then models, then the sum.
pub fn show_report(context: &Context, report: &UsageReport) -> Result<()> {
    let totals = |totals: &Option<UsageTotals>| totals_row(&totals.unwrap_or_default());
    let step = |point: &admin::UsagePoint| [vec![time(point.start.as_ref())], totals(&point.totals)].concat();
    let model = |entry: &TopEntry| [vec![entry.id.clone()], totals(&entry.totals)].concat();
    let rows = report.points.iter().map(step).chain(report.models.iter().map(model));
    let rows: Vec<_> = rows.chain([[vec!["all".to_owned()], totals(&report.totals)].concat()]).collect();
    let headings = [vec!["STEP OR MODEL"], TOTALS.to_vec()].concat();
    let names = rows.iter().filter_map(|row| row.first().cloned()).collect();
    let json = context.json("crs.admin.v1.UsageReport", report)?;
    let note = report.totals.as_ref().and_then(unpriced);
    output::print(context.format, Shown { json, table: (headings, rows), names, note })
}

/// Prints how the deployment stands.
pub async fn status(context: &Context) -> Result<()> {
    let answer = context.client.stats().get_overview(admin::GetOverviewRequest {}).await;
    let overview = answer.map_err(sdk::Error::from)?.into_inner();
    let counts = |counts: &std::collections::HashMap<String, i64>| {
        let mut parts: Vec<_> = counts
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        parts.sort();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    let today = overview.today.unwrap_or_default();
    let line = |name: &str, value: String| vec![name.to_owned(), value];
    let rows = vec![
        line("release", overview.version.clone()),
        line("store", overview.store.clone()),
        line("nodes", counts(&overview.nodes)),
        line("accounts", counts(&overview.accounts)),
        line("keys", format!("{} active of {}", overview.active_keys, overview.keys)),
        line("requests today", format!("{} ({} failed)", count(today.requests), count(today.failed))),
        line("tokens today", count(today.all_tokens)),
        line("cost today", cost(&today)),
    ];
    context.show(context.json("crs.admin.v1.Overview", &overview)?, vec!["WHAT", "HOW"], rows)
}

const TOTALS: [&str; 7] = ["REQUESTS", "FAILED", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITE", "COST"];

fn entry_headings() -> Vec<&'static str> {
    [vec!["ID", "NAME"], TOTALS.to_vec()].concat()
}

fn entry_row(entry: &TopEntry) -> Vec<String> {
    [vec![entry.id.clone(), entry.name.clone()], totals_row(&entry.totals.unwrap_or_default())].concat()
}

fn totals_row(totals: &UsageTotals) -> Vec<String> {
    let tokens = totals.tokens.unwrap_or_default();
    vec![
        count(totals.requests),
        count(totals.failed),
        count(tokens.input),
        count(tokens.output),
        count(tokens.cache_read),
        count(tokens.cache_write_5m + tokens.cache_write_1h),
        cost(totals),
    ]
}

/// What was counted as cost, and that it is not all where tokens had no price.
fn cost(totals: &UsageTotals) -> String {
    match totals.unpriced_requests {
        0 => money(totals.rated_cost),
        requests => format!("{} + {} without price", money(totals.rated_cost), count(requests)),
    }
}

/// What to do about tokens without a price.
const ADVICE: &str = "`crsctl settings set unknown_price=price_as:MODEL` prices such requests as those of a model that has \
    a price, `unknown_price=refuse` refuses them.";

/// What to say about tokens without a price, if there are any.
fn unpriced(totals: &UsageTotals) -> Option<String> {
    (totals.unpriced_requests > 0).then(|| {
        let (requests, tokens) = (count(totals.unpriced_requests), count(totals.unpriced_tokens));
        format!("{requests} requests used {tokens} tokens of models without a price: they are not in the cost. {ADVICE}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_without_a_price_are_not_shown_as_free() {
        let priced = UsageTotals { requests: 5, rated_cost: 2_000_000_000, ..UsageTotals::default() };
        assert_eq!((cost(&priced), unpriced(&priced)), (money(2_000_000_000), None));
        let some = UsageTotals { unpriced_requests: 3, unpriced_tokens: 1234, ..priced };
        assert_eq!(cost(&some), format!("{} + 3 without price", money(2_000_000_000)));
        assert!(unpriced(&some).unwrap().starts_with(&format!("3 requests used {} tokens", count(1234))));
    }
}
