//! Precedence, origins, and what is refused.

use std::io::Write as _;

use clap::ArgAction;

use super::*;

fn command() -> Command {
    Command::new("crs").subcommand(
        Command::new("serve")
            .arg(Arg::new("config").long("config").env("CRS_CONFIG"))
            .arg(Arg::new("listen").long("listen").env("CRS_LISTEN").default_value("0.0.0.0:3000"))
            .arg(Arg::new("store").long("store").env("CRS_STORE").hide_env_values(true))
            .arg(
                Arg::new("allow")
                    .long("allow")
                    .env("CRS_ALLOW")
                    .value_delimiter(',')
                    .action(ArgAction::Append),
            ),
    )
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Parsed, Error> {
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    parse(command(), ["crs", "serve"].iter().chain(arguments).map(OsString::from), &environment)
}

fn listen(parsed: &Parsed) -> String {
    parsed.matches.subcommand().unwrap().1.get_one::<String>("listen").unwrap().clone()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn flag_over_environment_over_file_over_default() {
    let file = file("listen = \"file:1\"\nallow = [\"a\", \"b\"]\n");
    let path = file.path().to_str().unwrap();
    assert_eq!(listen(&run(&[], &[]).unwrap()), "0.0.0.0:3000");
    let from_file = run(&["--config", path], &[]).unwrap();
    assert_eq!(listen(&from_file), "file:1");
    let allowed: Vec<_> =
        from_file.matches.subcommand().unwrap().1.get_many::<String>("allow").unwrap().collect();
    assert_eq!(allowed, ["a", "b"]);
    assert_eq!(listen(&run(&["--config", path], &[("CRS_LISTEN", "env:1")]).unwrap()), "env:1");
    assert_eq!(
        listen(&run(&["--listen", "flag:1"], &[("CRS_LISTEN", "env:1"), ("CRS_CONFIG", path)]).unwrap()),
        "flag:1"
    );
}

#[test]
fn what_no_setting_is_called_is_refused() {
    assert!(
        matches!(run(&[], &[("CRS_LISTNE", "x")]), Err(Error::UnknownVariable(name)) if name == "CRS_LISTNE")
    );
    let file = file("lisen = \"x\"\n");
    let path = file.path().to_str().unwrap();
    assert!(matches!(run(&["--config", path], &[]), Err(Error::UnknownKey { key, .. }) if key == "lisen"));
}

#[test]
fn version_1_variables_are_aliases_and_dead_ones_are_named() {
    let parsed =
        run(&[], &[("PORT", "4444"), ("REDIS_HOST", "r"), ("REDIS_PASSWORD", "p"), ("JWT_SECRET", "x")])
            .unwrap();
    assert_eq!(listen(&parsed), "0.0.0.0:4444");
    let serve = command().get_subcommands().next().unwrap().clone();
    let effective = parsed.effective(&serve, parsed.matches.subcommand().unwrap().1);
    let store = effective.iter().find(|(key, ..)| key == "store").unwrap();
    assert_eq!(store.1, "***");
    assert_eq!(store.2, "environment (REDIS_…)");
    assert_eq!(parsed.notices.len(), 1);
}
