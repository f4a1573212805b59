//! Defaults, and what is refused.

use clap::Command;

use super::*;

fn read(arguments: &[&str]) -> Result<(Config, ControlConfig), String> {
    let command = Command::new("crs-data").args(super::arguments());
    let base = ["crs-data", "--control", "http://127.0.0.1:4001", "--join-token", "crs_jt_x"];
    let matches =
        command.try_get_matches_from(base.iter().chain(arguments)).map_err(|error| error.to_string())?;
    let config = Config::read(&matches).map_err(|error| error.to_string())?;
    Ok((config, ControlConfig::read(&matches).map_err(|error| error.to_string())?))
}

#[test]
fn defaults_are_those_of_the_surface() {
    let (config, control) = read(&[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:3000");
    assert_eq!(config.ops_listen.unwrap().to_string(), "127.0.0.1:9091");
    assert_eq!(config.relay.max_body, 64 << 20);
    assert!(config.server.workers >= 1 && config.upstream.allow_private_unset);
    assert_eq!((config.access_log, config.upstream.mode), (Destination::Stderr, Mode::Inline));
    assert!(!control.node_name.is_empty());
    assert!(!format!("{control:?}").contains("crs_jt_x"));
}

#[test]
fn what_cannot_be_is_refused() {
    assert!(read(&["--upstream-allow-private", "10.0.0.0/8,fd00::/8"]).is_ok());
    assert!(
        read(&["--upstream-allow-private", "10.0.0.0/40"]).unwrap_err().contains("upstream-allow-private")
    );
    assert!(read(&["--trusted-proxies", "nonsense"]).is_err());
    assert!(read(&["--upstream-mode", "magic"]).is_err());
    assert!(read(&["--listen", "3000"]).is_err());
}
