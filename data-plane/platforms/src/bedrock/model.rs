//! Anthropic's names of models and Bedrock's ids for them.

use super::account;
use crate::{mapping, platform::AccountView, request};

/// Ids that do not follow the rule, by Anthropic's names. The rule: a dated name is followed by `-v1:0`, an undated one
/// by nothing.
const IDS: &[(&str, &str)] = &[
    ("claude-opus-4-6", "anthropic.claude-opus-4-6-v1"),
    ("claude-opus-4-5", "anthropic.claude-opus-4-5-20251101-v1:0"),
    ("claude-sonnet-4-5", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("claude-haiku-4-5", "anthropic.claude-haiku-4-5-20251001-v1:0"),
    ("claude-opus-4-1", "anthropic.claude-opus-4-1-20250805-v1:0"),
    ("claude-opus-4-0", "anthropic.claude-opus-4-20250514-v1:0"),
    ("claude-sonnet-4-0", "anthropic.claude-sonnet-4-20250514-v1:0"),
    ("claude-3-7-sonnet-latest", "anthropic.claude-3-7-sonnet-20250219-v1:0"),
    ("claude-3-5-sonnet-20241022", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
    ("claude-3-5-sonnet-latest", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
    ("claude-3-5-haiku-latest", "anthropic.claude-3-5-haiku-20241022-v1:0"),
];

/// The id to send for a model that is asked for: the account's mapping, then Bedrock's id with the inference profile.
/// What is an id or an ARN already stays.
pub(super) fn sent(account: &AccountView<'_>, model: &str) -> String {
    let model = mapping::apply(account.model_mapping, model);
    // Claude Code marks the long context so; Bedrock takes it as a beta.
    let model = model.strip_suffix("[1m]").unwrap_or(&model);
    if !model.starts_with("claude-") {
        return model.to_owned();
    }
    let known = IDS.iter().find(|(name, _)| *name == model);
    let id = known.map_or_else(|| by_rule(model), |(_, id)| (*id).to_owned());
    match profile(account) {
        Some(profile) => format!("{profile}.{id}"),
        None => id,
    }
}

fn by_rule(model: &str) -> String {
    let last = model.rsplit('-').next().unwrap_or_default();
    let dated = last.len() == 8 && last.bytes().all(|byte| byte.is_ascii_digit());
    format!("anthropic.{model}{}", if dated { "-v1:0" } else { "" })
}

fn profile<'a>(account: &AccountView<'a>) -> Option<&'a str> {
    match request::credential(account, account::PROFILE) {
        Ok("none") => None,
        Ok("auto") | Err(_) => Some(match account::region(account).split('-').next().unwrap_or_default() {
            "eu" => "eu",
            "ap" => "apac",
            "us" if account::region(account).starts_with("us-gov-") => "us-gov",
            _ => "us",
        }),
        Ok(profile) => Some(profile),
    }
}
