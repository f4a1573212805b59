//! `key create|list|get|update|delete|restore|rotate|stats|limits|reset-limits`.

mod edit;

use anyhow::Result;
use sdk::{admin, types::Key};

use super::{Context, joined, stats};
use crate::{
    limit_syntax,
    output::{self, Shown, count, time},
};
use edit::Fields;
pub(crate) use edit::parse_duration;

/// Verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a key; its secret is shown once
    Create {
        /// Name
        name: String,
        /// The other fields
        #[command(flatten)]
        fields: Fields,
        /// A secret of your own instead of a generated one
        #[arg(long, value_name = "SECRET")]
        secret: Option<String>,
        /// Repeat safely: the same id makes nothing twice
        #[arg(long, value_name = "ID")]
        request_id: Option<String>,
    },
    /// List keys
    List {
        /// Words to find, or field:value for tag, owner, status, name
        filter: Vec<String>,
        /// name, created_at, updated_at or last_used_at, with " desc"
        #[arg(long, default_value = "")]
        order_by: String,
        /// The recycle bin
        #[arg(long)]
        deleted: bool,
        /// At most so many
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
    /// Show one key
    Get {
        /// Key id
        id: String,
    },
    /// Change fields of a key
    Update {
        /// Key id
        id: String,
        /// New name
        #[arg(long)]
        name: Option<String>,
        /// The other fields
        #[command(flatten)]
        fields: Fields,
        /// Refuse if the key changed since it had this etag
        #[arg(long)]
        etag: Option<String>,
    },
    /// Move keys to the recycle bin
    Delete {
        /// Key ids
        #[arg(required = true)]
        ids: Vec<String>,
        /// Remove binned keys for good
        #[arg(long)]
        purge: bool,
    },
    /// Take a key out of the recycle bin
    Restore {
        /// Key id
        id: String,
    },
    /// Give a key a new secret
    Rotate {
        /// Key id
        id: String,
        /// How long the old secret goes on working, such as 30m, 24h, 0s
        #[arg(long, default_value = "24h", value_parser = edit::parse_duration)]
        overlap: prost_types::Duration,
    },
    /// What a key used and cost
    Stats {
        /// Key id
        id: String,
        /// The range
        #[command(flatten)]
        range: stats::Range,
    },
    /// Start the windows of all limits of a key anew
    ResetLimits {
        /// Id of the key
        id: String,
    },
    /// A key's limits as they stand
    Limits {
        /// Key id
        id: String,
    },
}

/// Runs a verb.
pub async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Create { name, fields, secret, request_id } => {
            create(context, name, fields, secret, request_id).await
        }
        Command::List { filter, order_by, deleted, limit } => {
            list(context, filter.join(" "), order_by, deleted, limit).await
        }
        Command::Get { id } => {
            let key =
                context.client.keys().get_key(admin::GetKeyRequest { id }).await.map_err(sdk::Error::from)?;
            let key = key.into_inner();
            context.show_one(context.json("crs.types.v1.Key", &key)?, &[("limits", limits_of(&key))])
        }
        Command::Update { id, name, fields, etag } => update(context, id, name, fields, etag).await,
        Command::Delete { ids, purge } => delete(context, ids, purge).await,
        Command::Restore { id } => {
            let key = context
                .client
                .keys()
                .restore_key(admin::RestoreKeyRequest { id })
                .await
                .map_err(sdk::Error::from)?;
            show(context, &key.into_inner())
        }
        Command::Rotate { id, overlap } => {
            let request = admin::RotateKeyRequest { id, overlap: Some(overlap) };
            let answer =
                context.client.keys().rotate_key(request).await.map_err(sdk::Error::from)?.into_inner();
            let json = context.json("crs.admin.v1.RotateKeyResponse", &answer)?;
            show_secret(context, json, answer.key.unwrap_or_default(), &answer.secret)
        }
        Command::Stats { id, range } => {
            let request = admin::GetKeyStatsRequest { id, range: Some(range.wire()?) };
            let report = context.client.keys().get_key_stats(request).await.map_err(sdk::Error::from)?;
            stats::show_report(context, &report.into_inner())
        }
        Command::Limits { id } => limits(context, id).await,
        Command::ResetLimits { id } => {
            let request = admin::ResetKeyLimitsRequest { id: id.clone() };
            context.client.keys().reset_key_limits(request).await.map_err(sdk::Error::from)?;
            context.done(&id, format!("The windows of {id}'s limits begin anew."))
        }
    }
}

async fn create(
    context: &Context,
    name: String,
    fields: Fields,
    secret: Option<String>,
    request_id: Option<String>,
) -> Result<()> {
    let mut key = Key { name, ..Key::default() };
    fields.apply(&mut key)?;
    let request = admin::CreateKeyRequest {
        key: Some(key),
        request_id: request_id.unwrap_or_default(),
        secret: secret.unwrap_or_default(),
    };
    let answer = context.client.keys().create_key(request).await.map_err(sdk::Error::from)?.into_inner();
    let json = context.json("crs.admin.v1.CreateKeyResponse", &answer)?;
    show_secret(context, json, answer.key.unwrap_or_default(), &answer.secret)
}

