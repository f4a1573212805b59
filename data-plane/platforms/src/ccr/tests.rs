use super::*;

#[test]
fn recorded_pairs() {
    crate::recorded::check(&Ccr, "ccr");
}

#[test]
fn an_account_must_say_where_its_router_is() {
    let given = [("api_key".to_owned(), "k".into())].into();
    let violations = Ccr.check(&given, "").unwrap_err();
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].field, "base_url");
    assert!(Ccr.check(&given, "http://router:3456").is_ok());
}
