//! The house keeps itself in order: arrows between crates, file headers and lengths, where a platform may be named, what
//! is documented, what is forbidden. Each test names the rule that it keeps.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Who may import whom: the house's table of arrows. `e2e` may import everything, and nothing imports it.
const ARROWS: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("proto-gen", &[]),
    ("process", &[]),
    ("dialects", &["proto"]),
    ("convert", &["dialects", "proto"]),
    ("platforms", &["dialects", "proto"]),
    ("link", &["proto", "process"]),
    ("limits", &["proto"]),
    ("spool", &["proto", "process"]),
    ("snapshot", &["limits", "proto", "process"]),
    ("scheduler", &["snapshot", "proto", "process"]),
    ("upstream", &["process"]),
    (
        "data-plane",
        &[
            "dialects",
            "convert",
            "platforms",
            "link",
            "limits",
            "spool",
            "snapshot",
            "scheduler",
            "upstream",
            "proto",
            "process",
        ],
    ),
    ("domain", &["proto"]),
    ("store", &["domain", "proto", "process"]),
    ("clients", &["upstream", "process"]),
    ("publish", &["store", "domain", "proto", "process"]),
    ("fleet", &["store", "domain", "proto", "process"]),
    ("jobs", &["store", "clients", "domain", "platforms", "proto", "process"]),
    ("api", &["store", "publish", "fleet", "clients", "domain", "platforms", "proto", "process"]),
    (
        "control-plane",
        &[
            "domain",
            "store",
            "clients",
            "publish",
            "fleet",
            "jobs",
            "api",
            "platforms",
            "upstream",
            "proto",
            "process",
        ],
    ),
    ("sdk", &["proto"]),
    ("crsctl", &["sdk", "proto", "process"]),
    ("standalone", &["control-plane", "data-plane", "proto", "process"]),
];

/// Slugs that are nothing but slugs; the others are words of their own too (a family, a service).
const SLUGS: &[&str] =
    &["claude-official", "claude-console", "gemini-api", "openai-responses", "azure-openai"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file that belongs to the repository, by its path from the root.
fn files() -> Vec<(String, PathBuf)> {
    const SKIPPED: [&str; 9] =
        ["target", ".git", "node_modules", "data", ".tools", ".venv", "corpus", "artifacts", "__pycache__"];
    let (root, mut found, mut folders) = (root(), Vec::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else {
                found.push((path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(), path));
            }
        }
    }
    found
}

/// Our own Rust sources, without generated ones.
fn sources() -> Vec<(String, String)> {
    let ours = |(name, _): &(String, PathBuf)| name.ends_with(".rs") && !name.contains("/src/gen/");
    let mut sources: Vec<_> = files()
        .into_iter()
        .filter(ours)
        .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
        .collect();
    sources.sort();
    sources
}

/// The part of a source before its test module, and nothing of a file of tests.
fn product(name: &str, text: &str) -> String {
    if name.starts_with("tests/")
        || name.starts_with("fuzz/")
        || name.ends_with("tests.rs")
        || name.contains("/tests/")
    {
        return String::new();
    }
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

fn complain(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn crates_import_only_what_the_house_allows() {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let ours: BTreeSet<_> = metadata.packages.iter().map(|package| package.name.to_string()).collect();
    let mut wrong = Vec::new();
    for package in metadata.packages.iter().filter(|package| package.name.as_str() != "e2e") {
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            wrong.push(format!("{} is not in the table of arrows", package.name));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| ours.contains(&dependency.name)) {
            // A crate's tests may use the ground's tasks and clock, which its product code may not, and the crate
            // itself with a feature that is for tests.
            let tests_may = |name: &str| name == "process" || name == package.name.as_str();
            let for_tests = dependency.kind == cargo_metadata::DependencyKind::Development;
            let fine =
                allowed.contains(&dependency.name.as_str()) || (for_tests && tests_may(&dependency.name));
            if !fine {
                wrong.push(format!("{} -> {} ({})", package.name, dependency.name, dependency.kind));
            }
        }
    }
    complain("arrows that the house does not have", &wrong);
}

#[test]
fn every_module_says_what_it_is() {
    let headless = |(name, text): &(String, String)| {
        if name.ends_with("/tests.rs") {
            return None;
        }
        let said = text.trim_start().starts_with("//!") && !text.starts_with("//! Being written");
        // A fuzz target's first line is the attribute that takes its main away.
        let target = name.starts_with("fuzz/") && text.contains("//!");
        (!said && !target).then(|| name.clone())
    };
    let wrong: Vec<_> = sources().iter().filter_map(headless).collect();
    complain("files without a `//!` header", &wrong);
}

#[test]
fn no_file_is_longer_than_the_wall() {
    let long = |(name, text): &(String, String)| {
        let lines = text.lines().count();
        (lines > 400).then(|| format!("{name}: {lines} lines"))
    };
    let wrong: Vec<_> = sources().iter().filter_map(long).collect();
    complain("files of more than 400 lines", &wrong);
}

#[test]
fn platforms_are_named_in_their_own_room_only() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        if name.starts_with("data-plane/platforms/") {
            continue;
        }
        for (at, line) in product(&name, &text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for slug in SLUGS.iter().filter(|slug| code.contains(&format!("\"{slug}\""))) {
                wrong.push(format!("{name}:{}: {slug}", at + 1));
            }
        }
    }
    complain("platform slugs outside data-plane/platforms", &wrong);
}

