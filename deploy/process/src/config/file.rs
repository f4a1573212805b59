//! The TOML file as a flat list of settings.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::Error;

/// The file that `--config` or `CRS_CONFIG` names, if any.
pub fn named(arguments: &[OsString], environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    let texts: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let by_flag = texts.iter().enumerate().find_map(|(at, text)| match text.strip_prefix("--config")? {
        "" => arguments.get(at + 1).map(PathBuf::from),
        rest => rest.strip_prefix('=').map(PathBuf::from),
    });
    by_flag.or_else(|| environment.get("CRS_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from))
}

/// Its settings: table names joined by `-`, lists by `,`.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, Error> {
    let wrong = |why: String| Error::File { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let mut settings = Vec::new();
    flatten("", table, &mut settings).map_err(wrong)?;
    Ok(settings)
}

fn flatten(prefix: &str, table: toml::Table, into: &mut Vec<(String, String)>) -> Result<(), String> {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.replace('_', "-"));
        match value {
            toml::Value::Table(inner) => flatten(&format!("{key}-"), inner, into)?,
            toml::Value::Array(items) => {
                let items: Result<Vec<_>, _> = items.into_iter().map(|item| scalar(&key, item)).collect();
                into.push((key, items?.join(",")));
            }
            other => {
                let value = scalar(&key, other)?;
                into.push((key, value));
            }
        }
    }
    Ok(())
}

fn scalar(key: &str, value: toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(flag) => Ok(flag.to_string()),
        _ => Err(format!("{key} is neither text, number, boolean nor a list of them")),
    }
}
