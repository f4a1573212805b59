//! `crs-data`: a data-plane node apart from its control plane.

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;
use clap::Command;
use data_plane::{
    app::{App, Ending, Setup},
    config::{self, Config, ControlConfig},
};
use link::Target;
use process::{config::Parsed, logs, signals};
use proto::rules::{ids::NodeId, key_hash::Pepper};
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
        let node_id =
            control.certificate.as_ref().map(|(certificate, _)| certified(certificate)).transpose()?;
        let setup = Setup {
            administered_locally: is_local(&control.url),
            secret: node_secret(&control)?,
            control: Target::Remote {
                url: control.url,
                authorities: control.ca_file,
                certificate: control.certificate,
            },
            node_id,
            join_token: control.join_token,
            membership_grace: control.membership_grace,
            node_name: control.node_name,
            config,
        };
        let app = App::build(setup).await?;
        tracing::info!(listen = %app.address(), "relaying");
        let ending = app.serve(async {
            if let Err(error) = signals::terminated().await {
                tracing::error!(%error, "signals cannot be heard; ending");
            }
        });
        match ending.await {
            Ending::Asked => anyhow::Ok(()),
            Ending::Revoked => anyhow::bail!("this node's membership has ended: it needs another join token"),
        }
    })
}

/// Whether the control plane is at a loopback address.
fn is_local(url: &str) -> bool {
    let host =
        url.parse::<http::Uri>().ok().and_then(|url| url.host().map(str::to_owned)).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The node's id by its certificate: the first DNS name.
fn certified(path: &Path) -> anyhow::Result<NodeId> {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};
    let what = || format!("client certificate {}", path.display());
    let der = CertificateDer::from_pem_file(path).with_context(what)?;
    let certificate = webpki::EndEntityCert::try_from(&der).with_context(what)?;
    let name = certificate.valid_dns_names().next();
    name.map(NodeId::new).with_context(|| format!("{} has no DNS name to be this node's id", what()))
}

/// What seals the snapshot on disk: a file's content, or a digest of what the node proves itself with. None of them lives
/// in the data directory.
fn node_secret(control: &ControlConfig) -> anyhow::Result<SecretSlice<u8>> {
    let derived = |from: &[u8]| Pepper::new(from).digest(b"crs node secret, version 1").0.to_vec();
    let token = control.join_token.expose_secret().trim();
    let secret = match (&control.secret_file, &control.certificate) {
        (Some(path), _) => read_secret(path)?,
        (None, Some((_, key))) if token.is_empty() => derived(&read_secret(key)?),
        (None, _) => derived(token.as_bytes()),
    };
    Ok(SecretSlice::from(secret))
}

fn read_secret(path: &Path) -> anyhow::Result<Vec<u8>> {
    let secret = std::fs::read(path).with_context(|| format!("node secret file {}", path.display()))?;
    anyhow::ensure!(secret.len() >= 16, "node secret file {} holds fewer than 16 bytes", path.display());
    Ok(secret)
}
