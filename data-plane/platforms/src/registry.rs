//! All platforms. A new one is its folder and its line here.

use crate::{
    azure_openai, bedrock, ccr, claude_console, claude_official, deepseek, gemini, gemini_api, openai,
    openai_responses, platform::Platform, vertex,
};

/// In the order in which they are offered: documented ways first, subscriptions last.
static ALL: &[&dyn Platform] = &[
    &claude_console::ClaudeConsole,
    &bedrock::Bedrock,
    &vertex::Vertex,
    &openai::Openai,
    &openai_responses::OpenaiResponses,
    &azure_openai::AzureOpenai,
    &gemini_api::GeminiApi,
    &deepseek::DEEPSEEK,
    &ccr::Ccr,
    &claude_official::ClaudeOfficial,
    &gemini::Gemini,
];

/// Other names that paths and imports may use.
const ALIASES: &[(&str, &str)] = &[("claude", "claude-official"), ("codex", "openai-responses")];

/// All platforms of this release.
pub fn all() -> &'static [&'static dyn Platform] {
    ALL
}

/// The platform of that slug or alias.
pub fn find(slug: &str) -> Option<&'static dyn Platform> {
    let slug = canonical(slug);
    ALL.iter().copied().find(|platform| platform.info().slug == slug)
}

/// The slug that a name stands for: itself, unless it is an alias.
pub fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, slug)| slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_found_and_stand_once() {
        for platform in all() {
            let found = find(platform.info().slug).unwrap();
            assert!(std::ptr::eq(found.info(), platform.info()));
        }
        let mut slugs: Vec<_> = all().iter().map(|platform| platform.info().slug).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), all().len());
        assert!(find("no-such").is_none());
    }

    #[test]
    fn aliases_of_paths_are_understood() {
        assert_eq!(canonical("claude"), "claude-official");
        assert_eq!(canonical("codex"), "openai-responses");
        assert_eq!(canonical("ccr"), "ccr");
    }
}
