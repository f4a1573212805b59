//! Words of the contract that name kinds of things. Platforms' slugs are not among them: those live in the registry.

/// Platform families that permissions and bindings speak of.
pub const FAMILIES: [&str; 3] = ["claude", "gemini", "openai"];

/// Services that multipliers speak of.
pub const SERVICES: [&str; 6] = ["claude", "codex", "gemini", "bedrock", "azure", "ccr"];

/// A family by its name or by the other name that people use for it.
pub fn family(word: &str) -> Option<&'static str> {
    let word = if word == "codex" { "openai" } else { word };
    FAMILIES.into_iter().find(|family| *family == word)
}

/// A service by its name.
pub fn service(word: &str) -> Option<&'static str> {
    SERVICES.into_iter().find(|service| *service == word)
}
