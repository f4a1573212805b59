//! The table of what cannot be carried, and the document made of it.

use dialects::Dialect;

use super::{
    Fate::{self, Approximated as Approx, Carried, Dropped, Refused},
    Feature, Row,
};

const C: Fate = Carried;
const NO_PLACE: Fate = Dropped("the target has no such parameter");
const COUNT: Fate = Refused("one answer is made for each request");
const HELD: Fate = Refused("the conversation's state is held by another provider");
const OTHERS: Fate = Dropped("it is state of another provider; what was said is carried without it");
const HOSTED: Fate = Dropped("tools that a provider runs itself exist there alone");
const FILE: Fate = Refused("a file's id means something in its provider's account alone");
const MODEL: Fate = Dropped("the model takes no such sampling parameters");
const IN_PLACE: Fate = Approx("carried as a user's text, marked as an instruction");
const BY_ITSELF: Fate = Dropped("the target caches prompts by itself");
const NO_SOUND: Fate = Refused("the target does not take sound");
const UNSEALED: Fate = Dropped("thoughts without their provider's signature are not taken");
const EARLIER: Fate = Dropped("earlier thoughts are not sent again");
const DOT: Fate = Approx("a conversation must begin with the user: a turn of one dot is put before");
const NO_PREFILL: Fate = Approx("the answer does not continue the last message");
const AS_EFFORT: Fate = Approx("carried as an effort");
const AS_TEXT: Fate = Approx("arguments that are no JSON object are carried as one with a text");
const KEYWORDS: Fate = Dropped("keywords of the schema that the target refuses");
const FOLLOWS: Fate = Approx("media in a tool's answer follow it as the user's");
const BY_TEXT: Fate = Dropped("that a tool failed is told by its text alone");

