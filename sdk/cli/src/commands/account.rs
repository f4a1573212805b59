//! `account add|list|get|update|delete|test|availability|oauth|refresh|reset|toggle|stats`, and `platform list`.

mod availability;
mod edit;
mod oauth;

use anyhow::Result;
use sdk::{admin, types::Account};

use super::{Context, joined, stats};
use crate::output::{self, Shown, time};
use edit::Fields;

/// Verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Add an account
    Add {
        /// Platform, such as claude-console; see `crsctl platform list`
        platform: String,
        /// Name
        name: String,
        /// The other fields
        #[command(flatten)]
        fields: Fields,
        /// Repeat safely: the same id makes nothing twice
        #[arg(long, value_name = "ID")]
        request_id: Option<String>,
    },
    /// List accounts
    List {
        /// Words to find, or field:value for tag, status, name, platform
        filter: Vec<String>,
        /// Only of this platform
        #[arg(long, default_value = "")]
        platform: String,
        /// name, priority, created_at or last_used_at, with " desc"
        #[arg(long, default_value = "")]
        order_by: String,
    },
    /// Show one account
    Get {
        /// Account id
        id: String,
    },
    /// Change fields of an account
    Update {
        /// Account id
        id: String,
        /// New name
        #[arg(long)]
        name: Option<String>,
        /// The other fields
        #[command(flatten)]
        fields: Fields,
        /// Refuse if the account changed since it had this etag
        #[arg(long)]
        etag: Option<String>,
    },
    /// Remove accounts
    Delete {
        /// Account ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Send a small real request through an account
    Test {
        /// Account id
        id: String,
        /// Model to ask; the platform's smallest where none is given
        #[arg(long, default_value = "")]
        model: String,
    },
    /// Sign an account in: shows the page to open and takes the code it gives
    Oauth(oauth::SignIn),
    /// Renew an account's access token now
    Refresh {
        /// Account id
        id: String,
    },
    /// Turn scheduling on or off
    Toggle {
        /// Account id
        id: String,
        /// The state to set; the other one where none is given
        #[arg(long)]
        schedulable: Option<bool>,
    },
    /// Forget what upstream verdicts have said of an account, on every node
    Reset {
        /// Account id
        id: String,
        /// Only limits, of the account and of model families
        #[arg(long)]
        rate_limit: bool,
    },
    /// Whether the scheduler may choose an account, what stands against it, and until when
    Availability {
        /// Account id
        id: String,
    },
    /// What an account used and cost
    Stats {
        /// Account id
        id: String,
        /// The range
        #[command(flatten)]
        range: stats::Range,
    },
}

/// Verbs of platforms.
#[derive(Debug, clap::Subcommand)]
pub enum PlatformCommand {
    /// List platforms with the credentials they take
    List,
}

/// Runs a verb.
pub async fn run(context: &Context, command: Command) -> Result<()> {
    let mut accounts = context.client.accounts();
    match command {
        Command::Add { platform, name, fields, request_id } => {
            let mut account = Account { platform, name, ..Account::default() };
            fields.apply(&mut account)?;
            let request = admin::CreateAccountRequest {
                account: Some(account),
                request_id: request_id.unwrap_or_default(),
            };
            show(context, &accounts.create_account(request).await.map_err(sdk::Error::from)?.into_inner())
        }
        Command::List { filter, platform, order_by } => {
            list(context, filter.join(" "), platform, order_by).await
        }
        Command::Get { id } => {
            context.show_one(context.json("crs.types.v1.Account", &get(context, id).await?)?, &[])
        }
        Command::Update { id, name, fields, etag } => update(context, id, name, fields, etag).await,
        Command::Delete { ids } => delete(context, ids).await,
        Command::Test { id, model } => test(context, id, model).await,
        Command::Oauth(asked) => oauth::sign_in(context, asked).await,
        Command::Refresh { id } => oauth::refresh(context, id).await,
        Command::Toggle { id, schedulable } => {
            let platform = get(context, id.clone()).await?.platform;
            let request = admin::ToggleSchedulableRequest { platform, id, schedulable };
            show(context, &accounts.toggle_schedulable(request).await.map_err(sdk::Error::from)?.into_inner())
        }
        Command::Reset { id, rate_limit } => {
            let platform = get(context, id.clone()).await?.platform;
            let account = match rate_limit {
                true => accounts.reset_rate_limit(admin::ResetRateLimitRequest { platform, id }).await,
                false => accounts.reset_status(admin::ResetStatusRequest { platform, id }).await,
            };
            show(context, &account.map_err(sdk::Error::from)?.into_inner())
        }
        Command::Availability { id } => availability::run(context, id).await,
        Command::Stats { id, range } => {
            let request =
                admin::GetAccountStatsRequest { platform: String::new(), id, range: Some(range.wire()?) };
            let report = accounts.get_account_stats(request).await.map_err(sdk::Error::from)?;
            stats::show_report(context, &report.into_inner())
        }
    }
}

/// One account of whatever platform.
async fn get(context: &Context, id: String) -> Result<Account> {
    let request = admin::GetAccountRequest { platform: String::new(), id };
    Ok(context.client.accounts().get_account(request).await.map_err(sdk::Error::from)?.into_inner())
}

