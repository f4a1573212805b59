use std::collections::BTreeMap;

use super::*;
use crate::{Credentials, recorded};

#[test]
fn recorded_pairs() {
    recorded::check(&AzureOpenai, "azure_openai");
}

#[test]
fn a_probe_goes_where_requests_go() {
    let probe = |base_url: &str, credentials: &[(&str, &str)]| {
        let credentials: Credentials =
            credentials.iter().map(|(field, value)| ((*field).to_owned(), (*value).into())).collect();
        let mapping = BTreeMap::new();
        let view =
            AccountView { base_url, credentials: &credentials, user_agent: "", model_mapping: &mapping };
        AzureOpenai.probe(&view, "gpt-4o", 0).map(|probe| probe.uri.to_string())
    };
    let resource = "https://r.openai.azure.com";
    let chat = "chat/completions?api-version=2024-10-21";
    let old = format!("{resource}/openai/deployments/gpt-4o/{chat}");
    assert_eq!(probe(resource, &[("api_key", "k")]).unwrap(), old);
    let portal = format!("{resource}/openai/deployments/x/chat/completions");
    assert_eq!(probe(&portal, &[("api_key", "k")]).unwrap(), old);
    let v1 = [("api_key", "k"), ("url_style", "v1")];
    assert_eq!(probe(resource, &v1).unwrap(), format!("{resource}/openai/v1/chat/completions"));
    let bad = probe(resource, &[("api_key", "k"), ("deployment", "..")]);
    assert_eq!(bad, Err(PrepareError::BadModel));
    assert!(AzureOpenai.check(&[("api_key".to_owned(), "k".into())].into(), "").is_err());
}