const fn row(feature: Feature, fields: [&'static str; 4], fates: [Fate; 4]) -> Row {
    Row { feature, fields, fates }
}

/// Every feature, its field in each dialect, its fate in each. Order: Anthropic Messages, Chat, Responses, Gemini.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row(Feature::Unknown, ["", "", "", ""], [Dropped("the field is not known to this release"); 4]),
    row(Feature::TopK, ["top_k", "top_k", "top_k", "generationConfig.topK"], [C, NO_PLACE, NO_PLACE, C]),
    row(Feature::Seed, ["", "seed", "seed", "generationConfig.seed"], [NO_PLACE, C, NO_PLACE, C]),
    row(Feature::Penalties, ["", "penalties", "penalties", "generationConfig.penalties"], [NO_PLACE, C, NO_PLACE, C]),
    row(Feature::LogitBias, ["", "logit_bias", "", ""], [NO_PLACE; 4]),
    row(Feature::Logprobs, ["", "logprobs", "top_logprobs", "generationConfig.responseLogprobs"], [NO_PLACE; 4]),
    row(Feature::Candidates, ["", "n", "", "generationConfig.candidateCount"], [COUNT; 4]),
    row(Feature::StopSequences, ["stop_sequences", "stop", "", "generationConfig.stopSequences"],
        [C, C, Refused("the Responses API does not end answers at texts"), C]),
    row(Feature::ManyStopSequences, ["stop_sequences", "stop", "", "generationConfig.stopSequences"],
        [C, Refused("Chat takes at most 4"), C, Refused("Gemini takes at most 5")]),
    row(Feature::SamplingOfModel, ["temperature", "temperature", "temperature", "generationConfig.temperature"],
        [MODEL, MODEL, MODEL, C]),
    row(Feature::SamplingBoth, ["top_p", "top_p", "top_p", "generationConfig.topP"],
        [Dropped("the model takes a temperature or this, not both"), C, C, C]),
    row(Feature::SamplingRange, ["temperature", "temperature", "temperature", "generationConfig.temperature"],
        [Approx("temperatures above 1 are carried as 1"), C, C, C]),
    row(Feature::ForeignThoughts,
        ["messages.thinking.signature", "messages.reasoning_content", "input.reasoning", "contents.thoughtSignature"],
        [OTHERS; 4]),
    row(Feature::UnsealedThoughts,
        ["messages.thinking", "messages.reasoning_content", "input.reasoning", "contents.thought"],
        [UNSEALED, EARLIER, UNSEALED, EARLIER]),
    row(Feature::ThinkingWithTool,
        ["thinking", "reasoning_effort", "reasoning.effort", "generationConfig.thinkingConfig"],
        [Dropped("with a tool that must be called the model does not think"), C, C, C]),
    row(Feature::ThinkingInToolLoop,
        ["thinking", "reasoning_effort", "reasoning.effort", "generationConfig.thinkingConfig"],
        [Dropped("after a tool's answer the model thinks on only from its earlier thoughts, which the client did not keep"),
         C, C, C]),
    row(Feature::ThinkingBudget,
        ["thinking.budget_tokens", "", "", "generationConfig.thinkingConfig.thinkingBudget"],
        [Approx("carried as an effort where the model decides how much it thinks"), AS_EFFORT, AS_EFFORT, C]),
    row(Feature::Effort,
        ["output_config.effort", "reasoning_effort", "reasoning.effort", "generationConfig.thinkingConfig.thinkingLevel"],
        [Approx("carried as a number of tokens where the model has no efforts"), C, C,
         Approx("carried as a number of tokens or as the nearest level")]),
    row(Feature::MaxOutput, ["max_tokens", "max_completion_tokens", "max_output_tokens", "generationConfig.maxOutputTokens"],
        [Approx("carried as the most that the model takes"); 4]),
    row(Feature::CacheControl, ["cache_control", "", "", ""], [C, BY_ITSELF, BY_ITSELF, BY_ITSELF]),
    row(Feature::SystemInPlace, ["messages.role", "messages.role", "input.role", ""], [IN_PLACE, C, C, IN_PLACE]),
    row(Feature::FirstTurn, ["messages", "messages", "input", "contents"], [DOT, C, C, DOT]),
    row(Feature::LastTurn, ["messages", "messages", "input", "contents"],
        [Approx("a conversation must end with the user for models since 4.6: a turn of one dot is put after"),
         NO_PREFILL, NO_PREFILL, C]),
    row(Feature::PreviousResponse, ["", "", "previous_response_id", ""], [HELD; 4]),
    row(Feature::ServerTools, ["tools", "web_search_options", "tools", "tools"], [HOSTED; 4]),
    row(Feature::HistoryItems, ["messages.content", "messages.content", "input", "contents.parts"],
        [Dropped("what a provider's own tool did is not told to another"); 4]),
    row(Feature::DeferLoading, ["tools.defer_loading", "", "tools.defer_loading", ""],
        [Approx("carried as an ordinary tool"); 4]),
    row(Feature::ContextManagement, ["context_management", "", "context_management", ""], [NO_PLACE; 4]),
    row(Feature::Container, ["container", "", "", ""], [HELD; 4]),
    row(Feature::User, ["metadata.user_id", "user", "user", ""], [C, C, C, NO_PLACE]),
    row(Feature::Metadata, ["metadata", "metadata", "metadata", "labels"], [NO_PLACE; 4]),
    row(Feature::CacheKey, ["", "prompt_cache_key", "prompt_cache_key", ""],
        [Approx("carried as cache marks on the instructions and on the last turn"), C, C, BY_ITSELF]),
    row(Feature::ServiceTier, ["service_tier", "service_tier", "service_tier", ""],
        [Dropped("tiers are named otherwise and priced otherwise"); 4]),
    row(Feature::Store, ["", "store", "store", ""], [Dropped("the answer is not stored"); 4]),
    row(Feature::Background, ["", "", "background", ""], [Refused("the answer would have to be kept for later"); 4]),
    row(Feature::FileIds, ["source.file_id", "file.file_id", "file_id", "fileData.fileUri"], [FILE; 4]),
    row(Feature::Audio, ["", "input_audio", "input_audio", "inlineData"], [NO_SOUND, C, NO_SOUND, C]),
    row(Feature::Video, ["", "video_url", "", "inlineData"], [Refused("the target does not take moving images"); 4]),
    row(Feature::Detail, ["", "image_url.detail", "detail", "mediaResolution"], [NO_PLACE; 4]),
    row(Feature::JsonMode, ["", "response_format", "text.format", "generationConfig.responseMimeType"],
        [Approx("carried as an instruction"), C, C, C]),
    row(Feature::SchemaOfModel,
        ["output_config.format", "response_format", "text.format", "generationConfig.responseSchema"],
        [Approx("the model has no structured answers: carried as an instruction"), C, C, C]),
    row(Feature::SchemaKeywords, ["schema", "schema", "schema", "schema"], [KEYWORDS, C, C, KEYWORDS]),
    row(Feature::ParallelTools,
        ["tool_choice.disable_parallel_tool_use", "parallel_tool_calls", "parallel_tool_calls", ""],
        [C, C, C, NO_PLACE]),
    row(Feature::AllowedTools, ["", "tool_choice.allowed_tools", "tool_choice.allowed_tools", "allowedFunctionNames"],
        [Approx("only the allowed tools are told"); 4]),
    row(Feature::StrictTools, ["tools.strict", "tools.strict", "tools.strict", ""],
        [Dropped("schemas that are strict for one provider are not for another"), C, C, NO_PLACE]),
    row(Feature::CustomTools, ["", "tools.custom", "tools.custom", ""],
        [Approx("carried as a function of one text; the grammar is told in its description"); 4]),
    row(Feature::Arguments,
        ["messages.tool_use.input", "messages.tool_calls.arguments", "input.arguments", "contents.functionCall.args"],
        [AS_TEXT, C, C, AS_TEXT]),
    row(Feature::ToolNames, ["tools.name", "tools.name", "tools.name", "tools.name"],
        [Approx("names that the target refuses are changed on the way there, and back again"); 4]),
    row(Feature::ToolMedia, ["tool_result.content", "", "function_call_output.output", "functionResponse"],
        [C, FOLLOWS, C, FOLLOWS]),
    row(Feature::ToolError, ["tool_result.is_error", "", "", "functionResponse.error"], [C, BY_TEXT, BY_TEXT, C]),
    row(Feature::Verbosity, ["", "verbosity", "text.verbosity", ""], [NO_PLACE; 4]),
    row(Feature::Safety, ["", "", "", "safetySettings"], [NO_PLACE; 4]),
    row(Feature::CachedContent, ["", "", "", "cachedContent"], [HELD; 4]),
    row(Feature::AudioOutput, ["", "modalities", "modalities", "generationConfig.responseModalities"],
        [Refused("answers are texts"); 4]),
    row(Feature::LegacyFunctions, ["", "functions", "", ""], [Refused("use `tools`"); 4]),
    row(Feature::RemoteDocuments, ["document.source.url", "", "input_file.file_url", "fileData"],
        [C, Refused("Chat takes no documents by address"), C, C]),
    row(Feature::Citations, ["citations", "annotations", "annotations", ""],
        [Dropped("sources are quoted in each dialect's own way"); 4]),
    row(Feature::Names, ["", "messages.name", "", ""], [NO_PLACE; 4]),
    row(Feature::Include, ["", "", "include", ""], [NO_PLACE; 4]),
    row(Feature::Truncation, ["", "", "truncation", ""], [NO_PLACE; 4]),
];