async fn list(context: &Context, filter: String, platform: String, order_by: String) -> Result<()> {
    let mut all: Vec<Account> = Vec::new();
    let mut answer = admin::ListAccountsResponse::default();
    loop {
        let request = admin::ListAccountsRequest {
            platform: platform.clone(),
            page_size: 1000,
            page_token: std::mem::take(&mut answer.next_page_token),
            filter: filter.clone(),
            order_by: order_by.clone(),
        };
        answer =
            context.client.accounts().list_accounts(request).await.map_err(sdk::Error::from)?.into_inner();
        all.append(&mut answer.accounts);
        if answer.next_page_token.is_empty() {
            break;
        }
    }
    answer.accounts = all;
    let rows = answer.accounts.iter().map(row).collect();
    context.show(context.json("crs.admin.v1.ListAccountsResponse", &answer)?, HEADINGS.to_vec(), rows)
}

async fn update(
    context: &Context,
    id: String,
    name: Option<String>,
    fields: Fields,
    etag: Option<String>,
) -> Result<()> {
    let platform = get(context, id.clone()).await?.platform;
    let mut account = Account { id, platform, etag: etag.unwrap_or_default(), ..Account::default() };
    let mut paths = fields.apply(&mut account)?;
    if let Some(name) = name {
        account.name = name;
        paths.push("name".into());
    }
    if paths.is_empty() {
        return Err(
            crate::failure::Usage("nothing to change; see `crsctl account update --help`".into()).into()
        );
    }
    let update_mask = Some(prost_types::FieldMask { paths });
    let request = admin::UpdateAccountRequest { account: Some(account), update_mask };
    show(
        context,
        &context.client.accounts().update_account(request).await.map_err(sdk::Error::from)?.into_inner(),
    )
}

async fn delete(context: &Context, ids: Vec<String>) -> Result<()> {
    for id in ids {
        let platform = get(context, id.clone()).await?.platform;
        let request = admin::DeleteAccountRequest { platform, id: id.clone() };
        context.client.accounts().delete_account(request).await.map_err(sdk::Error::from)?;
        context.done(&id, format!("Removed {id}."))?;
    }
    Ok(())
}

async fn test(context: &Context, id: String, model: String) -> Result<()> {
    let platform = get(context, id.clone()).await?.platform;
    let request = admin::TestAccountRequest { platform, id, model };
    let answer =
        context.client.accounts().test_account(request).await.map_err(sdk::Error::from)?.into_inner();
    let row = vec![
        if answer.ok { "ok".into() } else { "failed".to_owned() },
        answer.status.to_string(),
        answer.verdict.clone(),
        answer.model.clone(),
        format!("{} ms", answer.latency_ms),
        answer.message.clone(),
    ];
    let json = context.json("crs.admin.v1.TestAccountResponse", &answer)?;
    context.show(json, vec!["RESULT", "STATUS", "VERDICT", "MODEL", "TIME", "MESSAGE"], vec![row])?;
    anyhow::ensure!(answer.ok, "the account cannot serve");
    Ok(())
}

/// Runs a verb of platforms.
pub async fn platforms(context: &Context, command: PlatformCommand) -> Result<()> {
    let PlatformCommand::List = command;
    let answer = context.client.platforms().list_platforms(admin::ListPlatformsRequest {}).await;
    let answer = answer.map_err(sdk::Error::from)?.into_inner();
    let row = |platform: &sdk::types::PlatformInfo| {
        let field = |field: &sdk::types::CredentialField| {
            format!("{}{}: {}", field.name, if field.required { " (required)" } else { "" }, field.help)
        };
        vec![
            platform.slug.clone(),
            platform.name.clone(),
            platform.dialect.clone(),
            platform.default_base_url.clone(),
            platform.credential_fields.iter().map(field).collect::<Vec<_>>().join("\n"),
        ]
    };
    let rows = answer.platforms.iter().map(row).collect();
    let json = context.json("crs.admin.v1.ListPlatformsResponse", &answer)?;
    context.show(json, vec!["SLUG", "NAME", "DIALECT", "BASE URL", "CREDENTIALS"], rows)
}

const HEADINGS: [&str; 8] =
    ["ID", "PLATFORM", "NAME", "STATUS", "SCHEDULABLE", "PRIORITY", "BASE URL", "LAST USED"];

fn row(account: &Account) -> Vec<String> {
    let until = time(account.status_until.as_ref());
    let details =
        [until.as_str(), account.status_reason.as_str(), &joined(&account.groups)].map(str::to_owned);
    let details: Vec<_> = details.into_iter().filter(|part| !part.is_empty()).collect();
    let status = match details.is_empty() {
        true => account.status.clone(),
        false => format!("{} ({})", account.status, details.join("; ")),
    };
    vec![
        account.id.clone(),
        account.platform.clone(),
        account.name.clone(),
        status,
        account.schedulable.unwrap_or(true).to_string(),
        account.priority.to_string(),
        account.base_url.clone(),
        time(account.last_used_at.as_ref()),
    ]
}

fn show(context: &Context, account: &Account) -> Result<()> {
    let json = context.json("crs.types.v1.Account", account)?;
    let shown = Shown {
        json,
        table: (HEADINGS.to_vec(), vec![row(account)]),
        names: vec![account.id.clone()],
        note: None,
    };
    output::print(context.format, shown)
}
