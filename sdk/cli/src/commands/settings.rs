//! `settings get|set`.

use anyhow::{Context as _, Result};
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage};
use sdk::{admin, types::Settings};
use serde_json::Value;

use super::Context;
use crate::failure::Usage;

/// Verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show the settings
    Get,
    /// Change settings
    Set {
        /// As NAME=VALUE, such as time_zone=Europe/Berlin or first_event_timeout=60s; objects as JSON
        #[arg(required = true, value_name = "NAME=VALUE")]
        changes: Vec<String>,
    },
}

/// Runs a verb.
pub async fn run(context: &Context, command: Command) -> Result<()> {
    let mut client = context.client.settings();
    let settings = match command {
        Command::Get => client.get_settings(admin::GetSettingsRequest {}).await,
        Command::Set { changes } => {
            let (settings, paths) = parse(&changes)?;
            let update_mask = Some(prost_types::FieldMask { paths });
            client
                .update_settings(admin::UpdateSettingsRequest { settings: Some(settings), update_mask })
                .await
        }
    };
    let settings = settings.map_err(sdk::Error::from)?.into_inner();
    let json = context.json("crs.types.v1.Settings", &settings)?;
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows = json
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| vec![name.clone(), shown(value)])
        .collect();
    context.show(json, vec!["NAME", "VALUE"], rows)
}

/// Changes as a message and the mask of what they name, read by the contract itself.
fn parse(changes: &[String]) -> Result<(Settings, Vec<String>)> {
    let mut fields = serde_json::Map::new();
    for change in changes {
        let (name, value) =
            change.split_once('=').ok_or_else(|| Usage(format!("{change:?}: write NAME=VALUE")))?;
        let value = match value.starts_with(['{', '[']) {
            true => serde_json::from_str(value).map_err(|error| Usage(format!("{name}: {error}")))?,
            // The contract reads numbers from texts, but no yes or no.
            false => value.parse::<bool>().map_or_else(|_| Value::from(value), Value::from),
        };
        fields.insert(name.to_owned(), value);
    }
    let paths = fields.keys().cloned().collect();
    let pool = DescriptorPool::decode(proto::DESCRIPTOR_SET)?;
    let descriptor = pool.get_message_by_name("crs.types.v1.Settings").context("no message Settings")?;
    let options = DeserializeOptions::new();
    let dynamic = DynamicMessage::deserialize_with_options(descriptor, Value::Object(fields), &options)
        .map_err(|error| Usage(error.to_string()))?;
    Ok((dynamic.transcode_to()?, paths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_by_the_contract() {
        let changes =
            ["time_zone=UTC", "max_attempts=3", "first_event_timeout=60s", r#"retention={"day_days":10}"#];
        let (settings, paths) = parse(&changes.map(str::to_owned)).unwrap();
        assert_eq!(settings.time_zone, "UTC");
        assert_eq!(settings.max_attempts, 3);
        assert_eq!(settings.first_event_timeout.unwrap().seconds, 60);
        assert_eq!(settings.retention.unwrap().day_days, 10);
        assert_eq!(paths.len(), 4);
    }

    #[test]
    fn what_is_no_setting_is_a_usage_error() {
        for change in ["colour=red", "max_attempts=many", "time_zone"] {
            assert!(parse(&[change.to_owned()]).unwrap_err().is::<Usage>(), "{change}");
        }
    }
}