/// How a dialect is headed.
const HEADS: [&str; 4] = ["Anthropic Messages", "OpenAI Chat", "OpenAI Responses", "Gemini"];

/// The document of the table.
pub fn markdown() -> String {
    let mut text = String::from(include_str!("head.md"));
    for (at, dialect) in Dialect::ALL.into_iter().enumerate() {
        text.push_str(&format!("\n## Into {} (`{dialect}`)\n\n", HEADS[at]));
        text.push_str("| field of the client's | becomes | why |\n| --- | --- | --- |\n");
        ROWS.iter().for_each(|row| line(row, at, &mut text));
    }
    text
}

fn line(row: &Row, at: usize, text: &mut String) {
    let (word, why) = match row.fates[at] {
        Carried => return,
        Approx(why) => ("approximated", why),
        Dropped(why) => ("dropped", why),
        Refused(why) => ("refused (400)", why),
    };
    let mut fields: Vec<&str> = Vec::new();
    for (from, field) in row.fields.iter().enumerate() {
        if from != at && !field.is_empty() && !fields.contains(field) {
            fields.push(field);
        }
    }
    let fields = match (row.feature, fields.is_empty()) {
        (Feature::Unknown, _) => "any other field".to_owned(),
        (_, true) => return,
        (_, false) => fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", "),
    };
    text.push_str(&format!("| {fields} | {word} | {why} |\n"));
}
