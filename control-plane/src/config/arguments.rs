//! The list of settings: flag, variable, default, help. `deploy/env.example` and the README's table follow it.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Arg, ArgAction, value_parser};
use process::logs;

/// Every setting of a control plane. An argument's id is its key in the TOML file.
pub fn arguments() -> Vec<Arg> {
    [general(), listeners(), nodes(), store(), bootstrap(), outbound()].into_iter().flatten().collect()
}

/// The settings of the port for nodes, which standalone has none of.
pub const NODE_ARGUMENTS: [&str; 5] =
    ["node-listen", "node-tls-certificate", "node-tls-key", "node-client-ca", "node-plaintext"];

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
            .help("Level, or a filter such as info,fleet=debug"),
        setting("log-format")
            .env("CRS_LOG_FORMAT")
            .value_parser(value_parser!(logs::Format))
            .default_value("text")
            .help("How log lines look"),
        setting("drain-timeout")
            .env("CRS_DRAIN_TIMEOUT")
            .value_name("SECONDS")
            .value_parser(value_parser!(u64).range(1..=86_400))
            .default_value("1800")
            .help("Longest time that streams in flight are waited for at shutdown"),
    ]
}

fn listeners() -> Vec<Arg> {
    vec![
        address("control-listen", "127.0.0.1:4000")
            .env("CRS_CONTROL_LISTEN")
            .help("Administration: gRPC, gRPC-Web, REST, OpenAPI"),
        path("control-tls-certificate").env("CRS_CONTROL_TLS_CERTIFICATE").help(CERTIFICATE),
        path("control-tls-key").env("CRS_CONTROL_TLS_KEY").help(KEY),
        flag("control-plaintext").env("CRS_CONTROL_PLAINTEXT").help(PLAINTEXT),
        address("ops-listen", "127.0.0.1:9090").env("CRS_OPS_LISTEN").help("/metrics and /health"),
        setting("control-trusted-proxies")
            .env("CRS_CONTROL_TRUSTED_PROXIES")
            .value_name("CIDR")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .help("Proxies in front of administration whose X-Forwarded-For is believed"),
        setting("control-cors-origins")
            .env("CRS_CONTROL_CORS_ORIGINS")
            .value_name("ORIGIN")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .help("Origins whose pages may call administration; without it none"),
    ]
}

fn nodes() -> Vec<Arg> {
    vec![
        address("node-listen", "127.0.0.1:4001").env("CRS_NODE_LISTEN").help("Data-plane nodes"),
        path("node-tls-certificate").env("CRS_NODE_TLS_CERTIFICATE").help(CERTIFICATE),
        path("node-tls-key").env("CRS_NODE_TLS_KEY").help(KEY),
        path("node-client-ca").env("CRS_NODE_CLIENT_CA").help(
            "PEM file of the authorities whose client certificates let nodes in without a join token; \
             a certificate's first DNS name is the node's id",
        ),
        flag("node-plaintext").env("CRS_NODE_PLAINTEXT").help(PLAINTEXT),
    ]
}

fn store() -> Vec<Arg> {
    vec![
        setting("store")
            .env("CRS_STORE")
            .value_name("URL")
            .hide_env_values(true)
            .help("redis://… or rediss://…; without it the embedded store in the data directory"),
        setting("store-prefix")
            .env("CRS_STORE_PREFIX")
            .default_value("crs:")
            .help("What every Redis key begins with"),
        setting("master-key")
            .env("CRS_MASTER_KEY")
            .hide_env_values(true)
            .help("Key that seals secrets in the store: 32 bytes as hex or base64, or a long passphrase"),
        path("master-key-file").env("CRS_MASTER_KEY_FILE").help("File that holds the master key"),
    ]
}

fn bootstrap() -> Vec<Arg> {
    vec![
        setting("admin-username")
            .env("CRS_ADMIN_USERNAME")
            .default_value("admin")
            .help("Login name of the first administrator"),
        setting("admin-password")
            .env("CRS_ADMIN_PASSWORD")
            .hide_env_values(true)
            .help("Password of the first administrator; without it one is generated and shown once"),
        flag("print-bootstrap")
            .env("CRS_PRINT_BOOTSTRAP")
            .help("At first start print administrator and URL as one line of JSON on standard output"),
    ]
}

fn outbound() -> Vec<Arg> {
    vec![
        setting("upstream-allow-private")
            .env("CRS_UPSTREAM_ALLOW_PRIVATE")
            .value_name("CIDR")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .help("Private networks that may be called; without it loopback, while administration is on loopback"),
        path("upstream-ca-file")
            .env("CRS_UPSTREAM_CA_FILE")
            .help("PEM file with further certificate authorities for calls to upstreams"),
    ]
}

const CERTIFICATE: &str = "PEM file of the certificate chain; without it plaintext is served";
const KEY: &str = "PEM file of the private key";
const PLAINTEXT: &str = "Serve plaintext to other machines too, where a proxy in front does TLS";

fn setting(id: &'static str) -> Arg {
    Arg::new(id).long(id)
}

fn flag(id: &'static str) -> Arg {
    setting(id).action(ArgAction::SetTrue)
}

fn path(id: &'static str) -> Arg {
    setting(id).value_name("FILE").value_parser(value_parser!(PathBuf))
}

fn address(id: &'static str, default: &'static str) -> Arg {
    setting(id).value_name("ADDRESS").value_parser(value_parser!(SocketAddr)).default_value(default)
}
