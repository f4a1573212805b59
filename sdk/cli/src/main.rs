//! crsctl: administration of a deployment from the command line, on the Rust client.
//!
//! Exit codes: 0 done, 1 failed, 2 usage, 3 refused (permission), 4 not found, 5 unreachable.

mod arguments;
mod commands;
mod failure;
mod limit_syntax;
mod output;
mod profile;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::Arguments;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // The only error is that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = Arguments::parse();
    match commands::run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crsctl: {}", failure::explain(&error));
            ExitCode::from(failure::exit_code(&error))
        }
    }
}
