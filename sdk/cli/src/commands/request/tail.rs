//! Records as they arrive. The tail is opened again whenever it ends, which it does every quarter of an hour and when a
//! replica ends.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use anyhow::Result;
use sdk::{Error, Streaming, admin, types::UsageRecord};

use super::{super::Context, Filter, cost, outcome};
use crate::output::{self, Format, count, time};

/// Wait before a broken tail is opened again.
const AGAIN: Duration = Duration::from_secs(1);
/// Times in a row that it may fail to open before that is an error.
const TRIES: u32 = 30;

/// Prints wanted records until there are enough, or for ever.
pub async fn follow(context: &Context, filter: Filter, limit: Option<usize>) -> Result<()> {
    let request = admin::TailRequestsRequest {
        key_id: filter.key,
        account_id: filter.account,
        model: filter.model,
        outcome: filter.outcome,
        status: filter.status,
        client_kind: filter.client,
        node_id: filter.node,
    };
    let (mut left, mut failed, mut opened) = (limit.unwrap_or(usize::MAX), 0, false);
    while left > 0 {
        let ended = match context.client.requests().tail_requests(request.clone()).await {
            Ok(answer) => {
                (failed, opened) = (0, true);
                print_all(context, answer.into_inner(), &mut left).await?
            }
            Err(status) => Err(Error::from(status)),
        };
        let Err(error) = ended else { continue };
        let away = matches!(error, Error::Unavailable(_) | Error::Unreachable(_));
        // Before it was ever open there is nothing to go on with: the caller is told at once.
        if !opened || failed >= TRIES || !away {
            return Err(error.into());
        }
        failed += 1;
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}

async fn print_all(
    context: &Context,
    mut records: Streaming<admin::TailRequestsResponse>,
    left: &mut usize,
) -> Result<Result<(), Error>> {
    while *left > 0 {
        let said = match records.message().await {
            Ok(Some(said)) => said,
            Ok(None) => return Ok(Ok(())),
            Err(status) => return Ok(Err(status.into())),
        };
        if said.skipped > 0 {
            writeln!(io::stderr(), "({} records left out: too many at once)", count(said.skipped))?;
        }
        if let Some(record) = said.request {
            *left -= 1;
            if let Err(error) = io::stdout().lock().write_all(shown(context.format, &record)?.as_bytes()) {
                // Whoever read it has enough.
                *left = 0;
                if error.kind() != io::ErrorKind::BrokenPipe {
                    return Err(error.into());
                }
            }
        }
    }
    Ok(Ok(()))
}

fn shown(format: Format, record: &UsageRecord) -> Result<String> {
    let json = || output::json("crs.types.v1.UsageRecord", record);
    Ok(match format {
        Format::Table => line(record),
        Format::Json => format!("{}\n", json()?),
        Format::Yaml => format!("---\n{}", output::yaml(&json()?)),
        Format::Name => format!("{}\n", record.request_id),
    })
}

/// One line whose columns stay in their places as long as their contents are of the usual length.
fn line(record: &UsageRecord) -> String {
    let tokens = record.attempts.iter().filter_map(|attempt| attempt.usage).map(|usage| usage.all()).sum();
    let account = record.attempts.last().map_or("-", |attempt| attempt.account_id.as_str());
    format!(
        "{}  {:<3}  {:<22}  {:<28}  {:<12}  {:>9} tok  {:>10}  {:>7} ms  {}  {}\n",
        time(record.started_at.as_ref()),
        record.status,
        outcome(record),
        record.model,
        record.client_kind,
        count(tokens),
        cost(record),
        record.total_us / 1000,
        account,
        record.request_id,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_in_each_form_that_has_lines() {
        let record =
            UsageRecord { request_id: "req_1".into(), outcome: "ok".into(), ..UsageRecord::default() };
        for format in [Format::Table, Format::Json, Format::Name] {
            let text = shown(format, &record).unwrap();
            assert_eq!(text.matches('\n').count(), 1, "{text}");
            assert!(text.contains("req_1"));
        }
    }
}
