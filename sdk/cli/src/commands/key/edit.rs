//! The fields of a key as flags.

use std::collections::HashMap;

use anyhow::Result;
use sdk::types::{AccountBinding, Expiration, Key, ModelRule};

use crate::{failure::Usage, limit_syntax};

/// A key's fields; those that are given are set.
#[derive(Debug, clap::Args)]
pub struct Fields {
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Label; again for more, `--tag ""` for none
    #[arg(long = "tag", value_name = "TAG")]
    tags: Option<Vec<String>>,
    /// active or disabled
    #[arg(long)]
    status: Option<String>,
    /// Owner's user id
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Platform family it may use: claude, gemini, openai; again for more, `--permission all` for all
    #[arg(long = "permission", value_name = "FAMILY")]
    permissions: Option<Vec<String>>,
    /// Only these models, with *; again for more, `--allow-model ""` lifts the rule
    #[arg(long = "allow-model", value_name = "PATTERN", conflicts_with = "deny_models")]
    allow_models: Option<Vec<String>>,
    /// All models but these, with *; again for more
    #[arg(long = "deny-model", value_name = "PATTERN")]
    deny_models: Option<Vec<String>>,
    /// Only this client kind, such as claude_code; again for more, `--client ""` for all
    #[arg(long = "client", value_name = "KIND")]
    clients: Option<Vec<String>>,
    /// Only from this network (CIDR); again for more, `--network ""` for all
    #[arg(long = "network", value_name = "CIDR")]
    networks: Option<Vec<String>>,
    /// Limit, such as requests:100/10m or concurrency:5; again for more, `--limit ""` for none
    #[arg(long = "limit", value_name = "LIMIT")]
    limits: Option<Vec<String>>,
    /// When it ends, such as 2027-01-31T00:00:00Z or 30d from now; `never` for no end
    #[arg(long, value_name = "TIME", conflicts_with = "expires_after_first_use")]
    expires: Option<String>,
    /// How long it lives from its first request, such as 30d
    #[arg(long, value_name = "DURATION")]
    expires_after_first_use: Option<String>,
    /// The account that serves a family, as FAMILY=ACCOUNT; again for more, `--account ""` for the pool
    #[arg(long = "account", value_name = "FAMILY=ACCOUNT")]
    accounts: Option<Vec<String>>,
    /// Groups that serve a family, as FAMILY=GROUP,GROUP in the order in which they are tried; again for more families
    #[arg(long = "group", value_name = "FAMILY=GROUP[,GROUP…]")]
    groups: Option<Vec<String>>,
    /// Whether the pool may serve when neither the account nor a group of `--account` and `--group` can
    #[arg(long)]
    fallback_to_pool: bool,
}

impl Fields {
    /// Sets what was given; answers the paths that were.
    pub fn apply(self, key: &mut Key) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        set(&mut paths, "description", self.description, |value| key.description = value);
        set(&mut paths, "tags", self.tags.map(given), |value| key.tags = value);
        set(&mut paths, "status", self.status, |value| key.status = value);
        set(&mut paths, "owner_user_id", self.owner, |value| key.owner_user_id = value);
        set(&mut paths, "permissions", self.permissions.map(given), |value| key.permissions = value);
        set(&mut paths, "clients", self.clients.map(given), |value| key.clients = value);
        set(&mut paths, "networks", self.networks.map(given), |value| key.networks = value);
        let models = rule("allow", self.allow_models).or(rule("deny", self.deny_models));
        set(&mut paths, "models", models, |value| key.models = value);
        if let Some(limits) = self.limits {
            key.limits =
                given(limits).iter().map(|limit| limit_syntax::parse(limit)).collect::<Result<_, _>>()?;
            paths.push("limits".into());
        }
        let expiration = match (self.expires, self.expires_after_first_use) {
            (Some(text), _) => Some(fixed_end(&text)?),
            (None, Some(text)) => Some(Some(Expiration {
                mode: "activation".into(),
                duration: Some(parse_duration(&text).map_err(Usage)?),
                ..Expiration::default()
            })),
            (None, None) => None,
        };
        set(&mut paths, "expiration", expiration, |value| key.expiration = value);
        if self.accounts.is_some() || self.groups.is_some() {
            let (accounts, groups) = (self.accounts.unwrap_or_default(), self.groups.unwrap_or_default());
            key.account_binding = bindings(given(accounts), given(groups), self.fallback_to_pool)?;
            paths.push("account_binding".into());
        } else if self.fallback_to_pool {
            return Err(Usage("--fallback-to-pool goes with --account or --group".into()).into());
        }
        Ok(paths)
    }
}

fn set<T>(paths: &mut Vec<String>, path: &str, value: Option<T>, assign: impl FnOnce(T)) {
    if let Some(value) = value {
        assign(value);
        paths.push(path.into());
    }
}

