//! Golden pairs. What goes in is written by hand, after the providers' published formats; what comes out is written
//! by `UPDATE=1 cargo test -p convert golden` and read by whoever changed it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dialects::Dialect;

use super::{convert, reply};
use crate::json::{Json, object};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// The cases of a folder: `CASE.DIALECT.EXTENSION`.
pub(super) fn cases(name: &str) -> Vec<(String, Dialect, PathBuf)> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder(name)).unwrap().flatten() {
        let file = entry.file_name().into_string().unwrap();
        let parts: Vec<&str> = file.split('.').collect();
        if let [case, dialect, _] = parts[..] {
            cases.push((case.to_owned(), Dialect::from_name(dialect).unwrap(), entry.path()));
        }
    }
    cases.sort_by(|one, two| one.2.cmp(&two.2));
    assert!(!cases.is_empty(), "no cases in {name}");
    cases
}

fn compare(path: &Path, to: Dialect, extension: &str, fresh: &str) {
    let golden = path.with_extension(format!("to.{to}.{extension}"));
    if option_env!("UPDATE").is_some() {
        fs::write(&golden, fresh).unwrap();
    }
    let old = fs::read_to_string(&golden).unwrap_or_default();
    assert!(old == fresh, "{} differs; fresh:\n{fresh}", golden.display());
}

fn others(from: Dialect) -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(move |to| *to != from)
}

/// The model that a case's upstream serves.
fn model_of(to: Dialect) -> &'static str {
    match to {
        Dialect::AnthropicMessages => "claude-opus-5-5",
        Dialect::OpenaiChat => "gpt-4.1",
        Dialect::OpenaiResponses => "gpt-5.1",
        Dialect::Gemini => "gemini-2.5-flash",
    }
}

pub(super) fn pretty(json: &[u8]) -> String {
    serde_json::to_string_pretty(&Json::parse(json).unwrap()).unwrap() + "\n"
}

#[test]
fn golden_requests() {
    for (_, from, path) in cases("requests") {
        let body = fs::read(&path).unwrap();
        let asked = Json::parse(&body).unwrap();
        for to in others(from) {
            // A case may name the models that its upstreams serve.
            let model =
                asked.get("x-models").and_then(|models| models.text(to.as_str())).unwrap_or(model_of(to));
            let body = without(&body, "x-models");
            let fresh = match convert(from, to, model, &body) {
                Err(refused) => Json::from(object! { "refused": refused.to_string() }),
                Ok(converted) => {
                    let body = Json::parse(&converted.body).unwrap().into_owned();
                    let lost = |dropped: bool| {
                        let losses = converted.losses.iter().filter(|loss| loss.is_dropped == dropped);
                        losses.map(|loss| Json::from(loss.field.to_string())).collect::<Vec<_>>()
                    };
                    object! {
                        "stream": converted.stream,
                        "dropped": lost(true),
                        "approximated": lost(false),
                        "body": body,
                    }
                    .into()
                }
            };
            compare(&path, to, "json", &pretty(&fresh.to_bytes()));
        }
    }
}

fn without(body: &[u8], key: &str) -> Vec<u8> {
    let mut body = Json::parse(body).unwrap().into_object();
    body.take(key);
    Json::from(body).to_bytes()
}

#[test]
fn golden_answers() {
    for (_, upstream, path) in cases("answers") {
        let body = fs::read(&path).unwrap();
        for client in others(upstream) {
            let (Ok(fresh) | Err((_, fresh))) = reply(client, upstream).answer(&body);
            compare(&path, client, "json", &pretty(&fresh));
        }
    }
}

#[test]
fn golden_streams() {
    for (_, upstream, path) in cases("streams") {
        let body = fs::read(&path).unwrap();
        for client in others(upstream) {
            let mut stream = reply(client, upstream).stream();
            let mut fresh = Vec::new();
            stream.push(&body, &mut fresh);
            stream.finish(&mut fresh);
            compare(&path, client, "sse", &String::from_utf8(fresh).unwrap());
        }
    }
}
