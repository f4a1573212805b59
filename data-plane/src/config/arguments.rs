//! The list of a node's settings: flag, variable, default, help. `deploy/env.example` and the README's table follow it.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Arg, ArgAction, value_parser};
use process::logs;
use upstream::Mode;

/// Every setting of `crs-data`. An argument's id is its key in the TOML file.
pub fn arguments() -> Vec<Arg> {
    [general(), control(), relay_arguments(), outbound()].into_iter().flatten().collect()
}

/// What standalone adds to the control plane's settings.
pub fn relay_arguments() -> Vec<Arg> {
    [listener(), requests(), records(), ways()].into_iter().flatten().collect()
}

fn general() -> Vec<Arg> {
    vec![
        path("config")
            .env("CRS_CONFIG")
            .help("TOML file with settings; a key is a flag's name without dashes in front"),
        path("data-dir")
            .env("CRS_DATA_DIR")
            .value_name("DIR")
            .default_value("./data")
            .help("Where this process keeps its files"),
        setting("log-level")
            .env("CRS_LOG_LEVEL")
            .default_value("info")
            .help("Level, or a filter such as info,relay=debug"),
        setting("log-format")
            .env("CRS_LOG_FORMAT")
            .value_parser(value_parser!(logs::Format))
            .default_value("text")
            .help("How log lines look"),
        address("ops-listen", "127.0.0.1:9091").env("CRS_OPS_LISTEN").help("/metrics and /health"),
        seconds("drain-timeout", "1800")
            .env("CRS_DRAIN_TIMEOUT")
            .help("Longest time that streams in flight are waited for at shutdown"),
    ]
}

fn control() -> Vec<Arg> {
    vec![
        setting("control")
            .env("CRS_CONTROL")
            .value_name("URL")
            .required(true)
            .help("The control plane's node port, https://… or http://…"),
        setting("join-token")
            .env("CRS_JOIN_TOKEN")
            .hide_env_values(true)
            .required_unless_present("client-certificate")
            .help("Token with which this node joins; not needed with a client certificate"),
        path("client-certificate")
            .env("CRS_CLIENT_CERTIFICATE")
            .help("PEM file of the certificate with which this node proves itself; its first DNS name is the node's id"),
        path("client-key").env("CRS_CLIENT_KEY").help("PEM file of its private key"),
        seconds("membership-grace", "30").env("CRS_MEMBERSHIP_GRACE").help(
            "How long streams may go on once the control plane has said that this node's membership has ended",
        ),
        path("control-ca-file")
            .env("CRS_CONTROL_CA_FILE")
            .help("PEM file of the certificate authorities to trust for the control plane"),
        setting("node-name").env("CRS_NODE_NAME").help("Name for people; the host's name when not set"),
        path("node-secret-file").env("CRS_NODE_SECRET_FILE").help(
            "File with the secret that seals the snapshot on disk; derived from the join token when not set",
        ),
    ]
}

fn listener() -> Vec<Arg> {
    vec![
        address("listen", "0.0.0.0:3000").env("CRS_LISTEN").help("Where clients are served"),
        path("listen-tls-certificate")
            .env("CRS_LISTEN_TLS_CERTIFICATE")
            .help("PEM file of the relay port's certificate chain; without it plaintext"),
        path("listen-tls-key").env("CRS_LISTEN_TLS_KEY").help("PEM file of its private key"),
        number("workers", "0").env("CRS_WORKERS").help("Threads that serve clients; 0: one per core"),
        number("max-connections", "20000")
            .env("CRS_MAX_CONNECTIONS")
            .help("Client connections at once; more are closed"),
        seconds("header-timeout", "15")
            .env("CRS_HEADER_TIMEOUT")
            .help("Longest time for a request's head to come in"),
        seconds("keep-alive-timeout", "605")
            .env("CRS_KEEP_ALIVE_TIMEOUT")
            .help("Longest time a client connection may be idle"),
        seconds("drain-delay", "0")
            .env("CRS_DRAIN_DELAY")
            .help("At shutdown: how long to go on accepting after readiness is off"),
    ]
}

fn requests() -> Vec<Arg> {
    vec![
        big("max-body-mb", "64").env("CRS_MAX_BODY_MB").help("Longest request body, MiB"),
        big("body-budget-mb", "512")
            .env("CRS_BODY_BUDGET_MB")
            .help("Bodies and buffers of all requests together, MiB; past it 503"),
        seconds("body-timeout", "30")
            .env("CRS_BODY_TIMEOUT")
            .help("Longest silence of a client within its request body"),
        setting("trusted-proxies")
            .env("CRS_TRUSTED_PROXIES")
            .value_name("CIDR")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .help("Proxies in front whose X-Forwarded-For is believed"),
        setting("access-log")
            .env("CRS_ACCESS_LOG")
            .value_name("PLACE")
            .default_value("stderr")
            .help("Where the access log goes: stderr, stdout, a file, or off"),
    ]
}

fn records() -> Vec<Arg> {
    vec![
        big("spool-max-mb", "1024")
            .env("CRS_SPOOL_MAX_MB")
            .help("Usage records on disk, MiB; at this cap requests are refused"),
        seconds("spool-retain-acked", "86400")
            .env("CRS_SPOOL_RETAIN_ACKED")
            .help("How long acknowledged usage records are kept"),
    ]
}

fn ways() -> Vec<Arg> {
    let mode = |text: &str| match text {
        "inline" => Ok(Mode::Inline),
        "pooled" => Ok(Mode::Pooled),
        _ => Err("neither `inline` nor `pooled`"),
    };
    vec![
        setting("upstream-mode")
            .env("CRS_UPSTREAM_MODE")
            .value_parser(mode)
            .default_value("inline")
            .help("How upstream connections are driven: inline (in the client's task) or pooled"),
        seconds("upstream-connect-timeout", "10")
            .env("CRS_UPSTREAM_CONNECT_TIMEOUT")
            .help("Longest time to connect to an upstream, TLS included"),
    ]
}

fn outbound() -> Vec<Arg> {
    vec![
        setting("upstream-allow-private").env("CRS_UPSTREAM_ALLOW_PRIVATE")
            .value_name("CIDR")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .help("Private networks that may be called; without it loopback, while the control plane is on loopback"),
        path("upstream-ca-file").env("CRS_UPSTREAM_CA_FILE").help("PEM file with further certificate authorities for calls to upstreams"),
    ]
}

fn setting(id: &'static str) -> Arg {
    Arg::new(id).long(id)
}

fn path(id: &'static str) -> Arg {
    setting(id).value_name("FILE").value_parser(value_parser!(PathBuf))
}

fn address(id: &'static str, default: &'static str) -> Arg {
    setting(id).value_name("ADDRESS").value_parser(value_parser!(SocketAddr)).default_value(default)
}

fn seconds(id: &'static str, default: &'static str) -> Arg {
    setting(id)
        .value_name("SECONDS")
        .value_parser(value_parser!(u64).range(0..=31_536_000))
        .default_value(default)
}

fn big(id: &'static str, default: &'static str) -> Arg {
    setting(id).value_name("MIB").value_parser(value_parser!(u64).range(1..=1_048_576)).default_value(default)
}

fn number(id: &'static str, default: &'static str) -> Arg {
    setting(id).value_name("N").value_parser(value_parser!(usize)).default_value(default)
}
