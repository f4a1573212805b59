//! The whole command line, declared in one place; each noun's own part is beside its commands.

use clap::{Parser, Subcommand};

use crate::{
    commands::{account, audit, binding, group, key, login, node, request, settings, stats, token},
    output::Format,
};

/// Heading of the options that every command takes, so that a command's own stand first and alone.
const EVERYWHERE: &str = "Everywhere";

/// Administration of a Claude Relay Service deployment.
#[derive(Debug, Parser)]
#[command(name = "crsctl", version, propagate_version = true, arg_required_else_help = true)]
pub struct Arguments {
    /// Address of the control plane [default: the profile's, else http://localhost:4000]
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "CRSCTL_ADDRESS", value_name = "URL")]
    pub address: Option<String>,
    /// Access token or automation token, instead of a login
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "CRSCTL_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Which login to use
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "CRSCTL_PROFILE", default_value = "default", value_name = "NAME")]
    pub profile: String,
    /// How to print
    #[arg(short, long, global = true, help_heading = EVERYWHERE, value_enum, default_value = "table")]
    pub output: Format,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Log in and keep the session
    Login(login::Login),
    /// End the session
    Logout,
    /// Tell who is logged in and what they may do
    Whoami,
    /// Relay keys
    #[command(subcommand)]
    Key(Box<key::Command>),
    /// Upstream accounts
    #[command(subcommand)]
    Account(Box<account::Command>),
    /// Groups of accounts, to which keys can be bound
    #[command(subcommand)]
    Group(Box<group::Command>),
    /// Which session sticks to which account
    #[command(subcommand)]
    Binding(binding::Command),
    /// Kinds of upstream accounts, with the credentials they take
    #[command(subcommand)]
    Platform(account::PlatformCommand),
    /// Usage and cost
    #[command(subcommand_required = false)]
    Stats(stats::Arguments),
    /// Records of relayed requests
    #[command(subcommand)]
    Request(request::Command),
    /// Data-plane nodes
    #[command(subcommand)]
    Node(node::Command),
    /// Tokens with which nodes join
    #[command(subcommand)]
    JoinToken(node::JoinTokenCommand),
    /// Tokens for programs
    #[command(subcommand)]
    Token(token::Command),
    /// The deployment's settings
    #[command(subcommand)]
    Settings(settings::Command),
    /// Who changed what
    #[command(subcommand)]
    Audit(audit::Command),
    /// How the deployment stands
    Status,
    /// Completion for a shell, to be sourced
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
}
