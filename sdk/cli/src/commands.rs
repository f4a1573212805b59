//! One file a noun, one function a verb. What they share: the connection and how answers are printed.

pub mod account;
pub mod audit;
pub mod binding;
pub mod group;
pub mod key;
pub mod login;
pub mod node;
pub mod request;
pub mod settings;
pub mod stats;
pub mod token;

use anyhow::Result;
use clap::CommandFactory as _;
use prost::Message;
use sdk::{Client, Session};

use crate::{
    arguments::{Arguments, Command},
    output::{self, Format, Shown},
    profile::{self, Profile},
};

/// Address used where neither flag, variable nor profile names one.
const DEFAULT_ADDRESS: &str = "http://localhost:4000";

/// What a command needs: where to call, and how to print.
pub struct Context {
    /// The connection.
    pub client: Client,
    /// How to print.
    pub format: Format,
}

impl Context {
    /// Prints an answer that is one message, with a table of its own.
    pub fn show(
        &self,
        json: serde_json::Value,
        headings: Vec<&'static str>,
        rows: Vec<Vec<String>>,
    ) -> Result<()> {
        let names = rows.iter().filter_map(|row| row.first().cloned()).collect();
        output::print(self.format, Shown { json, table: (headings, rows), names, note: None })
    }

    /// Prints one thing field by field, empty ones left out. `plain`: fields that people read better otherwise.
    pub fn show_one(&self, json: serde_json::Value, plain: &[(&str, String)]) -> Result<()> {
        let names = json["id"].as_str().map(str::to_owned).into_iter().collect();
        let rows = output::fields(&json, plain);
        output::print(self.format, Shown { json, table: (vec!["FIELD", "VALUE"], rows), names, note: None })
    }

    /// Prints what a call without an answer did.
    pub fn done(&self, id: &str, note: String) -> Result<()> {
        let json = serde_json::json!({ "id": id });
        output::print(
            self.format,
            Shown { json, table: (vec![], vec![]), names: vec![id.into()], note: Some(note) },
        )
    }

    /// A message as the REST API would answer it.
    pub fn json(&self, full_name: &str, message: &impl Message) -> Result<serde_json::Value> {
        output::json(full_name, message)
    }
}

/// Runs one command line.
pub async fn run(arguments: Arguments) -> Result<()> {
    let command = match arguments.command {
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "crsctl", &mut std::io::stdout());
            return Ok(());
        }
        Command::Login(login) => {
            return login::login(login, arguments.address, &arguments.profile, arguments.output).await;
        }
        command => command,
    };
    let Connected { client, elsewhere } =
        connect(arguments.address, arguments.token, &arguments.profile).await?;
    let context = Context { client, format: arguments.output };
    dispatch(&context, command, &arguments.profile).await.map_err(|error| match elsewhere {
        Some(address) if matches!(error.downcast_ref(), Some(sdk::Error::Unauthenticated(_))) => {
            error.context(format!("profile `{}` is logged in to {address}", arguments.profile))
        }
        _ => error,
    })
}

async fn dispatch(context: &Context, command: Command, profile: &str) -> Result<()> {
    match command {
        Command::Login(_) | Command::Completion { .. } => unreachable!("answered above"),
        Command::Logout => login::logout(context, profile).await,
        Command::Whoami => login::whoami(context).await,
        Command::Key(command) => key::run(context, *command).await,
        Command::Account(command) => account::run(context, *command).await,
        Command::Binding(command) => binding::run(context, command).await,
        Command::Group(command) => group::run(context, *command).await,
        Command::Platform(command) => account::platforms(context, command).await,
        Command::Stats(command) => stats::run(context, command).await,
        Command::Request(command) => request::run(context, command).await,
        Command::Node(command) => node::run(context, command).await,
        Command::JoinToken(command) => node::join_tokens(context, command).await,
        Command::Token(command) => token::run(context, command).await,
        Command::Settings(command) => settings::run(context, command).await,
        Command::Audit(command) => audit::run(context, command).await,
        Command::Status => stats::status(context).await,
    }
}

/// A client, and where the profile is logged in if that is not where the client calls.
struct Connected {
    client: Client,
    elsewhere: Option<String>,
}

/// Connects by token, or by the profile's session, which is refreshed and saved where it has to be.
async fn connect(address: Option<String>, token: Option<String>, name: &str) -> Result<Connected> {
    let path = profile::file(name)?;
    let kept = profile::load(&path)?;
    let kept_address = (!kept.address.is_empty()).then(|| kept.address.clone());
    let address = address.or_else(|| kept_address.clone()).unwrap_or_else(|| DEFAULT_ADDRESS.into());
    if let Some(token) = token {
        return Ok(Connected { client: Client::with_token(&address, &token)?, elsewhere: None });
    }
    // A session is good only where it was begun: it is never shown to another address.
    if kept.access_token.is_empty() || !profile::same_address(&kept.address, &address) {
        let elsewhere = kept_address.filter(|_| !kept.access_token.is_empty());
        return Ok(Connected { client: Client::anonymous(&address)?, elsewhere });
    }
    let now = process::clock::unix_ms() / 1000;
    if kept.session().is_fresh(now) {
        return Ok(Connected { client: Client::with_token(&address, &kept.access_token)?, elsewhere: None });
    }
    let _alone = profile::lock(&path)?;
    // Another run may have refreshed it while this one waited.
    let kept = profile::load(&path)?;
    let (client, session) = Client::resume(&address, kept.session(), now).await?;
    let session = session.received_at(now);
    if session.access_token != kept.access_token {
        profile::save(&path, &Profile::of(address, &session))?;
    }
    Ok(Connected { client, elsewhere: None })
}

impl Profile {
    /// The session that it keeps.
    fn session(&self) -> Session {
        Session {
            access_token: self.access_token.clone(),
            refresh_token: self.refresh_token.clone(),
            lives_s: 0,
            ends_at: self.ends_at,
        }
    }

    /// The profile that keeps a session.
    pub fn of(address: String, session: &Session) -> Self {
        Self {
            address,
            access_token: session.access_token.clone(),
            refresh_token: session.refresh_token.clone(),
            ends_at: session.ends_at,
        }
    }
}

/// A duration flag such as `30m` or `7d`.
pub(crate) fn key_duration(text: &str) -> Result<prost_types::Duration, String> {
    key::parse_duration(text)
}

/// The time so long from now.
pub(crate) fn from_now(life: prost_types::Duration) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: process::clock::unix_ms() / 1000 + life.seconds, nanos: 0 }
}

/// A list in one cell.
pub(crate) fn joined(list: &[String]) -> String {
    list.join(", ")
}
