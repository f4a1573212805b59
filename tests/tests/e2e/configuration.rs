//! Configuration: every setting of every binary is documented, and none is documented that does not exist.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use e2e::sandbox::binary;

use crate::bed::{Bed, Test};

/// `CRS_…` names in a text.
fn names(text: &str) -> BTreeSet<String> {
    let part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !part(c))
        .filter(|word| word.starts_with("CRS_") && word.len() > 4)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_setting_is_in_the_example_and_every_one_there_exists() -> Test {
    let mut known = BTreeSet::new();
    for program in ["crs", "crs-control", "crs-data"] {
        let help = Command::new(binary(program)?).args(["serve", "--help"]).output()?;
        let found = names(&String::from_utf8_lossy(&help.stdout));
        assert!(found.len() > 5, "{program} serve --help names {found:?}");
        known.extend(found);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let example = fs::read_to_string(root.join("deploy/env.example"))?;
    let set = |line: &str| {
        let name = line.trim_start_matches(['#', ' ']).split_once('=')?.0;
        names(name).into_iter().next()
    };
    let documented: BTreeSet<String> = example.lines().filter_map(set).collect();
    let missing: Vec<_> = known.difference(&documented).collect();
    let stale: Vec<_> = documented.difference(&known).collect();
    assert!(missing.is_empty(), "not in deploy/env.example: {missing:?}");
    assert!(stale.is_empty(), "in deploy/env.example, but no binary has it: {stale:?}");
    Ok(())
}

#[test]
fn an_unknown_variable_and_a_sample_secret_are_refused() -> Test {
    let folder = tempfile::tempdir()?;
    let run = |variable: (&str, &str)| -> anyhow::Result<(bool, String)> {
        let output = Command::new(binary("crs")?)
            .args(["config", "check", "--data-dir"])
            .arg(folder.path())
            .env_clear()
            .env(variable.0, variable.1)
            .output()?;
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        Ok((output.status.success(), text))
    };
    let (fine, text) = run(("CRS_LOG_LEVEL", "info"))?;
    assert!(fine, "{text}");
    let (fine, text) = run(("CRS_NO_SUCH_THING", "1"))?;
    assert!(!fine && text.contains("CRS_NO_SUCH_THING"), "{text}");
    let (fine, text) = run(("CRS_LISTEN", "nonsense"))?;
    assert!(!fine && text.contains("nonsense"), "{text}");
    let (fine, text) = run(("CRS_MASTER_KEY", &"00".repeat(32)))?;
    assert!(!fine, "a sample master key was taken: {text}");
    Ok(())
}

/// A second deployment on the same port would get half of the first one's clients: sockets of ours share their port, for a
/// process that takes over on the same data directory.
#[tokio::test]
async fn a_port_that_another_deployment_serves_is_refused_and_the_reason_is_said_once() -> Test {
    let bed = Bed::start().await?;
    let folder = tempfile::tempdir()?;
    let mut second = Command::new(binary("crs")?);
    second
        .args(["serve", "--control-listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--listen"])
        .arg(bed.crs.relay.to_string())
        .arg("--data-dir")
        .arg(folder.path())
        .env_clear();
    let output = tokio::task::spawn_blocking(move || second.output());
    let output = tokio::time::timeout(Duration::from_secs(60), output).await???;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with(&format!("crs: cannot listen on {}", bed.crs.relay)), "{text}");
    assert_eq!(last.matches("in use").count(), 1, "{text}");
    assert_eq!(bed.talk.say("still well").await?.status, 200);
    bed.close().await
}
