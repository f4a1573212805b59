use super::*;

fn of(headers: &[(&'static str, &str)]) -> Option<&'static str> {
    let map =
        headers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect();
    kind(&map, None)
}

#[test]
fn claude_code_of_any_version() {
    for agent in [
        "claude-cli/2.1.329 (external, sdk-cli)",
        "claude-cli/2.1.197 (external, cli)",
        "Claude-CLI/1.0.57 (external, cli)",
    ] {
        let headers = [("user-agent", agent), ("x-app", "cli"), ("anthropic-version", "2026-10-21")];
        assert_eq!(of(&headers), Some("claude_code"));
        assert_eq!(of(&headers[..1]), None, "the name alone does not make it");
    }
    assert_eq!(
        of(&[("user-agent", "claude-code/2.1.329"), ("anthropic-version", "2023-06-01")]),
        Some("claude_code")
    );
}

#[test]
fn the_other_clients() {
    for (agent, kind) in [
        ("codex_exec/0.169.0 (Debian 12.0.0; x86_64) dumb (codex_exec; 0.169.0)", "codex_cli"),
        ("codex_cli_rs/0.40.0", "codex_cli"),
        ("GeminiCLI-tui/0.61.0/gemini-3.8-flash (linux; x64; terminal)", "gemini_cli"),
        ("GeminiCLI/v22.1 (linux)", "gemini_cli"),
        ("factory-cli/0.32.1", "droid_cli"),
        ("Anthropic/Python 2.11.0", "anthropic_sdk"),
        ("AsyncAnthropic/Python 2.11.0", "anthropic_sdk"),
        ("Anthropic/JS 1.11.0", "anthropic_sdk"),
        ("OpenAI/JS 6.49.0", "openai_sdk"),
        ("google-genai-sdk/3.4.0 gl-python/3.11.7", "google_genai_sdk"),
        ("opencode/1.18.33 ai-sdk/anthropic", "opencode"),
    ] {
        assert_eq!(of(&[("user-agent", agent)]), Some(kind), "{agent}");
    }
    assert_eq!(of(&[("originator", "codex-tui")]), Some("codex_cli"));
    assert_eq!(of(&[("user-agent", "Mozilla/5.0")]), None);
    assert_eq!(of(&[]), None);
}

#[test]
fn a_restricted_key_lets_in_its_kinds_only() {
    assert!(matches::<&str>(&[], None));
    assert!(matches(&["claude_code"], Some("claude_code")));
    assert!(!matches(&["claude_code"], Some("curl")));
    assert!(!matches(&["claude_code"], None));
}

#[test]
fn kinds_are_named_once() {
    let mut all: Vec<_> = kinds().collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}
