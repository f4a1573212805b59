//! `audit list`.

use anyhow::Result;
use sdk::admin;

use super::Context;
use crate::output::time;

/// Verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Newest entries
    List {
        /// Only by this actor
        #[arg(long, default_value = "")]
        actor: String,
        /// Only of this kind of thing, such as key or account
        #[arg(long, default_value = "")]
        kind: String,
        /// Only of the thing with this id
        #[arg(long, default_value = "")]
        target: String,
        /// How many
        #[arg(long, default_value_t = 50)]
        limit: i32,
    },
}

/// Runs a verb.
pub async fn run(context: &Context, command: Command) -> Result<()> {
    let Command::List { actor, kind, target, limit } = command;
    let request = admin::ListAuditEntriesRequest {
        page_size: limit,
        page_token: String::new(),
        actor,
        kind,
        target_id: target,
    };
    let answer =
        context.client.audit().list_audit_entries(request).await.map_err(sdk::Error::from)?.into_inner();
    let row = |entry: &admin::AuditEntry| {
        vec![
            entry.sequence.to_string(),
            time(entry.at.as_ref()),
            entry.actor.clone(),
            entry.address.clone(),
            entry.action.clone(),
            entry.kind.clone(),
            entry.target_id.clone(),
        ]
    };
    let rows = answer.entries.iter().map(row).collect();
    let json = context.json("crs.admin.v1.ListAuditEntriesResponse", &answer)?;
    context.show(json, vec!["NO", "AT", "WHO", "FROM", "DID", "KIND", "TO"], rows)
}
