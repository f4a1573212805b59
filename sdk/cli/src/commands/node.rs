//! `node list|drain` and `join-token create|list|delete`.

use anyhow::Result;
use sdk::admin;

use super::{Context, key_duration};
use crate::output::{self, Shown, count, time};

/// Verbs of nodes.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Nodes with version, config revision, load and spool
    List,
    /// Take no new requests, finish, end
    Drain {
        /// Node id
        id: String,
    },
}

/// Verbs of join tokens.
#[derive(Debug, clap::Subcommand)]
pub enum JoinTokenCommand {
    /// Make a token; it is shown once
    Create {
        /// Name
        name: String,
        /// How long it holds, such as 1h or 30d; for ever where none is given
        #[arg(long, value_parser = key_duration)]
        lives: Option<prost_types::Duration>,
    },
    /// List tokens
    List,
    /// End tokens; nodes that hold them are cut off
    Delete {
        /// Token ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

/// Runs a verb of nodes.
pub async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Drain { id } => {
            let request = admin::DrainNodeRequest { id: id.clone() };
            context.client.nodes().drain_node(request).await.map_err(sdk::Error::from)?;
            context.done(&id, format!("{id} drains."))
        }
        Command::List => {
            let answer = context.client.nodes().list_nodes(admin::ListNodesRequest {}).await;
            let answer = answer.map_err(sdk::Error::from)?.into_inner();
            let current = answer.revision.clone();
            let row = |node: &admin::Node| {
                let lag = if node.applied_revision == current { "current" } else { &node.applied_revision };
                let refused = if node.refused.is_empty() {
                    String::new()
                } else {
                    format!("\n{}", node.refused.join("\n"))
                };
                vec![
                    node.id.clone(),
                    node.name.clone(),
                    node.version.clone(),
                    node.state.clone(),
                    format!("{lag}{refused}"),
                    count(node.in_flight),
                    count(node.spool_lag),
                    format!("{} MB", node.memory_bytes / 1_000_000),
                    time(node.last_seen_at.as_ref()),
                ]
            };
            let rows = answer.nodes.iter().map(row).collect();
            let headings = vec![
                "ID",
                "NAME",
                "VERSION",
                "STATE",
                "CONFIG",
                "IN FLIGHT",
                "SPOOL LAG",
                "MEMORY",
                "LAST SEEN",
            ];
            context.show(context.json("crs.admin.v1.ListNodesResponse", &answer)?, headings, rows)
        }
    }
}

/// Runs a verb of join tokens.
pub async fn join_tokens(context: &Context, command: JoinTokenCommand) -> Result<()> {
    let row = |token: &admin::JoinToken| {
        vec![
            token.id.clone(),
            token.name.clone(),
            time(token.created_at.as_ref()),
            time(token.expires_at.as_ref()),
        ]
    };
    let headings = vec!["ID", "NAME", "CREATED", "EXPIRES"];
    let mut client = context.client.nodes();
    match command {
        JoinTokenCommand::Create { name, lives } => {
            let request = admin::CreateJoinTokenRequest { name, expires_at: lives.map(super::from_now) };
            let answer = client.create_join_token(request).await.map_err(sdk::Error::from)?.into_inner();
            let json = context.json("crs.admin.v1.CreateJoinTokenResponse", &answer)?;
            let token = answer.join_token.clone().unwrap_or_default();
            let note = Some(format!(
                "Token (shown once): {0}\nStart a node with: crs-data serve --control http://CONTROL:4001 --join-token {0}",
                answer.secret
            ));
            output::print(
                context.format,
                Shown { json, table: (headings, vec![row(&token)]), names: vec![token.id], note },
            )
        }
        JoinTokenCommand::List => {
            let answer = client.list_join_tokens(admin::ListJoinTokensRequest {}).await;
            let answer = answer.map_err(sdk::Error::from)?.into_inner();
            let rows = answer.join_tokens.iter().map(row).collect();
            context.show(context.json("crs.admin.v1.ListJoinTokensResponse", &answer)?, headings, rows)
        }
        JoinTokenCommand::Delete { ids } => {
            for id in ids {
                let request = admin::DeleteJoinTokenRequest { id: id.clone() };
                client.delete_join_token(request).await.map_err(sdk::Error::from)?;
                context.done(&id, format!("Ended {id}."))?;
            }
            Ok(())
        }
    }
}
