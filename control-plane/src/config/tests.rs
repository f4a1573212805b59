//! Defaults, contradictions, and the master key.

use clap::Command;
use secrecy::ExposeSecret as _;

use super::*;

fn read(arguments: &[&str]) -> Result<Config, Error> {
    let command = Command::new("crs-control").args(super::arguments());
    Config::read(&command.get_matches_from(["crs-control"].iter().chain(arguments)))
}

#[test]
fn the_defaults_are_loopback_and_the_embedded_store() {
    let config = read(&[]).unwrap();
    assert_eq!(config.control.listen.to_string(), "127.0.0.1:4000");
    assert_eq!(config.nodes.unwrap().listen.to_string(), "127.0.0.1:4001");
    assert_eq!(config.ops_listen.to_string(), "127.0.0.1:9090");
    assert!(config.store.url.is_none());
    assert_eq!(config.drain_timeout, Duration::from_secs(1800));
}

#[test]
fn plaintext_towards_other_machines_is_refused_unless_accepted() {
    let refused = read(&["--node-listen", "0.0.0.0:4001"]).unwrap_err();
    assert!(matches!(refused, Error::Plaintext { listener: "node", .. }));
    assert!(refused.to_string().contains("--node-plaintext"));
    assert!(read(&["--node-listen", "0.0.0.0:4001", "--node-plaintext"]).is_ok());
    assert!(matches!(read(&["--control-tls-key", "k.pem"]).unwrap_err(), Error::HalfTls("control")));
}

#[test]
fn secrets_are_not_printed() {
    let config = read(&["--master-key", "abcSECRETabc", "--admin-password", "hunter2SECRET"]).unwrap();
    assert!(!format!("{config:?}").contains("SECRET"));
}

#[test]
fn the_master_key_comes_from_value_file_or_a_generated_file() {
    let dir = tempfile::tempdir().unwrap();
    let none = MasterKeySource::default();
    assert!(matches!(none.load(), Err(MasterKeyError::Missing)));
    let generate = Some(dir.path().join("master.key"));
    let generated = MasterKeySource { generate: generate.clone(), ..none.clone() };
    assert!(generated.load().is_ok());
    let read = MasterKeySource { file: generate, ..none.clone() };
    assert!(read.load().is_ok());
    let derived = |source: &MasterKeySource, purpose| source.derived(purpose).unwrap();
    assert_eq!(derived(&read, "a").expose_secret(), derived(&generated, "a").expose_secret());
    assert_ne!(derived(&read, "a").expose_secret(), derived(&read, "b").expose_secret());
    let sample = MasterKeySource { value: Some("0".repeat(64).into()), ..generated };
    assert!(matches!(sample.load(), Err(MasterKeyError::Refused(_))));
}
