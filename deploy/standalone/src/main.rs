//! `crs`: both planes in one process, joined by the very services that join them when they are apart. Wiring only.

mod commands;
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Several libraries could bring a TLS provider; this is the one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    commands::run(std::env::args_os())
}
