//! `token create|list|delete`: tokens for programs.

use anyhow::Result;
use sdk::admin;

use super::{Context, key_duration};
use crate::output::{self, Shown, time};

/// Verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a token; it is shown once
    Create {
        /// Name
        name: String,
        /// admin, operator, viewer or user; not above your own
        #[arg(long, default_value = "viewer")]
        role: String,
        /// How long it holds, such as 1h or 30d; for ever where none is given
        #[arg(long, value_parser = key_duration)]
        lives: Option<prost_types::Duration>,
    },
    /// List tokens
    List,
    /// End tokens
    Delete {
        /// Token ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

/// Runs a verb.
pub async fn run(context: &Context, command: Command) -> Result<()> {
    let headings = vec!["ID", "NAME", "ROLE", "CREATED", "EXPIRES", "BY"];
    let mut client = context.client.auth();
    match command {
        Command::Create { name, role, lives } => {
            let request = admin::CreateTokenRequest { name, role, expires_at: lives.map(super::from_now) };
            let answer = client.create_token(request).await.map_err(sdk::Error::from)?.into_inner();
            let json = context.json("crs.admin.v1.CreateTokenResponse", &answer)?;
            let token = answer.token.clone().unwrap_or_default();
            let note = Some(format!("Token (shown once): {}", answer.secret));
            let table = (headings, vec![row(&token)]);
            output::print(context.format, Shown { json, table, names: vec![token.id], note })
        }
        Command::List => {
            let answer =
                client.list_tokens(admin::ListTokensRequest {}).await.map_err(sdk::Error::from)?.into_inner();
            let rows = answer.tokens.iter().map(row).collect();
            context.show(context.json("crs.admin.v1.ListTokensResponse", &answer)?, headings, rows)
        }
        Command::Delete { ids } => {
            for id in ids {
                client
                    .delete_token(admin::DeleteTokenRequest { id: id.clone() })
                    .await
                    .map_err(sdk::Error::from)?;
                context.done(&id, format!("Ended {id}."))?;
            }
            Ok(())
        }
    }
}

fn row(token: &admin::Token) -> Vec<String> {
    let times = [&token.created_at, &token.expires_at].map(|at| time(at.as_ref()));
    let [created, expires] = times;
    vec![token.id.clone(), token.name.clone(), token.role.clone(), created, expires, token.created_by.clone()]
}
