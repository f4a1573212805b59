use proptest::prelude::*;

use super::*;

/// What botocore's own decoder reads as `chunk`, `event` and this payload.
const KNOWN: &str = "0000004a0000002aacda56570b3a6576656e742d747970650700056368756e6b0d3a6d6573736167652d747970650700056576656e747b226279746573223a226533303d227dae919f38";

type Told = Vec<(Option<String>, Vec<u8>)>;

fn read(bytes: &[u8], step: usize) -> Result<Told, Malformed> {
    let (mut framer, mut told) = (Framer::default(), Vec::new());
    for piece in bytes.chunks(step.max(1)) {
        framer.push(piece, |message| {
            told.push((message.text(":event-type").map(str::to_owned), message.payload.to_vec()));
        })?;
    }
    framer.finish().map(|()| told)
}

#[test]
fn a_known_message_is_read_and_written() {
    let known = hex::decode(KNOWN).unwrap();
    let told = [(Some("chunk".to_owned()), br#"{"bytes":"e30="}"#.to_vec())];
    for step in 1..=known.len() {
        assert_eq!(read(&known, step).unwrap(), told);
    }
    let written = encode(&[(":event-type", "chunk"), (":message-type", "event")], br#"{"bytes":"e30="}"#);
    assert_eq!(written, known);
}

#[test]
fn every_changed_bit_is_noticed() {
    let known = hex::decode(KNOWN).unwrap();
    for bit in 0..known.len() * 8 {
        let mut changed = known.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&changed, 7).is_err(), "bit {bit}");
    }
    assert_eq!(read(&known[..known.len() - 1], 9), Err(Malformed::Truncated));
}

#[test]
fn headers_of_all_types_are_passed_over() {
    let kinds: [(u8, &[u8]); 9] = [
        (0, b""),
        (1, b""),
        (2, b"1"),
        (3, b"12"),
        (4, b"1234"),
        (5, b"12345678"),
        (6, b"\x00\x02ab"),
        (8, b"12345678"),
        (9, b"1234567890123456"),
    ];
    for (kind, value) in kinds {
        let head = [b"\x01x".as_slice(), &[kind], value, b"\x01t\x07\x00\x01v"].concat();
        let message = Message { headers: &head, payload: b"" };
        assert_eq!((message.text("t"), message.text("x")), (Some("v"), None), "{kind}");
    }
    assert!(header(b"\x01x\x0a").is_none() && header(b"\x05x").is_none());
}

proptest! {
    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1_usize..50) {
        let _ = read(&bytes, step);
    }

    #[test]
    fn any_split_tells_the_same(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..8), step in 1_usize..64) {
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| encode(&[(":event-type", "e")], payload)).collect();
        let told: Vec<_> = read(&bytes, step).unwrap().into_iter().map(|(_, payload)| payload).collect();
        prop_assert_eq!(told, payloads);
    }
}