async fn list(
    context: &Context,
    filter: String,
    order_by: String,
    deleted: bool,
    limit: usize,
) -> Result<()> {
    let mut keys: Vec<Key> = Vec::new();
    let mut answer = admin::ListKeysResponse::default();
    loop {
        let page_size = (limit - keys.len()).min(1000) as i32;
        let page_token = std::mem::take(&mut answer.next_page_token);
        let request = admin::ListKeysRequest {
            page_size,
            page_token,
            filter: filter.clone(),
            order_by: order_by.clone(),
            deleted,
        };
        answer = context.client.keys().list_keys(request).await.map_err(sdk::Error::from)?.into_inner();
        keys.append(&mut answer.keys);
        if answer.next_page_token.is_empty() || keys.len() >= limit {
            break;
        }
    }
    let note = (answer.total_size > keys.len() as i64)
        .then(|| format!("{} of {} keys", keys.len(), answer.total_size));
    answer.keys = keys;
    let json = context.json("crs.admin.v1.ListKeysResponse", &answer)?;
    let names = answer.keys.iter().map(|key| key.id.clone()).collect();
    let rows = answer.keys.iter().map(row).collect();
    output::print(context.format, Shown { json, table: (HEADINGS.to_vec(), rows), names, note })
}

async fn update(
    context: &Context,
    id: String,
    name: Option<String>,
    fields: Fields,
    etag: Option<String>,
) -> Result<()> {
    let mut key = Key { id, etag: etag.unwrap_or_default(), ..Key::default() };
    let mut paths = fields.apply(&mut key)?;
    if let Some(name) = name {
        key.name = name;
        paths.push("name".into());
    }
    if paths.is_empty() {
        return Err(crate::failure::Usage("nothing to change; see `crsctl key update --help`".into()).into());
    }
    let request =
        admin::UpdateKeyRequest { key: Some(key), update_mask: Some(prost_types::FieldMask { paths }) };
    let key = context.client.keys().update_key(request).await.map_err(sdk::Error::from)?.into_inner();
    show(context, &key)
}

async fn delete(context: &Context, ids: Vec<String>, purge: bool) -> Result<()> {
    for id in ids {
        let request = admin::DeleteKeyRequest { id: id.clone(), purge };
        context.client.keys().delete_key(request).await.map_err(sdk::Error::from)?;
        let note = match purge {
            true => format!("Removed {id} for good."),
            false => format!("Moved {id} to the recycle bin; `crsctl key restore {id}` takes it out."),
        };
        context.done(&id, note)?;
    }
    Ok(())
}

async fn limits(context: &Context, id: String) -> Result<()> {
    let request = admin::GetKeyLimitsRequest { id };
    let answer = context.client.keys().get_key_limits(request).await.map_err(sdk::Error::from)?.into_inner();
    let row = |state: &admin::LimitState| {
        let limit = state.limit.clone().unwrap_or_default();
        let resets = if state.resets_in_ms > 0 {
            format!("in {} s", state.resets_in_ms / 1000)
        } else {
            String::new()
        };
        vec![limit.id.clone(), limit_syntax::show(&limit), count(state.used), count(state.leased), resets]
    };
    let rows = answer.limits.iter().map(row).collect();
    let json = context.json("crs.admin.v1.GetKeyLimitsResponse", &answer)?;
    context.show(json, vec!["ID", "LIMIT", "USED", "LEASED", "RESETS"], rows)
}

const HEADINGS: [&str; 8] = ["ID", "NAME", "STATUS", "SECRET", "TAGS", "LIMITS", "EXPIRES", "LAST USED"];

fn row(key: &Key) -> Vec<String> {
    let expires = match &key.expiration {
        Some(end) if end.mode == "activation" && end.expires_at.is_none() => "after first use".into(),
        Some(end) => time(end.expires_at.as_ref()),
        None => String::new(),
    };
    vec![
        key.id.clone(),
        key.name.clone(),
        key.status.clone(),
        format!("{}…", key.secret_hint),
        joined(&key.tags),
        limits_of(key),
        expires,
        time(key.last_used_at.as_ref()),
    ]
}

fn limits_of(key: &Key) -> String {
    key.limits.iter().map(limit_syntax::show).collect::<Vec<_>>().join("\n")
}

fn show(context: &Context, key: &Key) -> Result<()> {
    context.show(context.json("crs.types.v1.Key", key)?, HEADINGS.to_vec(), vec![row(key)])
}

fn show_secret(context: &Context, json: serde_json::Value, key: Key, secret: &str) -> Result<()> {
    let note = match secret {
        "" => "This request id made it before; the secret was shown then.".to_owned(),
        secret => format!("Secret (shown once): {secret}"),
    };
    let shown =
        Shown { json, table: (HEADINGS.to_vec(), vec![row(&key)]), names: vec![key.id], note: Some(note) };
    output::print(context.format, shown)
}
