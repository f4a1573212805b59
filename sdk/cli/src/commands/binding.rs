//! `binding list|get|drop`.

use anyhow::Result;
use sdk::admin;

use super::Context;
use crate::{
    failure::Usage,
    output::{self, Shown, count, time},
};

/// Which bindings.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Only of this key
    #[arg(long, value_name = "KEY", default_value = "")]
    key: String,
    /// Only to this account
    #[arg(long, value_name = "ACCOUNT", default_value = "")]
    account: String,
    /// Only in this platform family
    #[arg(long, default_value = "")]
    family: String,
}

/// Verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List which session sticks to which account
    List {
        /// Which bindings
        #[command(flatten)]
        which: Which,
        /// At most so many
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
    /// Show one binding
    Get {
        /// Binding id
        id: String,
    },
    /// Forget bindings: their sessions are placed anew
    Drop {
        /// Binding ids
        ids: Vec<String>,
        /// Or all of a key, to an account, or both
        #[command(flatten)]
        which: Which,
    },
}

/// Runs a verb.
pub async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::List { which, limit } => list(context, which, limit).await,
        Command::Get { id } => {
            let binding = context.client.bindings().get_binding(admin::GetBindingRequest { id }).await;
            let binding = binding.map_err(sdk::Error::from)?.into_inner();
            show(context, admin::ListBindingsResponse { bindings: vec![binding], ..Default::default() })
        }
        Command::Drop { ids, which } => drop_them(context, ids, which).await,
    }
}

async fn list(context: &Context, which: Which, limit: usize) -> Result<()> {
    let mut all: Vec<admin::Binding> = Vec::new();
    let mut answer = admin::ListBindingsResponse::default();
    while all.len() < limit {
        let request = admin::ListBindingsRequest {
            page_size: (limit - all.len()).min(1000) as i32,
            page_token: std::mem::take(&mut answer.next_page_token),
            key_id: which.key.clone(),
            account_id: which.account.clone(),
            family: which.family.clone(),
        };
        answer =
            context.client.bindings().list_bindings(request).await.map_err(sdk::Error::from)?.into_inner();
        all.append(&mut answer.bindings);
        if answer.next_page_token.is_empty() {
            break;
        }
    }
    answer.bindings = all;
    show(context, answer)
}

fn show(context: &Context, answer: admin::ListBindingsResponse) -> Result<()> {
    let named = |name: &str, id: &str| if name.is_empty() { id.to_owned() } else { name.to_owned() };
    let row = |binding: &admin::Binding| {
        vec![
            binding.id.clone(),
            named(&binding.key_name, &binding.key_id),
            named(&binding.account_name, &binding.account_id),
            binding.family.clone(),
            time(binding.expires_at.as_ref()),
        ]
    };
    let rows = answer.bindings.iter().map(row).collect();
    let names = answer.bindings.iter().map(|binding| binding.id.clone()).collect();
    let note = (!answer.next_page_token.is_empty()).then(|| "There are more; see --limit.".to_owned());
    let json = context.json("crs.admin.v1.ListBindingsResponse", &answer)?;
    let table = (vec!["ID", "KEY", "ACCOUNT", "FAMILY", "ENDS"], rows);
    output::print(context.format, Shown { json, table, names, note })
}

async fn drop_them(context: &Context, ids: Vec<String>, which: Which) -> Result<()> {
    let mut client = context.client.bindings();
    let Which { key, account, family } = which;
    let by = !key.is_empty() || !account.is_empty();
    if by != ids.is_empty() {
        return Err(Usage("name binding ids, or --key and --account".into()).into());
    }
    let mut dropped = 0;
    for id in ids {
        let answer = client.drop_binding(admin::DropBindingRequest { id }).await.map_err(sdk::Error::from)?;
        dropped += answer.into_inner().dropped;
    }
    if by {
        let request = admin::DropBindingsRequest { key_id: key, account_id: account, family };
        dropped += client.drop_bindings(request).await.map_err(sdk::Error::from)?.into_inner().dropped;
    }
    let json = serde_json::json!({ "dropped": dropped });
    let note = Some(format!("Forgot {}.", count(dropped)));
    output::print(context.format, Shown { json, table: (vec![], vec![]), names: vec![], note })
}
