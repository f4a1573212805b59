//! `account oauth|refresh`: signing an account in, and renewing its token by hand.

use std::io::{BufRead as _, Write as _};

use anyhow::{Context as _, Result};
use sdk::{admin, types::Account};

use super::{Context, Fields, get, show};

/// A sign-in.
#[derive(Debug, clap::Args)]
pub struct SignIn {
    /// Platform, such as claude-official, openai-responses or gemini
    platform: String,
    /// Name of the new account; its e-mail address where none is given
    #[arg(long, default_value = "")]
    name: String,
    /// Id of an account to authorise again, instead of making a new one
    #[arg(long, default_value = "", value_name = "ID")]
    account: String,
    /// A token that lasts a year and is not renewed, where the platform has such
    #[arg(long)]
    setup_token: bool,
    /// The other fields of the new account
    #[command(flatten)]
    fields: Fields,
}

/// Shows the page, takes the code that comes of it from standard input, and shows the account.
pub async fn sign_in(context: &Context, asked: SignIn) -> Result<()> {
    let SignIn { platform, name, account: account_id, setup_token, fields } = asked;
    let mut account = Account { platform: platform.clone(), name, ..Account::default() };
    fields.apply(&mut account)?;
    let mut client = context.client.accounts();
    let begin = admin::BeginOauthRequest {
        platform: platform.clone(),
        account_id,
        long_lived: setup_token,
        account: Some(account.clone()),
    };
    let begun = client.begin_oauth(begin).await.map_err(sdk::Error::from)?.into_inner();
    let mut screen = std::io::stderr();
    writeln!(
        screen,
        "Open this page, sign in, and paste here the code or the address it leads to:\n\n{}\n",
        begun.auth_url
    )?;
    let mut code = String::new();
    std::io::stdin().lock().read_line(&mut code).context("no code was given")?;
    let request = admin::ExchangeOauthRequest {
        platform,
        session_id: begun.session_id,
        code: code.trim().to_owned(),
        account: Some(account),
    };
    show(context, &client.exchange_oauth(request).await.map_err(sdk::Error::from)?.into_inner())
}

/// Renews an account's token.
pub async fn refresh(context: &Context, id: String) -> Result<()> {
    let platform = get(context, id.clone()).await?.platform;
    let request = admin::RefreshAccountRequest { platform, id };
    let account = context.client.accounts().refresh_account(request).await.map_err(sdk::Error::from)?;
    show(context, &account.into_inner())
}
