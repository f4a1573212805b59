use super::*;

fn rules(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
}

#[test]
fn the_most_particular_rule_wins() {
    let rules =
        rules(&[("*", "any"), ("claude-*", "c-*"), ("claude-opus-*", "big"), ("claude-opus-5", "exact")]);
    assert_eq!(apply(&rules, "claude-opus-5"), "exact");
    assert_eq!(apply(&rules, "Claude-Opus-5"), "exact");
    assert_eq!(apply(&rules, "claude-opus-6"), "big");
    assert_eq!(apply(&rules, "claude-haiku"), "c-haiku");
    assert_eq!(apply(&rules, "other"), "any");
}

#[test]
fn a_model_that_no_rule_names_stays() {
    assert!(matches!(apply(&rules(&[]), "m"), Cow::Borrowed("m")));
    assert!(matches!(apply(&rules(&[("a*", "b")]), "m"), Cow::Borrowed("m")));
    assert_eq!(apply(&rules(&[("m*", "m*")]), "mé"), "mé");
}
