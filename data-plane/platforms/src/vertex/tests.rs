use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;

use super::*;
use crate::{Credentials, oauth, recorded};

#[test]
fn recorded_pairs() {
    recorded::check(&Vertex, "vertex");
}

fn with<T>(pairs: &[(&str, &str)], test: impl FnOnce(&AccountView<'_>) -> T) -> T {
    let credentials: Credentials =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let model_mapping = &BTreeMap::new();
    test(&AccountView { base_url: "", credentials: &credentials, user_agent: "", model_mapping })
}

#[test]
fn the_model_decides_the_dialect() {
    with(&[], |view| {
        for wanted in Dialect::ALL {
            assert_eq!(Vertex.dialect(view, wanted, "claude-opus-4-6"), Dialect::AnthropicMessages);
            assert_eq!(Vertex.dialect(view, wanted, "gemini-2.5-pro"), Dialect::Gemini);
        }
        assert_eq!(Vertex.model_sent(view, "claude-opus-4-6"), "claude-opus-4-6");
        assert_eq!(Vertex.model_sent(view, "claude-opus-4-1-20250805[1m]"), "claude-opus-4-1@20250805");
    });
}

#[test]
fn a_key_signs_a_claim_that_is_exchanged() {
    use aws_lc_rs::{
        encoding::AsDer,
        rsa::{KeyPair, KeySize},
        signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
    };
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let pem = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let key = serde_json::json!({
        "client_email": "relay@proj-1.iam.gserviceaccount.com",
        "private_key": format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n"),
        "project_id": "proj-1",
        "token_uri": "https://mock.example/token",
    });
    let grants = Vertex.grants().unwrap();
    with(&[("service_account", &key.to_string())], |view| {
        let request = grants.refresh(view, 1_790_000_000_000).unwrap();
        assert_eq!(request.uri, "https://mock.example/token");
        let body = String::from_utf8(recorded::sent(b"", &request.body)).unwrap();
        let assertion = body.rsplit("assertion=").next().unwrap();
        let (signed, signature) = assertion.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
        public.verify(signed.as_bytes(), &signature).unwrap();
        let claims = oauth::claims(assertion).unwrap();
        assert_eq!(claims["aud"], "https://mock.example/token");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
        assert_eq!(grants.told_by_credentials(view).issued["project_id"].expose_secret(), "proj-1");
        let needs = Vertex.credential(view, 0);
        assert!(matches!(needs, Ok(crate::Credential::Exchange(_))));
    });
    for bad in ["{}", r#"{"client_email":"x","private_key":"nonsense"}"#] {
        with(&[("service_account", bad)], |view| assert!(grants.refresh(view, 0).is_err(), "{bad}"));
    }
}
