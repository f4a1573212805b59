//! Tests of the settings' words.

use proto::types;
use secrecy::ExposeSecret as _;

use super::*;
use crate::{mask::Fields, time};

#[test]
fn defaults_are_filled_in_and_peppers_stay() {
    let settings = Settings::fresh().unwrap();
    let shown = settings.to_wire(1);
    assert_eq!((shown.time_zone.as_str(), shown.max_attempts), ("Asia/Shanghai", 5));
    assert_eq!(shown.first_event_timeout, Some(time::span_to_wire(120_000)));
    assert_eq!(shown.retention.unwrap().day_days, 400);
    let pepper = settings.key_pepper.expose_secret();
    assert_eq!(pepper.len(), 64);
    assert!(!settings.audit_view().to_string().contains(pepper));
    assert!(!format!("{settings:?}").contains(pepper));
}

#[test]
fn what_was_read_can_be_sent_back() {
    let mut settings = Settings::fresh().unwrap();
    let shown = settings.to_wire(1);
    settings.apply(&shown, &Fields::all(WRITABLE)).unwrap();
    assert_eq!(settings.to_wire(1), shown);
}

#[test]
fn everything_that_is_wrong_is_named() {
    let wire = types::Settings {
        time_zone: "Mars/Olympus".into(),
        limits_on_control_loss: "perhaps".into(),
        orphan_slots: "x".into(),
        unknown_price: "price_as:".into(),
        first_event_timeout: Some(time::span_to_wire(1)),
        binding_ttl: Some(time::span_to_wire(120_000)),
        max_attempts: 6,
        service_multipliers: [("claude".to_owned(), -1.0)].into(),
        ..types::Settings::default()
    };
    let wrong = Settings::default().apply(&wire, &Fields::all(WRITABLE)).unwrap_err();
    let fields: Vec<_> = wrong.0.iter().map(|one| one.field.as_str()).collect();
    let expected = [
        "time_zone",
        "limits_on_control_loss",
        "orphan_slots",
        "unknown_price",
        "first_event_timeout",
        "binding_renew_below",
        "service_multipliers.claude",
        "max_attempts",
    ];
    assert_eq!(fields, expected);
}
