use std::io::Write as _;

use super::*;

const PLAIN: &[u8] = include_bytes!("../../testdata/stream.sse");
const BROTLI: &[u8] = include_bytes!("../../testdata/stream.sse.br");
const BROTLI_BOMB: &[u8] = include_bytes!("../../testdata/bomb.br");

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn decoded(coding: &str, coded: &[u8], size: usize) -> Result<Vec<u8>, Undecodable> {
    let mut decoder = Decoder::new(Some(coding));
    let mut plain = Vec::new();
    for piece in coded.chunks(size) {
        decoder.push(piece, |bytes| plain.extend_from_slice(bytes))?;
    }
    Ok(plain)
}

#[test]
fn every_coding_at_any_piece_size() {
    let zstd = zstd::encode_all(PLAIN, 3).unwrap();
    for (coding, coded) in [
        ("gzip", gzip(PLAIN)),
        ("X-GZIP", gzip(PLAIN)),
        ("deflate", deflate(PLAIN)),
        ("br", BROTLI.to_vec()),
        (" zstd ", zstd),
        ("identity", PLAIN.to_vec()),
        ("", PLAIN.to_vec()),
    ] {
        for size in [1, 7, 100, usize::MAX] {
            assert_eq!(decoded(coding, &coded, size).as_deref(), Ok(PLAIN), "{coding} in pieces of {size}");
        }
    }
    let twice = [gzip(b"one "), gzip(b"two")].concat();
    assert_eq!(decoded("gzip", &twice, 5).as_deref(), Ok(&b"one two"[..]));
}

#[test]
fn a_zstd_frame_that_claims_a_huge_window_is_not_believed() {
    // Magic, descriptor without content size, window of 2^27 bytes, one raw block of one byte.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x09, 0x00, 0x00, b'x'];
    assert_eq!(decoded("zstd", &frame, 100), Err(Undecodable));
    let small = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 0x09, 0x00, 0x00, b'x'];
    assert_eq!(decoded("zstd", &small, 100).as_deref(), Ok(&b"x"[..]));
}

#[test]
fn what_was_flushed_comes_out_at_once() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    for (encoder, coding) in [(&mut gzip as &mut dyn Write, "gzip"), (&mut zstd, "zstd")] {
        encoder.write_all(b"data: 1\n\n").unwrap();
        encoder.flush().unwrap();
        let _ = coding;
    }
    let mut brotli = Vec::new();
    Decoder::new(Some("br"))
        .push(&BROTLI[..BROTLI.len() / 2], |bytes| brotli.extend_from_slice(bytes))
        .unwrap();
    assert!(brotli.starts_with(b"event: message_start\n") && brotli.len() > 500);
    for (coded, coding) in [(gzip.get_ref().clone(), "gzip"), (zstd.get_ref().clone(), "zstd")] {
        assert_eq!(decoded(coding, &coded, 3).as_deref(), Ok(&b"data: 1\n\n"[..]), "{coding}");
    }
}

#[test]
fn what_is_wrong_fails_and_goes_on_failing() {
    for coding in ["gzip", "br", "zstd", "deflate", "gzip, br", "compress"] {
        let mut decoder = Decoder::new(Some(coding));
        assert_eq!(
            decoder.push(b"\xff\xff\xff\xffnot coded at all, surely not", |_| {}),
            Err(Undecodable),
            "{coding}"
        );
        assert_eq!(decoder.push(PLAIN, |_| {}), Err(Undecodable));
    }
}

#[test]
fn bombs_do_not_unfold() {
    let gzip = gzip(&vec![0; 16 << 20]);
    let zstd = zstd::encode_all(&vec![0; 16 << 20][..], 3).unwrap();
    for (coding, bomb) in [("br", BROTLI_BOMB), ("gzip", &gzip[..]), ("zstd", &zstd[..])] {
        let mut decoder = Decoder::new(Some(coding));
        let (mut largest, mut total) = (0, 0);
        let _ = decoder.push(bomb, |bytes| {
            largest = largest.max(bytes.len());
            total += bytes.len();
        });
        assert!(largest <= MAX_STEP, "{coding}: {largest} at once");
        assert!(total <= bomb.len().div_ceil(STEP) * MAX_STEP, "{coding}: {total}");
    }
}

#[test]
fn a_head_is_what_decodes_of_it() {
    assert_eq!(head(Some("br"), BROTLI, usize::MAX), PLAIN);
    assert_eq!(head(Some("gzip"), &gzip(PLAIN), 20), &PLAIN[..20]);
    assert_eq!(head(None, PLAIN, 7), &PLAIN[..7]);
    assert_eq!(head(Some("gzip"), b"{\"error\":1}", 100), b"");
    assert_eq!(head(Some("br"), BROTLI_BOMB, 1000), vec![0; 1000]);
}
