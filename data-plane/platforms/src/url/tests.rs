use super::*;

fn made(base: &str, query: Option<&str>) -> String {
    under_v1(base, "messages", query).unwrap().to_string()
}

#[test]
fn all_forms_of_a_base_mean_the_same() {
    for base in
        ["https://a.b", "https://a.b/", "https://a.b/v1", "https://a.b/v1/", "https://a.b/v1/messages"]
    {
        assert_eq!(made(base, None), "https://a.b/v1/messages");
    }
    assert_eq!(made("http://a.b:81/x/y//", None), "http://a.b:81/x/y/v1/messages");
    assert_eq!(made("https://a.b/claude/v1", Some("beta=true")), "https://a.b/claude/v1/messages?beta=true");
    assert_eq!(made("https://[::1]:8443", Some("")), "https://[::1]:8443/v1/messages");
}

#[test]
fn what_is_no_base_is_refused() {
    for bad in
        ["", "a.b", "/v1", "ftp://a.b", "https://", "https://u:p@a.b", "https://a.b?x=1", "https://a.b/#x"]
    {
        assert!(base(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_query_loses_its_credentials_only() {
    let kept = |query| without_credentials(Some(query), Some("cr_secret"));
    assert_eq!(kept("beta=true&key=cr_secret&x=%20y").as_deref(), Some("beta=true&x=%20y"));
    assert_eq!(kept("key=a"), None);
    assert_eq!(kept("%6bey=a&KEY=b&k=v").as_deref(), Some("k=v"));
    assert_eq!(kept("other=cr%5Fsecret&cr_secret"), None);
    assert_eq!(without_credentials(None, None), None);
    assert_eq!(kept("a=%zz&b=%").as_deref(), Some("a=%zz&b=%"));
}

#[test]
fn a_base_that_holds_a_version_is_meant_as_it_is() {
    let made = |base: &str| under_version(base, "chat/completions", None).unwrap().to_string();
    for base in ["https://a.b", "https://a.b/", "https://a.b/v1", "https://a.b/v1/chat/completions"] {
        assert_eq!(made(base), "https://a.b/v1/chat/completions");
    }
    assert_eq!(made("https://a.b/api/paas/v4"), "https://a.b/api/paas/v4/chat/completions");
    assert_eq!(made("https://a.b/v1beta/openai/"), "https://a.b/v1beta/openai/chat/completions");
    assert_eq!(made("https://v2.example"), "https://v2.example/v1/chat/completions");
    assert_eq!(made("https://a.b/vendor"), "https://a.b/vendor/v1/chat/completions");
    let gemini = |base: &str| under(base, "v1beta", "models", Some("a=b")).unwrap().to_string();
    assert_eq!(gemini("https://g"), "https://g/v1beta/models?a=b");
    assert_eq!(gemini("https://g/v1/models"), "https://g/v1/models?a=b");
}
