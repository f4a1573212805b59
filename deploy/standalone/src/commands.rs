//! The command line: `serve`, `config check`, `config print`. The settings are both planes' own, less what joins them.

use std::{collections::BTreeSet, ffi::OsString, io::Write as _, process::ExitCode};

use clap::{Arg, ArgMatches, Command};
use control_plane::config::{self as control, NODE_ARGUMENTS};
use process::config::{Error, Parsed, parse};

use crate::serve::serve;

/// Settings of both planes: the control plane's without its port for nodes, and what relaying adds.
fn arguments() -> Vec<Arg> {
    let control = control::arguments().into_iter();
    let mut known = BTreeSet::new();
    control
        .filter(|argument| !NODE_ARGUMENTS.contains(&argument.get_id().as_str()))
        .chain(data_plane::config::relay_arguments())
        .filter(|argument| known.insert(argument.get_id().to_string()))
        .collect()
}

fn command() -> Command {
    let settings = |name: &'static str| Command::new(name).args(arguments());
    Command::new("crs")
        .about("Claude relay service: relay and administration in one process")
        .version(proto::VERSION)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(settings("serve").about("Relay and administer until SIGTERM"))
        .subcommand(
            Command::new("config")
                .about("Look at the settings without serving")
                .subcommand_required(true)
                .subcommand(settings("check").about("Tell what is wrong with the settings"))
                .subcommand(settings("print").about("Print the settings with their origins, secrets masked")),
        )
}

/// Runs the command that the arguments name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match dispatch(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => complain(&why),
    }
}

fn dispatch(given: impl IntoIterator<Item = OsString>) -> anyhow::Result<()> {
    let parsed = parse(command(), given, &control::environment())?;
    match parsed.matches.subcommand() {
        Some(("serve", matches)) => {
            control::start_logs(matches);
            parsed.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
            serve(matches)
        }
        Some(("config", inner)) => match inner.subcommand() {
            Some(("print", matches)) => print(&parsed, matches),
            Some((_, matches)) => check(matches),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn check(matches: &ArgMatches) -> anyhow::Result<()> {
    control::check(matches)?;
    data_plane::config::Config::read(matches)?;
    Ok(())
}

fn print(parsed: &Parsed, matches: &ArgMatches) -> anyhow::Result<()> {
    check(matches)?;
    Ok(control::print_of(parsed, matches, &Command::new("settings").args(arguments()))?)
}

/// Says what is wrong: clap in its own words (help included), the rest on one line.
fn complain(why: &anyhow::Error) -> ExitCode {
    if let Some(Error::Usage(usage)) = why.downcast_ref::<Error>() {
        let _ = usage.print();
        return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
    }
    let _ = writeln!(std::io::stderr(), "crs: {}", process::failure::told(why.as_ref()));
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_both_planes_fit_together() {
        command().debug_assert();
        let ids: Vec<_> = arguments().iter().map(|argument| argument.get_id().to_string()).collect();
        for id in ["listen", "control-listen", "ops-listen", "data-dir", "store", "print-bootstrap"] {
            assert!(ids.contains(&id.to_owned()), "{id}");
        }
        for id in ["node-listen", "control", "join-token"] {
            assert!(!ids.contains(&id.to_owned()), "{id}");
        }
    }

    #[test]
    fn the_defaults_can_be_read_by_both_planes() {
        let matches = Command::new("crs").args(arguments()).get_matches_from(["crs"]);
        check(&matches).unwrap();
        assert!(control::Config::read(&matches).unwrap().nodes.is_none());
    }
}
