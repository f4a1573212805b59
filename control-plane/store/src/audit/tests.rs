use super::*;

fn fact(target: &str) -> Fact {
    Fact {
        at_ms: 1_700_000_000_000,
        actor: "admin".into(),
        address: "192.0.2.1".into(),
        action: "UpdateKey".into(),
        kind: "key".into(),
        target_id: target.into(),
        before: None,
        after: Some(serde_json::json!({ "name": "n" })),
    }
}

#[test]
fn g8_a_chain_verifies_and_any_change_of_it_shows() {
    let (entries, head) = chain(AuditHead::default(), &[fact("a"), fact("b"), fact("c")]).unwrap();
    let mut at = AuditHead::default();
    for (index, entry) in entries.iter().enumerate() {
        at = check(&at, index as u64 + 1, entry).unwrap();
    }
    assert_eq!(at, head);

    let first = check(&AuditHead::default(), 1, &entries[0]).unwrap();
    let mut altered = entries[1].clone();
    let last = altered.len() - 3;
    altered[last] ^= 1;
    assert!(check(&first, 2, &altered).is_err());
    assert!(check(&first, 2, &entries[2]).is_err());
    assert!(check(&first, 3, &entries[2]).is_err());
}

#[test]
fn version_3_reads_what_it_always_did() {
    let fixture = include_bytes!("../../testdata/audit.v3");
    let (entries, _) = chain(AuditHead::default(), &[fact("a")]).unwrap();
    assert_eq!(entries[0], fixture);
    assert_eq!(decode(1, fixture).unwrap().fact, fact("a"));
}
