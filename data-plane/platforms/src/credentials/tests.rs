use super::*;
use crate::registry;

fn fields(given: &[(&str, &str)], base_url: &str) -> Vec<String> {
    let info = registry::find("claude-console").unwrap().info();
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let violations = check(info, &given, base_url).err().unwrap_or_default();
    for violation in &violations {
        assert!(!violation.description.contains("CANARY"), "{violation:?}");
    }
    violations.into_iter().map(|violation| violation.field).collect()
}

#[test]
fn what_is_right_passes() {
    assert!(fields(&[("api_key", "sk-ant-x")], "").is_empty());
    assert!(fields(&[("api_key", "x"), ("auth", "bearer")], "http://localhost:1/v1").is_empty());
    assert!(fields(&[("api_key", "x"), ("auth", "")], "").is_empty());
}

#[test]
fn everything_wrong_is_told_at_once_by_field() {
    assert_eq!(fields(&[], ""), ["credentials.api_key"]);
    assert_eq!(
        fields(&[("api_key", " CANARY"), ("auth", "CANARY"), ("other", "CANARY")], "CANARY"),
        ["credentials.api_key", "credentials.auth", "credentials.other", "base_url"]
    );
    assert_eq!(fields(&[("api_key", "CANARY\n")], ""), ["credentials.api_key"]);
    assert_eq!(fields(&[("api_key", "clé-CANARY")], ""), ["credentials.api_key"]);
}

#[test]
fn settings_are_what_no_platform_calls_a_secret() {
    let fields = crate::registry::all().iter().flat_map(|platform| platform.info().fields);
    for field in fields {
        let secret = matches!(field.kind, FieldKind::Secret | FieldKind::Json);
        assert_eq!(!secret, SETTINGS.contains(&field.name), "{}", field.name);
    }
    let given =
        [("region".to_owned(), "us-east-1".into()), ("api_key".to_owned(), "sk-secret".into())].into();
    assert_eq!(secrets(&given).collect::<Vec<_>>(), ["sk-secret"]);
}
