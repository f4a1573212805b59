//! Looking at the settings without serving: `config check` and `config print`, for every program that has them.

use std::io::{self, Write as _};

use clap::{ArgMatches, Command};
use process::{config::Parsed, logs};

use super::{Config, Error, MasterKeyError, arguments};

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// The settings themselves.
    #[error(transparent)]
    Settings(#[from] Error),
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
}

/// Tells what is wrong with the settings. Reads no store, binds no port and makes no file.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(matches: &ArgMatches) -> Result<(), Wrong> {
    let config = Config::read(matches)?;
    let key = &config.store.master_key;
    if key.value.is_some() || key.file.is_some() {
        key.load()?;
    }
    Ok(())
}

/// Prints the effective settings of a list of arguments with their origins, secrets masked.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(parsed: &Parsed, matches: &ArgMatches) -> io::Result<()> {
    print_of(parsed, matches, &Command::new("settings").args(arguments()))
}

/// As [`print`], for a command that has more settings.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_of(parsed: &Parsed, matches: &ArgMatches, command: &Command) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (key, value, origin) in parsed.effective(command, matches) {
        writeln!(out, "{key} = {value:?}  # {origin}")?;
    }
    out.flush()
}

/// Sets the process's logs up as the settings say.
pub fn start_logs(matches: &ArgMatches) {
    let level = matches.get_one::<String>("log-level").map_or("info", String::as_str);
    let format = matches.get_one::<logs::Format>("log-format").copied().unwrap_or(logs::Format::Text);
    logs::init(level, format);
}
