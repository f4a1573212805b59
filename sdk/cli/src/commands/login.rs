//! `login`, `logout`, `whoami`.

use std::io::{self, IsTerminal as _, Read as _};

use anyhow::{Context as _, Result};
use sdk::Client;

use super::{Context, DEFAULT_ADDRESS};
use crate::{
    failure::Usage,
    output::{self, Format, Shown},
    profile::{self, Profile},
};

/// How to log in.
#[derive(Debug, clap::Args)]
pub struct Login {
    /// Login name
    #[arg(long, short, default_value = "admin")]
    username: String,
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

/// Logs in and keeps the session in the profile.
pub async fn login(login: Login, address: Option<String>, name: &str, format: Format) -> Result<()> {
    let path = profile::file(name)?;
    let kept = profile::load(&path)?.address;
    let address =
        address.or_else(|| (!kept.is_empty()).then_some(kept)).unwrap_or_else(|| DEFAULT_ADDRESS.into());
    let password = password(login.password_stdin)?;
    let (_, session) = Client::login(&address, &login.username, &password).await?;
    let session = session.received_at(process::clock::unix_ms() / 1000);
    profile::save(&path, &Profile::of(address.clone(), &session))?;
    let note = format!("Logged in to {address} as {}.", login.username);
    let json = serde_json::json!({ "address": address, "username": login.username });
    output::print(
        format,
        Shown { json, table: (vec![], vec![]), names: vec![login.username], note: Some(note) },
    )
}

fn password(from_stdin: bool) -> Result<String> {
    if from_stdin {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("standard input")?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    if !io::stdin().is_terminal() {
        return Err(Usage("no terminal to ask for the password on; pass --password-stdin".into()).into());
    }
    dialoguer::Password::new().with_prompt("Password").interact().context("the password was not read")
}

/// Ends the session, here and there.
pub async fn logout(context: &Context, name: &str) -> Result<()> {
    let answer = context.client.auth().logout(sdk::admin::LogoutRequest {}).await;
    profile::remove(&profile::file(name)?)?;
    // A session that has ended already is as good as logged out.
    match answer.map_err(sdk::Error::from) {
        Ok(_) | Err(sdk::Error::Unauthenticated(_)) => context.done(name, "Logged out.".into()),
        Err(error) => Err(error.into()),
    }
}

/// Tells who is logged in.
pub async fn whoami(context: &Context) -> Result<()> {
    let me = context
        .client
        .auth()
        .get_me(sdk::admin::GetMeRequest {})
        .await
        .map_err(sdk::Error::from)?
        .into_inner();
    let row = vec![me.username.clone(), me.role.clone(), me.kind.clone(), me.methods.len().to_string()];
    context.show(context.json("crs.admin.v1.Me", &me)?, vec!["NAME", "ROLE", "BY", "METHODS"], vec![row])
}
