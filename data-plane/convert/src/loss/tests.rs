use super::*;

#[test]
fn every_feature_has_one_row() {
    for (at, row) in ROWS.iter().enumerate() {
        assert!(ROWS[..at].iter().all(|other| other.feature != row.feature), "{:?} twice", row.feature);
        assert!(row.fates.iter().any(|fate| *fate != Fate::Carried), "{:?} is never lost", row.feature);
    }
    // `Unknown` is the last one: there are as many rows as features.
    assert_eq!(ROWS.len(), Feature::Unknown as usize + 1);
    assert!(Feature::Unknown.row().fates.iter().all(|fate| matches!(fate, Fate::Dropped(_))));
}

#[test]
fn a_loss_is_named_in_the_clients_words_and_once() {
    let mut losses = Losses::new(Dialect::Gemini, Dialect::OpenaiChat);
    losses.declare(Feature::TopK).unwrap();
    losses.declare(Feature::TopK).unwrap();
    losses.unknown("x\r\nset-cookie: a");
    let found = losses.into_found();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].field, "generationConfig.topK");
    assert_eq!(found[1].field, "x__set-cookie__a");
}

#[test]
fn what_would_change_the_meaning_is_refused() {
    let mut losses = Losses::new(Dialect::OpenaiChat, Dialect::OpenaiResponses);
    let refused = losses.declare(Feature::StopSequences).unwrap_err();
    assert!(refused.to_string().starts_with("`stop` cannot be carried"), "{refused}");
}

/// The document is the table's.
#[test]
fn document() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/conversion.md");
    let fresh = markdown();
    if option_env!("UPDATE").is_some() || std::env::args().any(|argument| argument == "--update") {
        std::fs::write(path, &fresh).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        fresh,
        "run `UPDATE=1 cargo test -p convert document`"
    );
}
