use super::*;

const BODY: &str = r#"{"id":"x","usage":{"a":[1,{"usage":2}]},"n":-1.5e3 ,"t":true,"s":"q\"","z":null}"#;
const KEYS: &[&str] = &["usage", "n", "t", "s", "z", "missing"];

#[test]
fn values_come_out_as_written_at_any_split() {
    for cut in 0..=BODY.len() {
        let mut fields = Fields::new(KEYS);
        fields.push(&BODY.as_bytes()[..cut]).unwrap();
        fields.push(&BODY.as_bytes()[cut..]).unwrap();
        let got = |key| fields.get(key).map(|value| std::str::from_utf8(value).unwrap());
        assert_eq!(got("usage"), Some(r#"{"a":[1,{"usage":2}]}"#), "cut at {cut}");
        assert_eq!(got("n"), Some("-1.5e3"), "cut at {cut}");
        assert_eq!(got("t"), Some("true"));
        assert_eq!(got("s"), Some(r#""q\"""#));
        assert_eq!(got("z"), Some("null"));
        assert_eq!(got("missing"), None);
        assert!(fields.is_done());
    }
}

#[test]
fn one_byte_at_a_time() {
    let mut fields = Fields::new(KEYS);
    for byte in BODY.as_bytes().chunks(1) {
        fields.push(byte).unwrap();
    }
    assert_eq!(fields.get("usage"), Some(&br#"{"a":[1,{"usage":2}]}"#[..]));
    assert_eq!(fields.get("n"), Some(&b"-1.5e3"[..]));
}

#[test]
fn what_came_whole_before_the_end_counts() {
    let mut fields = Fields::new(KEYS);
    fields.push(br#"{"usage":{"a":1},"n":12"#).unwrap();
    assert_eq!(fields.get("usage"), Some(&br#"{"a":1}"#[..]));
    assert_eq!(fields.get("n"), None, "more digits could have come");
    assert!(!fields.is_done());
    assert!(fields.push(b"x").is_err());
    assert!(fields.get("usage").is_some());
}

#[test]
fn the_last_of_a_repeated_key_counts_and_long_values_do_not() {
    let mut fields = Fields::new(KEYS);
    fields.push(br#"{"usage":1,"x":0,"#).unwrap();
    fields.push(br#""usage":22}"#).unwrap();
    assert_eq!(fields.get("usage"), Some(&b"22"[..]));
    let mut fields = Fields::new(KEYS);
    fields.push(format!(r#"{{"s":"{}","n":1}}"#, "a".repeat(MAX_VALUE)).as_bytes()).unwrap();
    assert_eq!(fields.get("s"), None);
    assert_eq!(fields.get("n"), Some(&b"1"[..]));
    assert!(Fields::new(KEYS).push(b"[1,2]").is_ok());
}

#[test]
fn values_within_an_object_at_the_top() {
    let body = r#"{"usage":0,"r":{"usage":{"n":1},"x":[{"usage":2}],"id":"a","o":{"id":"b"},"t":null},"id":"c","s":{"usage":3},"e":{"k":1},"l":["id"]}"#;
    let keys: &[&str] = &["r.usage", "r.id", "r.t", "r.none", "usage", "id", "e", "e.k", "l.id"];
    for step in [1, 3, 1000] {
        let mut fields = Fields::new(keys);
        body.as_bytes().chunks(step).for_each(|piece| fields.push(piece).unwrap());
        let got = |key| fields.get(key).map(|value| std::str::from_utf8(value).unwrap());
        assert_eq!(got("r.usage"), Some(r#"{"n":1}"#), "{step}");
        assert_eq!((got("r.id"), got("r.t"), got("r.none")), (Some("\"a\""), Some("null"), None));
        assert_eq!((got("usage"), got("id")), (Some("0"), Some("\"c\"")));
        assert_eq!((got("e"), got("e.k"), got("l.id")), (None, Some("1"), None), "an object gives its parts");
    }
}