/// A list flag given as the empty text means the empty list.
fn given(list: Vec<String>) -> Vec<String> {
    list.into_iter().filter(|item| !item.is_empty()).collect()
}

fn rule(mode: &str, patterns: Option<Vec<String>>) -> Option<Option<ModelRule>> {
    let patterns = given(patterns?);
    Some((!patterns.is_empty()).then(|| ModelRule { mode: mode.into(), patterns }))
}

fn bindings(
    accounts: Vec<String>,
    groups: Vec<String>,
    fallback_to_pool: bool,
) -> Result<HashMap<String, AccountBinding>, Usage> {
    let mut bindings = HashMap::new();
    let mut bind = |flag: &str, text: &str, bound: fn(&str) -> AccountBinding| {
        let (family, whom) =
            text.split_once('=').ok_or_else(|| Usage(format!("{flag} {text:?}: write FAMILY=ID")))?;
        let binding = AccountBinding { fallback_to_pool, ..bound(whom) };
        match bindings.insert(family.to_owned(), binding) {
            None => Ok(()),
            Some(_) => Err(Usage(format!("{flag} {text:?}: {family} is bound twice"))),
        }
    };
    for text in accounts {
        bind("--account", &text, |id| AccountBinding {
            account: id.to_owned(),
            ..AccountBinding::default()
        })?;
    }
    for text in groups {
        bind("--group", &text, |ids| AccountBinding {
            groups: ids.split(',').map(|id| id.trim().to_owned()).collect(),
            ..AccountBinding::default()
        })?;
    }
    Ok(bindings)
}

fn fixed_end(text: &str) -> Result<Option<Expiration>, Usage> {
    if text == "never" {
        return Ok(None);
    }
    let at = match parse_duration(text) {
        Ok(life) => process::clock::unix_ms() / 1000 + life.seconds,
        Err(_) => text
            .parse::<jiff::Timestamp>()
            .map_err(|_| Usage(format!("--expires {text:?}: write 2027-01-31T00:00:00Z, 30d or never")))?
            .as_second(),
    };
    let expires_at = Some(prost_types::Timestamp { seconds: at, nanos: 0 });
    Ok(Some(Expiration { mode: "fixed".into(), expires_at, ..Expiration::default() }))
}

/// A duration such as `90s`, `30m`, `24h`, `7d`.
pub fn parse_duration(text: &str) -> Result<prost_types::Duration, String> {
    let wrong = || format!("{text:?} is no duration; write 90s, 30m, 24h or 7d");
    let unit = match text.as_bytes().last().ok_or_else(wrong)? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number = text[..text.len() - 1].parse::<u32>().map_err(|_| wrong())?;
    Ok(prost_types::Duration { seconds: i64::from(number) * unit, nanos: 0 })
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

    fn apply(line: &[&str]) -> Result<(Key, Vec<String>)> {
        let line = Line::parse_from(["x"].iter().chain(line));
        let mut key = Key::default();
        let paths = line.fields.apply(&mut key)?;
        Ok((key, paths))
    }

    #[test]
    fn only_what_is_given_is_in_the_mask() {
        assert!(apply(&[]).unwrap().1.is_empty());
        let (key, paths) = apply(&["--tag", "a", "--tag", "b", "--limit", "concurrency:2"]).unwrap();
        assert_eq!(paths, ["tags", "limits"]);
        assert_eq!(key.tags, ["a", "b"]);
        assert_eq!(key.limits[0].amount, 2);
    }

    #[test]
    fn the_empty_text_empties_a_list() {
        let (key, paths) = apply(&["--limit", "", "--allow-model", ""]).unwrap();
        assert_eq!(paths, ["models", "limits"]);
        assert!(key.limits.is_empty() && key.models.is_none());
    }

    #[test]
    fn ends() {
        let (key, _) = apply(&["--expires", "2027-01-31T00:00:00Z"]).unwrap();
        assert_eq!(key.expiration.unwrap().expires_at.unwrap().seconds, 1_801_353_600);
        let (key, _) = apply(&["--expires-after-first-use", "30d"]).unwrap();
        assert_eq!(key.expiration.unwrap().duration.unwrap().seconds, 30 * 86_400);
        assert!(apply(&["--expires", "soon"]).is_err());
        assert!(apply(&["--account", "claude"]).is_err());
    }

    #[test]
    fn accounts_and_groups_that_serve() {
        let line = ["--group", "claude=g1,g2", "--account", "gemini=a", "--fallback-to-pool"];
        let (key, paths) = apply(&line).unwrap();
        assert_eq!(paths, ["account_binding"]);
        assert_eq!(key.account_binding["claude"].groups, ["g1", "g2"]);
        assert!(key.account_binding["gemini"].fallback_to_pool);
        assert_eq!(key.account_binding["gemini"].account, "a");
        assert!(apply(&["--fallback-to-pool"]).is_err());
        assert!(apply(&["--group", "claude=g", "--account", "claude=a"]).is_err());
    }
}
