use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

/// Writes down what the reader tells, so that two readings can be compared.
#[derive(Debug, Default, PartialEq)]
struct Told(String);

struct Error(Malformed);

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self(malformed)
    }
}

impl Sink for Told {
    type Error = Error;

    fn open(&mut self, container: Container, at: usize) -> Result<(), Error> {
        self.0 += &format!("{container:?}@{at} ");
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Error> {
        self.0 += &format!("close@{end} ");
        Ok(())
    }

    fn begin(&mut self, text: Text, at: usize) -> Result<Take, Error> {
        self.0 += &format!("{text:?}@{at} ");
        Ok(if text == Text::Number { Take::Raw } else { Take::Decoded })
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.push_str(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        Ok(())
    }

    fn end(&mut self, _text: Text, end: usize) -> Result<(), Error> {
        self.0 += &format!(" end@{end} ");
        Ok(())
    }

    fn literal(&mut self, literal: Literal, at: usize, end: usize) -> Result<(), Error> {
        self.0 += &format!("{literal:?}@{at}..{end} ");
        Ok(())
    }
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<String, Malformed> {
    let (mut reader, mut told) = (Reader::default(), Told::default());
    for piece in pieces {
        reader.push(piece, &mut told).map_err(|error| error.0)?;
    }
    reader.finish(&mut told).map_err(|error| error.0)?;
    Ok(told.0)
}

fn fault(document: &str) -> (Fault, usize) {
    let malformed = read([document.as_bytes()]).unwrap_err();
    (malformed.fault, malformed.at)
}

#[test]
fn faults_are_named_with_their_place() {
    for (document, expected) in [
        ("", (Fault::Truncated, 0)),
        ("\u{feff}{}", (Fault::ByteOrderMark, 0)),
        ("{} x", (Fault::Trailing, 3)),
        ("{}{}", (Fault::Trailing, 2)),
        ("[1,]", (Fault::Unexpected, 3)),
        ("{\"a\":1,}", (Fault::Unexpected, 7)),
        ("{\"a\" 1}", (Fault::Unexpected, 5)),
        ("[1}", (Fault::Unexpected, 2)),
        ("{1:2}", (Fault::Unexpected, 1)),
        ("'a'", (Fault::Unexpected, 0)),
        ("[1", (Fault::Truncated, 2)),
        ("\"a", (Fault::Truncated, 2)),
        ("\"a\nb\"", (Fault::Control, 2)),
        ("\"\\x\"", (Fault::Escape, 2)),
        ("\"\\u12g4\"", (Fault::Escape, 5)),
        ("01", (Fault::Number, 1)),
        ("-", (Fault::Truncated, 1)),
        ("[1.]", (Fault::Number, 3)),
        ("[1e]", (Fault::Number, 3)),
        ("[-a]", (Fault::Number, 2)),
        ("+1", (Fault::Unexpected, 0)),
        ("nul", (Fault::Truncated, 3)),
        ("nulL", (Fault::Literal, 3)),
        ("NaN", (Fault::Unexpected, 0)),
    ] {
        assert_eq!(fault(document), expected, "{document}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(read([nested(128).as_bytes()]).is_ok());
    assert_eq!(fault(&nested(129)), (Fault::TooDeep, 128));
    assert_eq!(fault(&"{\"a\":".repeat(200)).0, Fault::TooDeep);
}

#[test]
fn escapes_are_read_as_they_mean() {
    for (written, meant) in [
        (r#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz"),
        (r#""\u0041\u00e9\u20ac""#, "Aé€"),
        (r#""\ud83e\udd80""#, "🦀"),
    ] {
        let hex: String = meant.bytes().map(|byte| format!("{byte:02x}")).collect();
        let expected = format!("String@0 {hex} end@{} ", written.len());
        assert_eq!(read([written.as_bytes()]).unwrap(), expected);
        assert_eq!(read(written.as_bytes().chunks(1)).unwrap(), expected);
    }
    // A lone surrogate is told as what it is: three bytes that are no UTF-8.
    assert_eq!(read([&br#""\ud83ex""#[..]]).unwrap(), "String@0 eda0be78 end@9 ");
    assert_eq!(read([&br#""\ud83e\ud83e""#[..]]).unwrap(), "String@0 eda0beeda0be end@14 ");
    assert_eq!(read([&br#""\udd80""#[..]]).unwrap(), "String@0 edb680 end@8 ");
}

#[test]
fn runs_end_at_the_first_special_byte_wherever_it_stands() {
    for length in 0..100 {
        for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
            for filler in [b'a', b' ', 0x80, 0xff, b'!', b'#', b'[', 0x7f] {
                let mut bytes = vec![filler; 100];
                bytes[length] = special;
                assert_eq!(plain_run(&bytes), length, "{special:#x} after {length} times {filler:#x}");
            }
        }
        assert_eq!(plain_run(&vec![b'a'; length]), length);
    }
}

/// A random JSON document, written with random blanks and escapes.
pub(crate) fn document() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[a-z0-9 ]{0,12}",
        "\\PC{0,8}".prop_map(|text| text.replace(['"', '\\'], "_")),
        Just("\\n\\u0041\\ud83e\\udd80\\\\\\\"".to_owned()),
        Just("long ".repeat(30)),
    ]
    .prop_map(|text| format!("\"{text}\""));
    let leaf = prop_oneof![
        text.clone(),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has no such number", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        prop_oneof![Just("true"), Just("false"), Just("null"), Just("-0.5E+3"), Just("0")]
            .prop_map(str::to_owned),
    ];
    let blank = prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\r\n\t ")];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let member = (text.clone(), blank.clone(), inner.clone())
            .prop_map(|(key, blank, value)| format!("{key}{blank}:{blank}{value}"));
        prop_oneof![
            (proptest::collection::vec(inner, 0..5), blank.clone())
                .prop_map(|(values, blank)| format!("[{blank}{}{blank}]", values.join(","))),
            (proptest::collection::vec(member, 0..5), blank.clone())
                .prop_map(|(members, blank)| format!("{{{blank}{}}}{blank}", members.join(","))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn it_says_yes_where_serde_does_and_the_same_at_every_split(document in document()) {
        let whole = read([document.as_bytes()]);
        prop_assert!(whole.is_ok(), "{whole:?}: {document}");
        prop_assert!(serde_json::from_str::<IgnoredAny>(&document).is_ok());
        for cut in 0..=document.len() {
            let (a, b) = document.as_bytes().split_at(cut);
            prop_assert_eq!(&read([a, b]), &whole);
        }
        prop_assert_eq!(&read(document.as_bytes().chunks(1)), &whole);
    }

    #[test]
    fn it_says_no_where_serde_does(document in document(), at in any::<prop::sample::Index>(), byte in any::<u8>(), remove in any::<bool>()) {
        let mut bytes = document.into_bytes();
        let at = at.index(bytes.len());
        if remove { bytes.remove(at); } else { bytes[at] = byte; }
        let serde = serde_json::from_slice::<IgnoredAny>(&bytes).is_ok();
        prop_assert_eq!(read([bytes.as_slice()]).is_ok(), serde, "{}", String::from_utf8_lossy(&bytes));
        prop_assert_eq!(read(bytes.chunks(1)).is_ok(), serde);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"{}[]\",:\\u0e-+.".to_vec())], 0..200)) {
        let whole = read([bytes.as_slice()]);
        prop_assert_eq!(read(bytes.chunks(1)), whole);
    }
}
