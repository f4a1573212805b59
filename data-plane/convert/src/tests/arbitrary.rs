//! Conversations and answers as they come, within what every dialect carries without loss.

use dialects::Dialect;
use proptest::{prelude::*, sample::select};

use crate::neutral::{
    Answer, Call, Choice, Format, Json, Kind, Media, Part, Piece, Request, Role, Sampling, Seal, Source,
    Stop, Text, Thinking, Tool, ToolAnswer, Turn, Usage,
};

const SCHEMA: &str = r#"{"type":"object","properties":{"zeta":{"type":"string"},"alpha":{"type":"integer"}},"required":["zeta","alpha"],"additionalProperties":false}"#;

/// Texts with what must be escaped, and none that a dialect would cut.
pub(super) fn text() -> impl Strategy<Value = Text<'static>> {
    "[a-zé\u{1F600}\"\\\\]{1,8}( [a-z\n\t\"]{0,6}[a-z])?".prop_map(Text::from)
}

fn name() -> impl Strategy<Value = Text<'static>> {
    "[a-z][a-z0-9_]{0,12}".prop_map(Text::from)
}

fn arguments() -> impl Strategy<Value = Text<'static>> {
    select(vec!["{}", r#"{"zeta":"x","alpha":1}"#, r#"{"b":[1,2.5,{"c":null}],"a":"\"q\""}"#])
        .prop_map(Text::from)
}

fn image() -> impl Strategy<Value = Part<'static>> {
    let here = Source::Base64("iVBORw0KGgo=".into());
    let there = Source::Url("https://images.example/cat.png".into());
    select(vec![here, there]).prop_map(|source| {
        Part::Media(Media { kind: Kind::Image, mime: "image/png".into(), source, name: None })
    })
}

fn user() -> impl Strategy<Value = Turn<'static>> {
    let part = prop_oneof![3 => text().prop_map(Part::Text), 1 => image()];
    prop::collection::vec(part.prop_map(Part::piece), 1..3).prop_map(|pieces| Turn::new(Role::User, pieces))
}

/// A turn of the model's with calls, and the turn that answers them.
fn exchange() -> impl Strategy<Value = Vec<Turn<'static>>> {
    let calls = prop::collection::vec((name(), arguments(), text(), any::<u32>()), 0..3);
    (text(), calls).prop_map(|(said, calls)| {
        let mut pieces = vec![Part::Text(said).piece()];
        let mut answers: Vec<Piece<'static>> = Vec::new();
        for (at, (name, arguments, answer, id)) in calls.into_iter().enumerate() {
            let id = Text::from(format!("call_{id}_{at}"));
            let call = Call { id: id.clone(), name, namespace: None, arguments, is_custom: false };
            pieces.push(Part::Call(call).piece());
            let pieces = vec![Part::Text(answer).piece()];
            let answer = ToolAnswer { id, name: "".into(), pieces, is_error: false, is_custom: false };
            answers.push(Part::Answer(answer).piece());
        }
        let mut turns = vec![Turn::new(Role::Assistant, pieces)];
        if !answers.is_empty() {
            turns.push(Turn::new(Role::User, answers));
        }
        turns
    })
}

fn tools() -> impl Strategy<Value = Vec<Tool<'static>>> {
    prop::collection::btree_map(name(), prop::option::of(text()), 0..4).prop_map(|tools| {
        let tool = |(name, description)| Tool {
            name,
            description,
            schema: Some(Json::parse_text(SCHEMA).unwrap()),
            strict: None,
            is_custom: false,
            cache: None,
        };
        tools.into_iter().map(tool).collect()
    })
}

prop_compose! {
    /// A request that every dialect carries without loss.
    pub(super) fn request()(
        system in prop::option::of(text()),
        exchanges in prop::collection::vec((user(), exchange()), 0..3),
        last in user(),
        tools in tools(),
        choice in select(vec![Choice::Auto, Choice::None, Choice::Any]),
        chooses: bool,
        max_output in prop::option::of(1_u64..4_000),
        temperature in prop::option::of((0_u32..=100).prop_map(|hundredths| f64::from(hundredths) / 100.0)),
        schema: bool,
    ) -> Request<'static> {
        let mut turns = Vec::new();
        turns.extend(system.map(|text| Turn::text(Role::System, text)));
        for (user, exchange) in exchanges {
            turns.push(user);
            turns.extend(exchange);
        }
        turns.push(last);
        let format = if schema {
            let schema = Json::parse_text(SCHEMA).unwrap();
            Format::Schema { name: None, description: None, schema, strict: None }
        } else {
            Format::Text
        };
        Request {
            turns,
            choice: (chooses && !tools.is_empty()).then_some(choice),
            tools,
            max_output,
            sampling: Sampling { temperature, ..Sampling::default() },
            format,
            ..Request::default()
        }
    }
}

prop_compose! {
    /// An answer of a dialect, that this dialect carries without loss.
    pub(super) fn answer(dialect: Dialect)(
        thought in prop::option::of(text()),
        said in prop::option::of(text()),
        calls in prop::collection::vec((name(), arguments(), any::<u32>()), 0..3),
        cut: bool,
        usage in (0_u64..1_000, 0_u64..1_000, 0_u64..1_000, 0_u64..1_000),
    ) -> Answer<'static> {
        let mut parts = Vec::new();
        if let Some(text) = thought {
            // Chat knows no seals.
            let seal = Seal { origin: dialect, value: "c2VhbA==".into(), tag: "".into() };
            parts.push(Part::Thinking(Thinking { text, seal: (dialect != Dialect::OpenaiChat).then_some(seal) }));
        }
        parts.extend(said.map(Part::Text));
        let called = !calls.is_empty();
        for (at, (name, arguments, id)) in calls.into_iter().enumerate() {
            let id = Text::from(format!("call_{id}_{at}"));
            parts.push(Part::Call(Call { id, name, namespace: None, arguments, is_custom: false }));
        }
        let (input, cache_read, output, reasoning) = usage;
        let output = output.max(1);
        let reasoning = if dialect == Dialect::AnthropicMessages { 0 } else { reasoning.min(output) };
        Answer {
            id: "id1".into(),
            model: "model-1".into(),
            parts,
            stop: if cut { Stop::MaxTokens } else if called { Stop::ToolUse } else { Stop::End },
            usage: Usage { input, cache_read, output, reasoning, ..Usage::default() },
        }
    }
}
