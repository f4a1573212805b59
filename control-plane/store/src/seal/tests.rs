use super::*;

fn sealer(numbers: &[u32]) -> Sealer {
    let sealer = Sealer::empty();
    for number in numbers {
        sealer.install(*number, Zeroizing::new([*number as u8 + 17; 32]), i64::from(*number));
    }
    sealer
}

#[test]
fn g2_what_is_sealed_opens_only_as_the_same_record() {
    let sealer = sealer(&[1]);
    let envelope = sealer.seal("account", "a", b"sk-secret").unwrap();
    assert!(!envelope.windows(9).any(|window| window == b"sk-secret"));
    assert_eq!(sealer.open("account", "a", &envelope).unwrap(), b"sk-secret");
    assert!(sealer.open("account", "b", &envelope).is_err());
    assert!(sealer.open("key", "a", &envelope).is_err());
}

#[test]
fn g2_a_flipped_bit_anywhere_is_noticed() {
    let sealer = sealer(&[1]);
    let envelope = sealer.seal("account", "a", b"body").unwrap();
    for bit in 0..envelope.len() * 8 {
        let mut bad = envelope.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(sealer.open("account", "a", &bad).is_err(), "bit {bit}");
    }
    for length in 0..envelope.len() {
        assert!(sealer.open("account", "a", &envelope[..length]).is_err(), "length {length}");
    }
}

#[test]
fn the_newest_key_seals_and_old_ones_open() {
    let old = sealer(&[1]).seal("k", "i", b"old").unwrap();
    let both = sealer(&[2, 1]);
    assert_eq!(both.open("k", "i", &old).unwrap(), b"old");
    let new = both.seal("k", "i", b"new").unwrap();
    assert_eq!(Sealer::key_of(&new), Some(2));
    assert!(sealer(&[1]).open("k", "i", &new).unwrap_err().to_string().contains("data key 2"));
}

#[test]
fn version_2_opens_what_it_always_did() {
    let fixture = include_bytes!("../../testdata/sealed.v2");
    assert_eq!(sealer(&[1]).open("account", "fixture", fixture).unwrap(), b"\x01{\"secret\":\"kept\"}");
}
