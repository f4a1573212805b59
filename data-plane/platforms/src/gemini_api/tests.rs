use std::collections::BTreeMap;

use super::*;
use crate::{Credentials, recorded};

#[test]
fn recorded_pairs() {
    recorded::check(&GeminiApi, "gemini_api");
}

#[test]
fn a_model_that_cannot_stand_in_a_path_is_refused_and_others_are_escaped() {
    let credentials: Credentials = [("api_key".to_owned(), "k".into())].into();
    let view = AccountView {
        base_url: "https://g.example/v1beta/models",
        credentials: &credentials,
        user_agent: "",
        model_mapping: &BTreeMap::new(),
    };
    let (headers, peek) = (HeaderMap::new(), Default::default());
    let call = recorded::call(Operation::GenerateContent, &headers, &peek);
    for bad in ["", "..", ".", "models/.."] {
        let refused = GeminiApi.prepare(&view, &Call { model: Some(bad), ..call }).err();
        assert_eq!(refused, Some(PrepareError::BadModel), "{bad}");
    }
    let odd = GeminiApi.prepare(&view, &Call { model: Some("a/../b?key=x#y"), ..call }).unwrap();
    let expected = "https://g.example/v1beta/models/a%2F..%2Fb%3Fkey%3Dx%23y:generateContent";
    assert_eq!(odd.uri.to_string(), expected);
    let probe = GeminiApi.probe(&view, "gemini-2.5-flash", 0).unwrap();
    assert_eq!(probe.uri, "https://g.example/v1beta/models/gemini-2.5-flash:generateContent");
    assert_eq!(probe.headers["x-goog-api-key"], "k");
}
