//! The snapshot on disk: what is read is what was written, and nothing else is read.

use proptest::prelude::*;

use super::*;
use crate::{
    Revision,
    handle::tests::{Platforms, account, handle, key, settings},
};

fn secret() -> SecretSlice<u8> {
    vec![9; 32].into()
}

fn sealed(handle: &Handle) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_to(&handle.current(), &mut bytes, &secret()).unwrap();
    bytes
}

fn example() -> Handle {
    let keys = (0..600).map(|n| key(&format!("k{n}"), &n.to_string()));
    handle([settings(), account("a", "p")].into_iter().chain(keys).collect())
}

#[test]
fn g5_what_was_saved_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let before = example();
    assert!(matches!(load(&before, &path, &secret()), Err(DiskError::Absent)));
    save(&before.current(), &path, &secret()).unwrap();
    save(&before.current(), &path, &secret()).unwrap();
    let after = Handle::new(&Platforms);
    let revision = Revision { incarnation: "i".into(), number: 1 };
    assert_eq!(load(&after, &path, &secret()).unwrap(), Applied::Now { revision, refused: vec![] });
    let (before, after) = (before.current(), after.current());
    assert_eq!((before.counts(), before.store_identity()), (after.counts(), after.store_identity()));
    assert!(after.key_by_secret(b"599", 0).is_some());
    let account = after.account(&"a".into()).unwrap();
    assert_eq!(account.credentials["api_key"].expose_secret(), "sk-canary");
}

#[test]
fn g2_nothing_can_be_read_without_the_secret() {
    let bytes = sealed(&example());
    assert!(!bytes.windows(6).any(|window| window == b"canary"));
    let other = Handle::new(&Platforms);
    let wrong = read_from(&other, &mut bytes.as_slice(), &vec![8; 32].into());
    assert!(matches!(wrong, Err(DiskError::Damaged(_))), "{wrong:?}");
    assert!(other.current().revision().is_none());
}

#[test]
fn parts_cannot_be_cut_off() {
    let bytes = sealed(&example());
    for length in (0..bytes.len()).step_by(97) {
        let handle = Handle::new(&Platforms);
        assert!(read_from(&handle, &mut &bytes[..length], &secret()).is_err(), "{length} of {}", bytes.len());
        assert!(handle.current().revision().is_none());
    }
}

#[test]
fn a_newer_version_is_told() {
    let mut bytes = sealed(&example());
    bytes[8] = 2;
    let read = read_from(&Handle::new(&Platforms), &mut bytes.as_slice(), &secret());
    assert!(matches!(read, Err(DiskError::Version(2))), "{read:?}");
}

/// Written by version 1; it must stay readable for as long as a node may hold it.
#[test]
fn version_1_is_read() {
    let handle = Handle::new(&Platforms);
    read_from(&handle, &mut include_bytes!("snapshot-v1.bin").as_slice(), &secret()).unwrap();
    assert!(handle.current().key_by_secret(b"1", 0).is_some());
    assert_eq!(handle.current().counts(), (1, 1, 0));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read_from(&Handle::new(&Platforms), &mut bytes.as_slice(), &secret()).is_err());
    }

    #[test]
    fn a_flipped_bit_is_noticed(bit in any::<prop::sample::Index>()) {
        let mut bytes = sealed(&handle(vec![settings(), key("k", "1")]));
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(read_from(&Handle::new(&Platforms), &mut bytes.as_slice(), &secret()).is_err());
    }
}
