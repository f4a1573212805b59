//! Configuration: flag > environment > file > default, with the origin of every value.
//!
//! A process describes its settings once, as clap arguments: the argument's id is its key in the TOML file (`listen`,
//! `upstream-allow-private`; `-` and `_` are the same, a table's name is joined with `-`), its variable is `CRS_` and
//! the id in capitals. Version 1's variables are understood as aliases; an unknown `CRS_` variable is an error.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use clap::{Arg, ArgMatches, Command, parser::ValueSource};

mod file;

/// Version 1's variables that still mean something, and what they are now. `{}` stands for the value.
const V1_ALIASES: &[(&str, &str)] =
    &[("ADMIN_USERNAME", "admin-username"), ("ADMIN_PASSWORD", "admin-password"), ("LOG_LEVEL", "log-level")];

/// Version 1's variables that mean nothing here, and what to do instead.
const V1_DEAD: &[(&str, &str)] = &[
    ("API_KEY_PREFIX", "a key's prefix has no meaning; new keys begin with cr_"),
    ("ENCRYPTION_KEY", "secrets are sealed with the master key; only an import of version 1's data needs it"),
    ("JWT_SECRET", "session keys are generated and kept sealed in the store"),
    ("WEB_SESSION_SECRET", "session keys are generated and kept sealed in the store"),
    ("CLAUDE_API_URL", "set base_url on the account"),
    ("CLAUDE_BETA_HEADER", "the client's own header is passed on"),
    ("DEFAULT_TOKEN_LIMIT", "set limits on the key"),
    ("STICKY_SESSION_TTL_HOURS", "use the setting binding_ttl"),
    ("TIMEZONE_OFFSET", "use the setting time_zone with an IANA name"),
    ("SYSTEM_TIMEZONE", "use the setting time_zone with an IANA name"),
];

