use proptest::prelude::*;

use super::*;

fn events(pieces: &[&[u8]], max: usize) -> (Vec<(bool, Vec<u8>)>, Vec<u8>) {
    let mut framer = Framer::new(max);
    let mut found = Vec::new();
    for piece in pieces {
        framer.push(piece, |event| match event {
            Event::Whole(bytes) => found.push((true, bytes.to_vec())),
            Event::Cut(bytes) => found.push((false, bytes.to_vec())),
        });
    }
    (found, framer.rest().to_vec())
}

fn data(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (found, _) = events(&[bytes], 1 << 20);
    found.iter().filter_map(|(_, event)| Some(read(event).data?.into_owned())).collect()
}

#[test]
fn all_ends_of_lines_mixed() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = "event: a{}data: 1{}{}data: 2{}data:3{}{}".replace("{}", end);
        assert_eq!(data(stream.as_bytes()), [b"1".to_vec(), b"2\n3".to_vec()], "{end:?}");
    }
    assert_eq!(data(b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\r"), [b"1", b"2", b"3"]);
    assert_eq!(data(b"\xef\xbb\xbfdata: 1\n\n"), [b"1"]);
    assert_eq!(data(b"data: a\0b\n\n"), [b"a\0b"]);
    assert_eq!(data(b": ping\n\nid: 3\n\ndata\n\n"), [b""]);
}

#[test]
fn bytes_of_events_are_those_of_the_stream() {
    let stream = b"\n\nevent: x\ndata: 1\n\n\n: c\r\n\r\ndata: 2";
    let (found, rest) = events(&[stream], 100);
    assert_eq!(found, [(true, b"event: x\ndata: 1\n\n".to_vec()), (true, b": c\r\n\r".to_vec())]);
    assert_eq!(rest, b"data: 2");
}

#[test]
fn an_endless_line_is_bounded() {
    let (found, rest) = events(&[&[b'a'; 1000], &[b'b'; 1000], b"\n\ndata: 1\n\n"], 64);
    assert_eq!(found, [(false, vec![b'a'; 64]), (true, b"data: 1\n\n".to_vec())]);
    assert!(rest.is_empty());
}

proptest! {
    #[test]
    fn any_split_finds_the_same(
        stream in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'd'), Just(b':')], 0..60),
        cuts in proptest::collection::vec(0_usize..60, 0..8),
        max in 1_usize..40,
    ) {
        let whole = events(&[&stream], max);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&events(&bytes, max), &whole);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&events(&pieces, max), &whole);
    }

    #[test]
    fn no_bytes_make_it_panic(stream in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (found, _) = events(&[&stream], 50);
        for (_, event) in found {
            read(&event);
        }
    }
}
