//! The fields of an account as flags.

use std::{collections::HashMap, io::Read as _};

use anyhow::{Context as _, Result};
use sdk::types::{Account, Proxy};

use crate::failure::Usage;

/// An account's fields; those that are given are set.
#[derive(Debug, clap::Args)]
pub struct Fields {
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Where the platform answers
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Credential, as FIELD=VALUE; `FIELD=@FILE` reads a file, `FIELD=-` standard input; again for more
    #[arg(long = "credential", value_name = "FIELD=VALUE")]
    credentials: Option<Vec<String>>,
    /// Short for `--credential api_key=…`
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Way out: http://, https:// or socks5://, with user:password@ where needed; empty for none
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Lower is preferred, 1 to 100
    #[arg(long)]
    priority: Option<i32>,
    /// Share among equals, 1 to 100
    #[arg(long)]
    weight: Option<i32>,
    /// Requests at once; 0: no cap
    #[arg(long)]
    max_concurrency: Option<u32>,
    /// Whether the scheduler may choose it
    #[arg(long)]
    schedulable: Option<bool>,
    /// active or disabled
    #[arg(long)]
    status: Option<String>,
    /// Model mapping, as FROM=TO with * at the end; again for more, `--map ""` for none
    #[arg(long = "map", value_name = "FROM=TO")]
    model_mapping: Option<Vec<String>>,
    /// Model it serves, with *; again for more, `--model ""` for all
    #[arg(long = "model", value_name = "PATTERN")]
    supported_models: Option<Vec<String>>,
    /// Label; again for more, `--tag ""` for none
    #[arg(long = "tag", value_name = "TAG")]
    tags: Option<Vec<String>>,
    /// Sent upstream instead of the client's
    #[arg(long)]
    user_agent: Option<String>,
    /// shared, dedicated or group
    #[arg(long)]
    availability: Option<String>,
    /// Read on after the client left, to learn the true usage
    #[arg(long)]
    read_on_after_abort: Option<bool>,
    /// Leave it alone from this share of an upstream's usage window on, percent; 0: 100
    #[arg(long, value_name = "PERCENT")]
    window_pause_percent: Option<u32>,
}

impl Fields {
    /// Sets what was given; answers the paths that were.
    pub fn apply(self, account: &mut Account) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        macro_rules! set {
            ($($field:ident = $value:expr),* $(,)?) => {
                $(if let Some(value) = $value {
                    account.$field = value;
                    paths.push(stringify!($field).to_owned());
                })*
            };
        }
        set!(
            description = self.description,
            base_url = self.base_url,
            priority = self.priority,
            weight = self.weight,
            max_concurrency = self.max_concurrency,
            schedulable = self.schedulable.map(Some),
            status = self.status,
            supported_models = self.supported_models.map(given),
            tags = self.tags.map(given),
            user_agent = self.user_agent,
            availability = self.availability,
            read_on_after_abort = self.read_on_after_abort,
            window_pause_percent = self.window_pause_percent,
            proxy = self.proxy.map(|url| (!url.is_empty()).then_some(Proxy { url })),
            model_mapping = self.model_mapping.map(|list| pairs("--map", given(list))).transpose()?,
            credentials = credentials(self.credentials, self.api_key)?,
        );
        Ok(paths)
    }
}

fn given(list: Vec<String>) -> Vec<String> {
    list.into_iter().filter(|item| !item.is_empty()).collect()
}

fn pairs(flag: &str, list: Vec<String>) -> Result<HashMap<String, String>, Usage> {
    let pair = |text: String| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        // The text itself stays out of the message: it may be a secret.
        None => Err(Usage(format!("{flag}: write NAME=VALUE"))),
    };
    list.into_iter().map(pair).collect()
}

fn credentials(
    list: Option<Vec<String>>,
    api_key: Option<String>,
) -> Result<Option<HashMap<String, String>>> {
    if list.is_none() && api_key.is_none() {
        return Ok(None);
    }
    let mut fields = pairs("--credential", list.unwrap_or_default())?;
    for value in fields.values_mut() {
        if value == "-" {
            value.clear();
            std::io::stdin().read_to_string(value).context("standard input")?;
        } else if let Some(path) = value.strip_prefix('@') {
            *value = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
        } else {
            continue;
        }
        value.truncate(value.trim_end_matches(['\r', '\n']).len());
    }
    if let Some(api_key) = api_key {
        fields.insert("api_key".into(), api_key);
    }
    Ok(Some(fields))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        fields: Fields,
    }

    fn apply(line: &[&str]) -> Result<(Account, Vec<String>)> {
        let line = Line::parse_from(["x"].iter().chain(line));
        let mut account = Account::default();
        let paths = line.fields.apply(&mut account)?;
        Ok((account, paths))
    }

    #[test]
    fn credentials_come_from_flags_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "from-file\n").unwrap();
        let file = format!("session={}{}", '@', path.display());
        let (account, paths) = apply(&["--api-key", "sk", "--credential", &file]).unwrap();
        assert_eq!(paths, ["credentials"]);
        assert_eq!(account.credentials["api_key"], "sk");
        assert_eq!(account.credentials["session"], "from-file");
    }

    #[test]
    fn a_malformed_credential_is_not_repeated_in_the_message() {
        let error = apply(&["--credential", "sk-secret"]).unwrap_err();
        assert!(!error.to_string().contains("sk-secret"));
    }

    #[test]
    fn an_empty_proxy_means_none() {
        let (account, paths) = apply(&["--proxy", "", "--priority", "3"]).unwrap();
        assert_eq!(paths, ["priority", "proxy"]);
        assert!(account.proxy.is_none());
    }
}
