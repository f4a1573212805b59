//! DeepSeek: an address that speaks OpenAI's chat API, with its own models. All that a platform of this kind takes.

use dialects::Dialect;

use crate::{
    credentials::{Field, FieldKind},
    openai_like::{KEY, OpenaiLike},
    platform::Info,
};

/// The platform.
pub(crate) static DEEPSEEK: OpenaiLike = OpenaiLike(&Info {
    slug: "deepseek",
    name: "DeepSeek",
    family: "openai",
    service: "deepseek",
    dialect: Dialect::OpenaiChat,
    also: &[],
    default_base_url: "https://api.deepseek.com",
    fields: &[
        Field::new(KEY, FieldKind::Secret, "API key", "A key of the DeepSeek platform (sk-…).").required()
    ],
    models: &["deepseek-chat", "deepseek-reasoner"],
    notice: "",
    signs_in: false,
});

#[cfg(test)]
mod tests {
    #[test]
    fn recorded_pairs() {
        crate::recorded::check(&super::DEEPSEEK, "deepseek");
    }
}
