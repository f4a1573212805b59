//! `crs-control`: a control-plane replica by itself.

use std::{ffi::OsString, process::ExitCode};

use clap::{ArgMatches, Command};
use control_plane::{
    App,
    config::{self, Config},
};
use process::{
    config::{Error, Parsed, parse},
    signals,
};

fn main() -> ExitCode {
    // Several libraries could bring a TLS provider; this is the one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => complain(&why),
    }
}

fn command() -> Command {
    let settings = |name: &'static str| Command::new(name).args(config::arguments());
    Command::new("crs-control")
        .about("A control-plane replica of the Claude relay service")
        .version(proto::VERSION)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(settings("serve").about("Serve administrators and nodes until SIGTERM"))
        .subcommand(
            Command::new("config")
                .about("Look at the settings without serving")
                .subcommand_required(true)
                .subcommand(settings("check").about("Tell what is wrong with the settings"))
                .subcommand(settings("print").about("Print the settings with their origins, secrets masked")),
        )
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<()> {
    let parsed = parse(command(), arguments, &config::environment())?;
    match parsed.matches.subcommand() {
        Some(("serve", matches)) => serve(&parsed, matches),
        Some(("config", inner)) => match inner.subcommand() {
            Some(("print", matches)) => Ok(config::print(&parsed, matches)?),
            Some((_, matches)) => Ok(config::check(matches)?),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn serve(parsed: &Parsed, matches: &ArgMatches) -> anyhow::Result<()> {
    config::start_logs(matches);
    parsed.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
    let config = Config::read(matches)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let app = App::build(config).await?;
        app.serve(async {
            if let Err(why) = signals::terminated().await {
                tracing::error!(%why, "signals cannot be waited for");
            }
        })
        .await
    })?;
    Ok(())
}

/// Says what is wrong: clap in its own words (help included), the rest on one line.
fn complain(why: &anyhow::Error) -> ExitCode {
    use std::io::Write as _;
    if let Some(Error::Usage(usage)) = why.downcast_ref::<Error>() {
        let _ = usage.print();
        return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
    }
    let _ = writeln!(std::io::stderr(), "crs-control: {}", process::failure::told(why.as_ref()));
    ExitCode::FAILURE
}
