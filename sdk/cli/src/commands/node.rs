//! `node list|drain|resume|write-off` and `join-token create|list|revoke`.

use anyhow::Result;
use sdk::admin;

use super::{Context, key_duration};
use crate::{
    failure::Usage,
    output::{self, Shown, count, time},
};

/// Verbs of nodes.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Nodes with version, config revision, load and spool
    List,
    /// Take no new requests, finish, end
    Drain {
        /// Node id
        id: String,
        /// Stay up afterwards, until resumed
        #[arg(long)]
        stay: bool,
    },
    /// Take requests again, after `drain --stay`
    Resume {
        /// Node id
        id: String,
    },
    /// Give up a node that is gone for good: what it held of limits is free again
    WriteOff {
        /// Node id
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
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
        /// The one node name that may use it
        #[arg(long, default_value = "")]
        node: String,
    },
    /// List tokens
    List {
        /// Revoked and expired ones too
        #[arg(long)]
        ended: bool,
    },
    /// Revoke tokens: nodes that hold them are cut off, told so, and end
    #[command(alias = "delete")]
    Revoke {
        /// Token ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

/// Runs a verb of nodes.
pub async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Drain { id, stay } => {
            let request = admin::DrainNodeRequest { id: id.clone(), stay };
            context.client.nodes().drain_node(request).await.map_err(sdk::Error::from)?;
            let then = if stay { " and stays" } else { "" };
            context.done(&id, format!("{id} drains{then}."))
        }
        Command::Resume { id } => {
            let request = admin::ResumeNodeRequest { id: id.clone() };
            context.client.nodes().resume_node(request).await.map_err(sdk::Error::from)?;
            context.done(&id, format!("{id} takes requests again."))
        }
        Command::WriteOff { id, yes } => {
            if !yes {
                let why = "this counts as unused what the node held and did not report; pass --yes if it is gone for good";
                return Err(Usage(why.to_owned()).into());
            }
            let request = admin::WriteOffNodeRequest { id: id.clone() };
            let answer = context.client.nodes().write_off_node(request).await;
            let answer = answer.map_err(sdk::Error::from)?.into_inner();
            let note = format!(
                "{id} is written off: {} leases settled, {} slots free.",
                answer.leases, answer.slots
            );
            context.done(&id, note)
        }
        Command::List => list(context).await,
    }
}

async fn list(context: &Context) -> Result<()> {
    let answer = context.client.nodes().list_nodes(admin::ListNodesRequest {}).await;
    let answer = answer.map_err(sdk::Error::from)?.into_inner();
    let row = |node: &admin::Node| {
        let lag = match node.revision_lag {
            0 => "current".to_owned(),
            -1 if node.applied_revision.is_empty() => "none yet".to_owned(),
            -1 => "another history".to_owned(),
            behind => format!("{} behind", count(behind)),
        };
        let refused =
            if node.refused.is_empty() { String::new() } else { format!("\n{}", node.refused.join("\n")) };
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
    let headings =
        vec!["ID", "NAME", "VERSION", "STATE", "CONFIG", "IN FLIGHT", "SPOOL LAG", "MEMORY", "LAST SEEN"];
    context.show(context.json("crs.admin.v1.ListNodesResponse", &answer)?, headings, rows)
}

/// Runs a verb of join tokens.
pub async fn join_tokens(context: &Context, command: JoinTokenCommand) -> Result<()> {
    let row = |token: &admin::JoinToken| {
        vec![
            token.id.clone(),
            token.name.clone(),
            token.node_name.clone(),
            time(token.created_at.as_ref()),
            time(token.expires_at.as_ref()),
            time(token.revoked_at.as_ref()),
        ]
    };
    let headings = vec!["ID", "NAME", "NODE", "CREATED", "EXPIRES", "REVOKED"];
    let mut client = context.client.nodes();
    match command {
        JoinTokenCommand::Create { name, lives, node } => {
            let request = admin::CreateJoinTokenRequest {
                name,
                expires_at: lives.map(super::from_now),
                node_name: node,
            };
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
        JoinTokenCommand::List { ended } => {
            let answer = client.list_join_tokens(admin::ListJoinTokensRequest { ended }).await;
            let answer = answer.map_err(sdk::Error::from)?.into_inner();
            let rows = answer.join_tokens.iter().map(row).collect();
            context.show(context.json("crs.admin.v1.ListJoinTokensResponse", &answer)?, headings, rows)
        }
        JoinTokenCommand::Revoke { ids } => {
            for id in ids {
                let request = admin::DeleteJoinTokenRequest { id: id.clone() };
                client.delete_join_token(request).await.map_err(sdk::Error::from)?;
                context.done(&id, format!("Revoked {id}."))?;
            }
            Ok(())
        }
    }
}