/// What cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is missing or is no TOML.
    #[error("configuration file {path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file has a key that no setting has.
    #[error(
        "configuration file {path}: no setting is called {key:?}; see `config print` for those there are"
    )]
    UnknownKey {
        /// Which file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// The environment has a variable with our prefix that no setting has.
    #[error("environment: no setting is called {0}; see `config print` for those there are")]
    UnknownVariable(String),
    /// clap's own: usage, help, a bad value.
    #[error(transparent)]
    Usage(#[from] clap::Error),
}

/// Arguments with the file's and version 1's values folded in as defaults.
#[derive(Debug)]
pub struct Parsed {
    /// What clap made of it all.
    pub matches: ArgMatches,
    /// By argument id: where a value that clap calls a default really came from.
    origins: BTreeMap<String, String>,
    /// Lines to log at start: variables of version 1 that mean nothing any more.
    pub notices: Vec<String>,
}

/// Reads arguments, environment and file for a command with subcommands.
///
/// `environment` is the process's own (`std::env::vars_os`), passed in so that tests need not change theirs.
pub fn parse(
    command: Command,
    arguments: impl IntoIterator<Item = OsString>,
    environment: &BTreeMap<String, String>,
) -> Result<Parsed, Error> {
    let ids = argument_ids(&command);
    refuse_unknown_variables(&ids, environment)?;
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut defaults = BTreeMap::new();
    if let Some(path) = file::named(&arguments, environment) {
        for (key, value) in file::read(&path)? {
            if !ids.contains(&key) {
                return Err(Error::UnknownKey { path, key });
            }
            defaults.insert(key, (value, format!("file {}", path.display())));
        }
    }
    for (id, value, origin) in v1_values(environment) {
        if ids.contains(&id) {
            defaults.insert(id, (value, origin));
        }
    }
    for (id, name) in ids.iter().map(|id| (id, variable(id))) {
        if let Some(value) = environment.get(&name).filter(|value| !value.is_empty()) {
            defaults.insert(id.clone(), (value.clone(), "environment".into()));
        }
    }
    let mut command = with_defaults(command, &defaults);
    let matches = command.try_get_matches_from_mut(arguments)?;
    let origins = defaults.into_iter().map(|(id, (_, origin))| (id, origin)).collect();
    Ok(Parsed { matches, origins, notices: dead_variables(environment) })
}

impl Parsed {
    /// The effective settings of a subcommand as `(key, value, origin)`, secrets masked.
    pub fn effective(&self, command: &Command, subcommand: &ArgMatches) -> Vec<(String, String, String)> {
        let shown = |arg: &Arg| {
            let id = arg.get_id().as_str();
            let values: Vec<_> = subcommand
                .get_raw(id)
                .into_iter()
                .flatten()
                .map(|value| value.to_string_lossy().into_owned())
                .collect();
            let value = if arg.is_hide_env_values_set() && !values.is_empty() {
                "***".into()
            } else {
                values.join(",")
            };
            let origin = match subcommand.value_source(id) {
                Some(ValueSource::CommandLine) => "flag".into(),
                _ => self.origins.get(id).cloned().unwrap_or_else(|| "default".into()),
            };
            (id.to_owned(), value, origin)
        };
        command.get_arguments().filter(|arg| arg.get_env().is_some()).map(shown).collect()
    }
}

fn argument_ids(command: &Command) -> Vec<String> {
    let own =
        command.get_arguments().filter(|arg| arg.get_env().is_some()).map(|arg| arg.get_id().to_string());
    own.chain(command.get_subcommands().flat_map(argument_ids)).collect()
}

fn variable(id: &str) -> String {
    format!("CRS_{}", id.replace('-', "_").to_uppercase())
}

fn refuse_unknown_variables(ids: &[String], environment: &BTreeMap<String, String>) -> Result<(), Error> {
    let known = |name: &str| ids.iter().any(|id| name == variable(id));
    match environment.keys().find(|name| name.starts_with("CRS_") && !known(name)) {
        Some(name) => Err(Error::UnknownVariable(name.clone())),
        None => Ok(()),
    }
}

/// Values that version 1's variables give: `(argument id, value, origin)`.
fn v1_values(environment: &BTreeMap<String, String>) -> Vec<(String, String, String)> {
    let get = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    let mut values: Vec<_> = V1_ALIASES
        .iter()
        .filter_map(|(name, id)| Some(((*id).to_owned(), get(name)?, format!("environment ({name})"))))
        .collect();
    if let Some(port) = get("PORT") {
        let host = get("HOST").unwrap_or_else(|| "0.0.0.0".into());
        values.push(("listen".into(), format!("{host}:{port}"), "environment (HOST, PORT)".into()));
    }
    if let Some(host) = get("REDIS_HOST") {
        let port = get("REDIS_PORT").unwrap_or_else(|| "6379".into());
        let database = get("REDIS_DB").unwrap_or_else(|| "0".into());
        let login = get("REDIS_PASSWORD").map(|password| format!(":{password}@")).unwrap_or_default();
        let scheme = if get("REDIS_ENABLE_TLS").as_deref() == Some("true") { "rediss" } else { "redis" };
        let url = format!("{scheme}://{login}{host}:{port}/{database}");
        values.push(("store".into(), url, "environment (REDIS_…)".into()));
    }
    values
}

fn dead_variables(environment: &BTreeMap<String, String>) -> Vec<String> {
    V1_DEAD
        .iter()
        .filter(|(name, _)| environment.contains_key(*name))
        .map(|(name, instead)| format!("{name} of version 1 has no effect: {instead}"))
        .collect()
}

fn with_defaults(command: Command, defaults: &BTreeMap<String, (String, String)>) -> Command {
    let ids: Vec<String> = command.get_arguments().map(|arg| arg.get_id().to_string()).collect();
    let mut command = command;
    for id in ids {
        if let Some((value, _)) = defaults.get(&id) {
            let value = value.clone();
            command = command.mut_arg(id, |arg| arg.required(false).default_value(value));
        }
    }
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, |sub| with_defaults(sub, defaults)))
}

#[cfg(test)]
mod tests;
