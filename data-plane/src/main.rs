//! `crs-data`: a data-plane node apart from its control plane.

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;
use clap::Command;
use data_plane::{
    app::{App, Setup},
    config::{self, Config, ControlConfig},
};
use link::Target;
use process::{config::Parsed, logs, signals};
use proto::rules::key_hash::Pepper;
use secrecy::{ExposeSecret as _, SecretSlice};

fn main() -> ExitCode {
    let parsed = match process::config::parse(command(), std::env::args_os(), &config::environment()) {
        Ok(parsed) => parsed,
        Err(process::config::Error::Usage(usage)) => usage.exit(),
        Err(error) => {
            eprintln!("crs-data: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&parsed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crs-data: {}", process::failure::told(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    let settings = |name: &'static str| Command::new(name).args(config::arguments());
    Command::new("crs-data")
        .version(proto::VERSION)
        .about("A data-plane node of Claude Relay Service")
        .subcommand_required(true)
        .subcommand(settings("serve").about("Relay requests until told to end"))
        .subcommand(
            Command::new("config")
                .about("Look at the settings")
                .subcommand_required(true)
                .subcommand(settings("check").about("Say whether the settings can be used"))
                .subcommand(settings("print").about("Print the effective settings and where they come from")),
        )
}

fn run(parsed: &Parsed) -> anyhow::Result<()> {
    match parsed.matches.subcommand() {
        Some(("serve", matches)) => serve(parsed, matches),
        Some(("config", matches)) => look(parsed, matches),
        _ => anyhow::bail!("no command"),
    }
}

fn look(parsed: &Parsed, matches: &clap::ArgMatches) -> anyhow::Result<()> {
    let Some((name, matches)) = matches.subcommand() else { anyhow::bail!("no command") };
    Config::read(matches)?;
    ControlConfig::read(matches)?;
    if name == "print" {
        let settings = Command::new("print").args(config::arguments());
        for (key, value, origin) in parsed.effective(&settings, matches) {
            write_line(&format!("{key} = {value}  # {origin}"))?;
        }
    }
    Ok(())
}

fn write_line(text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{text}")
}

fn serve(parsed: &Parsed, matches: &clap::ArgMatches) -> anyhow::Result<()> {
    let filter = matches.get_one::<String>("log-level").map_or("info", String::as_str);
    let format = matches.get_one("log-format").copied().unwrap_or(logs::Format::Text);
    logs::init(filter, format);
    parsed.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
    let (config, control) = (Config::read(matches)?, ControlConfig::read(matches)?);
    // Requests are served by threads of their own: this runtime only does what goes on beside them.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let setup = Setup {
            administered_locally: is_local(&control.url),
            secret: node_secret(&control)?,
            control: Target::Remote { url: control.url, authorities: control.ca_file },
            join_token: control.join_token,
            node_name: control.node_name,
            config,
        };
        let app = App::build(setup).await?;
        tracing::info!(listen = %app.address(), "relaying");
        app.serve(async {
            if let Err(error) = signals::terminated().await {
                tracing::error!(%error, "signals cannot be heard; ending");
            }
        })
        .await;
        anyhow::Ok(())
    })
}

/// Whether the control plane is at a loopback address.
fn is_local(url: &str) -> bool {
    let host =
        url.parse::<http::Uri>().ok().and_then(|url| url.host().map(str::to_owned)).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What seals the snapshot on disk: a file's content, or a digest of the join token. Neither lives in the data directory.
fn node_secret(control: &ControlConfig) -> anyhow::Result<SecretSlice<u8>> {
    let secret = match &control.secret_file {
        Some(path) => read_secret(path)?,
        None => {
            let token = control.join_token.expose_secret().trim();
            Pepper::new(token.as_bytes()).digest(b"crs node secret, version 1").0.to_vec()
        }
    };
    Ok(SecretSlice::from(secret))
}

fn read_secret(path: &Path) -> anyhow::Result<Vec<u8>> {
    let secret = std::fs::read(path).with_context(|| format!("node secret file {}", path.display()))?;
    anyhow::ensure!(secret.len() >= 16, "node secret file {} holds fewer than 16 bytes", path.display());
    Ok(secret)
}
