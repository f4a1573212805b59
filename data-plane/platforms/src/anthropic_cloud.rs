//! What clouds that host Claude have in common: the model stands in the address and the API's version in the body. Made
//! of the client's body by splices over whole members, nothing else of it is touched.

use bytes::Bytes;

use crate::platform::{BodyPlan, Call, Splice};

/// How a cloud wants the body.
pub(crate) struct Plan {
    /// The API's version in the body, where the client's own names none.
    pub(crate) version: &'static str,
    /// The betas that the body takes over from the client's header; none: the header itself goes on.
    pub(crate) betas: Option<&'static [&'static str]>,
    /// Whether `stream` stays in the body.
    pub(crate) keeps_stream: bool,
}

impl Plan {
    /// What becomes of a call's body.
    pub(crate) fn of(&self, call: &Call<'_>) -> BodyPlan {
        let members = &call.peek.members;
        let mut new = Vec::new();
        if members.get("anthropic_version").is_none() {
            new.push(format!(r#""anthropic_version":"{}""#, self.version));
        }
        if let Some(betas) = self.betas.filter(|_| members.get("anthropic_beta").is_none()) {
            let named = named(call, betas);
            if !named.is_empty() {
                new.push(format!(r#""anthropic_beta":{}"#, serde_json::Value::from(named)));
            }
        }
        let gone: &[&str] = if self.keeps_stream { &["model"] } else { &["model", "stream"] };
        let edits = members.edit(new.join(","), gone).into_iter();
        BodyPlan::splices(edits.map(|(range, with)| Splice { range, with: with.into() }))
    }
}

/// Of these betas, those that the client's header names.
fn named(call: &Call<'_>, betas: &[&str]) -> Vec<String> {
    let values = call.headers.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
    let mut named: Vec<String> = Vec::new();
    for beta in values.flat_map(|value| value.split(',')).map(str::trim) {
        if betas.contains(&beta) && !named.iter().any(|known| known == beta) {
            named.push(beta.to_owned());
        }
    }
    named
}

/// The body of a probe: the smallest request that a model answers.
pub(crate) fn probe_body(version: &str) -> Bytes {
    serde_json::json!({
        "anthropic_version": version,
        "max_tokens": 1,
        "messages": [{ "role": "user", "content": "hi" }],
    })
    .to_string()
    .into()
}

#[cfg(test)]
mod tests {
    use dialects::{Dialect, Operation, peek};
    use http::HeaderMap;
    use serde_json::Value;

    use super::*;
    use crate::recorded;

    const PLAN: Plan = Plan { version: "v", betas: Some(&["a", "b"]), keeps_stream: false };

    fn sent(body: &str) -> Value {
        let headers =
            HeaderMap::from_iter([("anthropic-beta".parse().unwrap(), "b,x, a,b".parse().unwrap())]);
        let peek = peek::peek(Dialect::AnthropicMessages, body.as_bytes()).unwrap();
        let plan = PLAN.of(&recorded::call(Operation::Messages, &headers, &peek));
        let sent = recorded::sent(body.as_bytes(), &plan);
        serde_json::from_slice(&sent).unwrap_or_else(|error| panic!("{body}: {error}"))
    }

    #[test]
    fn a_body_as_clients_write_it() {
        let body = sent(r#"{"model":"m","max_tokens":1,"messages":[],"stream":true}"#);
        let expected = serde_json::json!({
            "anthropic_version": "v", "anthropic_beta": ["b", "a"], "max_tokens": 1, "messages": [],
        });
        assert_eq!(body, expected);
        let kept = Plan { keeps_stream: true, betas: None, ..PLAN };
        let (headers, body) = (HeaderMap::new(), r#"{"stream":true,"model":"m"}"#);
        let peek = peek::peek(Dialect::AnthropicMessages, body.as_bytes()).unwrap();
        let plan = kept.of(&recorded::call(Operation::Messages, &headers, &peek));
        assert_eq!(recorded::sent(body.as_bytes(), &plan), br#"{"anthropic_version":"v","stream":true}"#);
    }

    #[test]
    fn what_the_client_says_itself_stays() {
        let body = sent(r#"{"anthropic_version":"mine","anthropic_beta":["z"],"messages":[]}"#);
        assert_eq!((&body["anthropic_version"], &body["anthropic_beta"][0]), (&"mine".into(), &"z".into()));
    }
}
