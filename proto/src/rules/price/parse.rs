//! The price table's own format, read and checked. Unknown fields are refused: a misspelt price is a missing price.
//!
//! ```json
//! {"format":1, "version":"2026-11-20", "unit":"…", "models":{"<name>":{
//!   "context":200000, "max_output":64000, "web_search":10000000000,
//!   "input":5000000, "output":25000000, "cache_read":500000, "cache_write_5m":6250000, "cache_write_1h":10000000,
//!   "above":[{"tokens":200000, "input":…, …}], "tiers":{"priority":{"input":…, "above":[…]}}}}}
//! ```

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::{Price, Rates, Table, Tier};

/// A dollar per token, in pico-dollars: no price is higher.
const DEAREST: u64 = 1_000_000_000_000;

/// Why a price table is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not of the format.
    #[error("the price table cannot be read: {0}")]
    Format(#[from] serde_json::Error),
    /// It is of a format that this release does not know.
    #[error("price table format {0} is not known")]
    Version(u32),
    /// A model's prices cannot be right.
    #[error("price of {model}: {reason}")]
    Model {
        /// Its name.
        model: String,
        /// What is wrong.
        reason: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    format: u32,
    version: String,
    #[serde(rename = "unit")]
    _unit: Option<serde::de::IgnoredAny>,
    models: Models,
}

/// The models in the order of the file, without a map between.
struct Models(Vec<(String, RawModel)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    #[serde(default)]
    context: u32,
    #[serde(default)]
    max_output: u32,
    #[serde(default)]
    web_search: u64,
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    audio_input: Option<u64>,
    audio_output: Option<u64>,
    image_input: Option<u64>,
    image_output: Option<u64>,
    #[serde(default)]
    above: Vec<RawAbove>,
    #[serde(default)]
    tiers: BTreeMap<String, RawTier>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawAbove {
    tokens: u64,
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    audio_input: Option<u64>,
    audio_output: Option<u64>,
    image_input: Option<u64>,
    image_output: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawTier {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    audio_input: Option<u64>,
    audio_output: Option<u64>,
    image_input: Option<u64>,
    image_output: Option<u64>,
    above: Vec<RawAbove>,
}

macro_rules! stated {
    ($raw:expr) => {{
        let raw = $raw;
        RawAbove {
            tokens: 0,
            input: raw.input,
            output: raw.output,
            cache_read: raw.cache_read,
            cache_write_5m: raw.cache_write_5m,
            cache_write_1h: raw.cache_write_1h,
            audio_input: raw.audio_input,
            audio_output: raw.audio_output,
            image_input: raw.image_input,
            image_output: raw.image_output,
        }
    }};
}

impl RawAbove {
    /// What is not stated here is as there.
    fn or(self, other: &Self) -> Self {
        Self {
            tokens: self.tokens,
            input: self.input.or(other.input),
            output: self.output.or(other.output),
            cache_read: self.cache_read.or(other.cache_read),
            cache_write_5m: self.cache_write_5m.or(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.or(other.cache_write_1h),
            audio_input: self.audio_input.or(other.audio_input),
            audio_output: self.audio_output.or(other.audio_output),
            image_input: self.image_input.or(other.image_input),
            image_output: self.image_output.or(other.image_output),
        }
    }

    fn rates(&self) -> Result<Rates, &'static str> {
        let input = self.input.ok_or("`input` is missing")?;
        let output = self.output.unwrap_or(0);
        let cache_write_5m = self.cache_write_5m.unwrap_or(input);
        let rates = Rates {
            input,
            output,
            cache_read: self.cache_read.unwrap_or(input),
            cache_write_5m,
            cache_write_1h: self.cache_write_1h.unwrap_or(cache_write_5m),
            audio_input: self.audio_input.unwrap_or(input),
            audio_output: self.audio_output.unwrap_or(output),
            image_input: self.image_input.unwrap_or(input),
            image_output: self.image_output.unwrap_or(output),
        };
        let all = [
            rates.input,
            rates.output,
            rates.cache_read,
            rates.cache_write_5m,
            rates.cache_write_1h,
            rates.audio_input,
            rates.audio_output,
            rates.image_input,
            rates.image_output,
        ];
        if all.iter().any(|rate| *rate > DEAREST) { Err("more than a dollar per token") } else { Ok(rates) }
    }
}

impl<'de> Deserialize<'de> for Models {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Models;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("models by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Models, A::Error> {
                let mut models = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    models.push(entry);
                }
                Ok(Models(models))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Reads and checks a table.
pub(super) fn table(json: &[u8]) -> Result<Table, Error> {
    let raw: Raw = serde_json::from_slice(json)?;
    if raw.format != 1 {
        return Err(Error::Version(raw.format));
    }
    let version: Arc<str> = raw.version.into();
    let mut models = Vec::with_capacity(raw.models.0.len());
    for (name, model) in raw.models.0 {
        models.push(price(&name, &version, &model).map_err(|reason| Error::Model { model: name, reason })?);
    }
    let table = Table::new(version, models);
    match table.models.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(Error::Model { model: pair[0].name.to_string(), reason: "named twice" }),
        None => Ok(table),
    }
}

fn price(name: &str, version: &Arc<str>, raw: &RawModel) -> Result<Price, &'static str> {
    if name.trim().is_empty() {
        return Err("a model without a name");
    }
    if raw.web_search > 1_000 * DEAREST {
        return Err("more than a thousand dollars per call");
    }
    let base = stated!(raw);
    let standard = tier(&base, &raw.above)?;
    // What a tier does not state costs what it costs in the standard one; thresholds it must state itself.
    let named = |(name, raw): (&String, &RawTier)| {
        Ok::<_, &'static str>((name.as_str().into(), tier(&stated!(raw).or(&base), &raw.above)?))
    };
    let tiers = raw.tiers.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    Ok(Price {
        name: name.into(),
        version: version.clone(),
        context: raw.context,
        max_output: raw.max_output,
        web_search: raw.web_search,
        standard,
        tiers: tiers.into(),
    })
}

fn tier(base: &RawAbove, above: &[RawAbove]) -> Result<Tier, &'static str> {
    if above.windows(2).any(|pair| pair[0].tokens >= pair[1].tokens)
        || above.iter().any(|one| one.tokens == 0)
    {
        return Err("thresholds must rise from above 0");
    }
    let above = above.iter().map(|one| Ok::<_, &'static str>((one.tokens, one.or(base).rates()?)));
    Ok(Tier { base: base.rates()?, above: above.collect::<Result<Vec<_>, _>>()?.into() })
}
