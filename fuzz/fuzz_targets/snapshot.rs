//! The snapshot takes any message of the config feed and any file as its disk form: refused or applied, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use snapshot::{Facts, Handle, PlatformFacts, disk};

struct Known;

impl PlatformFacts for Known {
    fn facts(&self, slug: &str) -> Option<Facts> {
        (slug != "unknown").then_some(Facts { family: "claude", service: "claude", dialect: "anthropic_messages", also: Vec::new() })
    }
}

fuzz_target!(|bytes: &[u8]| {
    let handle = Handle::new(&Known);
    if let Ok(message) = proto::node::WatchResponse::decode(bytes) {
        let _ = handle.apply(message);
        let _ = handle.current().key_by_secret(bytes, 0);
    }
    let secret = secrecy::SecretSlice::from(vec![7; 32]);
    let _ = disk::read_from(&handle, &mut &bytes[..], &secret);
});