#[test]
fn every_variable_is_documented_and_every_documented_one_exists() {
    let mut parsed = BTreeSet::new();
    for (name, text) in sources() {
        for part in product(&name, &text).split(".env(\"CRS_").skip(1) {
            parsed.insert(format!("CRS_{}", part.split('"').next().unwrap_or_default()));
        }
        for part in product(&name, &text).split("env = \"CRS_").skip(1) {
            parsed.insert(format!("CRS_{}", part.split('"').next().unwrap_or_default()));
        }
    }
    let example = fs::read_to_string(root().join("deploy/env.example")).unwrap();
    let documented: BTreeSet<_> = example
        .lines()
        .filter_map(|line| line.trim_start_matches(['#', ' ']).split_once('='))
        .map(|(name, _)| name.to_owned())
        .filter(|name| {
            name.starts_with("CRS_")
                && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        })
        .collect();
    let missing: Vec<_> =
        parsed.difference(&documented).map(|name| format!("{name} is not in deploy/env.example")).collect();
    complain("undocumented variables", &missing);
    let stale: Vec<_> =
        documented.difference(&parsed).map(|name| format!("{name} is parsed nowhere")).collect();
    complain("documented variables that do not exist", &stale);
}

#[test]
fn the_product_starts_no_process() {
    let starts = |(name, text): &(String, String)| {
        let code = product(name, text);
        (code.contains("std::process::Command")
            || code.contains("tokio::process")
            || code.contains("process::Command::"))
        .then(|| name.clone())
    };
    let wrong: Vec<_> = sources().iter().filter_map(starts).collect();
    complain("product code that starts processes", &wrong);
}

#[test]
fn no_path_or_host_of_one_machine_is_written_down() {
    // Put together here, so that this file does not find itself.
    let marks = [
        ["/ro", "ot/"].concat(),
        ["/wo", "rk/"].concat(),
        ["/opt/wh", "eels"].concat(),
        ["artif", "actory"].concat(),
        ["/tmp/", "t/"].concat(),
    ];
    let text = [
        "rs", "toml", "lock", "md", "json", "yaml", "yml", "proto", "py", "mjs", "js", "ts", "sh", "txt",
        "example", "service", "cfg",
    ];
    let mut wrong = Vec::new();
    for (name, path) in files() {
        let extension =
            Path::new(&name).extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        let plain = text.contains(&extension.as_str()) || extension.is_empty();
        let Some(content) = plain.then(|| fs::read_to_string(&path).ok()).flatten() else { continue };
        for (at, line) in content.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                wrong.push(format!("{name}:{}", at + 1));
            }
        }
    }
    complain("paths or hosts of one machine", &wrong);
}

#[test]
fn nothing_is_left_to_do_silently() {
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X:"].concat()];
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        for (at, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word.as_str())) {
                wrong.push(format!("{name}:{}", at + 1));
            }
        }
    }
    complain("notes of unfinished work", &wrong);
}
