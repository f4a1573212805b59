//! Prices: the table that turns tokens into money. The look-up is here; its format is read in `price/parse.rs`, the
//! arithmetic is in `price/cost.rs`. Called by the nodes' settlement and by whoever re-prices the past.
//!
//! Exact: prices are integer pico-dollars per token (10⁻¹² US dollar: a nano-dollar is 1000 of them, and a price of
//! $0.0375 per million tokens is 37 500).
//!
//! A model is looked up by its exact name; else by its *canonical* name ([`canonical`]); else, if that is dated, by the
//! undated name; else, if it is not, by the newest dated one. Never by similarity: no price is a loud state, a wrong one
//! a silent loss.

use std::sync::{Arc, OnceLock};

mod bound;
mod cost;
mod name;
mod parse;

pub use bound::Amount;
pub use cost::{Context, cost};
pub use name::canonical;
pub use parse::Error;

/// Prices per token of one kind of request, in pico-dollars; every kind that the table leaves out has its fall-back here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Uncached input.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input read from a cache; by default as input.
    pub cache_read: u64,
    /// Input written to a cache of five minutes; by default as input.
    pub cache_write_5m: u64,
    /// Input written to a cache of one hour; by default as the one of five minutes.
    pub cache_write_1h: u64,
    /// Audio input; by default as input.
    pub audio_input: u64,
    /// Audio output; by default as output.
    pub audio_output: u64,
    /// Image input; by default as input.
    pub image_input: u64,
    /// Image output; by default as output.
    pub image_output: u64,
}

/// Prices of a service tier: those of short requests, and those of requests whose whole input exceeds a number of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Up to the first threshold.
    pub base: Rates,
    /// Thresholds and the prices above them, ascending. They hold for all tokens of such a request.
    pub above: Box<[(u64, Rates)]>,
}

/// The price of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Its name in the table.
    pub name: Box<str>,
    /// Version of the table.
    pub version: Arc<str>,
    /// The longest input, tokens; 0: not known.
    pub context: u32,
    /// The longest output, tokens; 0: not known.
    pub max_output: u32,
    /// One call of a server tool (web search), pico-dollars; 0: not priced.
    pub web_search: u64,
    /// Standard prices.
    pub standard: Tier,
    /// Prices of other service tiers, by name (`priority`, `flex`, `batch`).
    pub tiers: Box<[(Box<str>, Tier)]>,
}

/// A price table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    version: Arc<str>,
    /// By name.
    models: Vec<Price>,
    /// By canonical name: first the names as providers write them, then those behind a path (`vertex_ai/…`).
    canonical: [Names; 2],
}

/// Canonical name to position in `Table::models`, by name; the shortest of several names stands for them.
type Names = Vec<(Box<str>, u32)>;

impl Table {
    /// The table that this release carries, read at the first call.
    pub fn shipped() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| match Self::parse(include_bytes!("prices.json")) {
            Ok(table) => table,
            Err(why) => unreachable!("the shipped price table is read by a test: {why}"),
        })
    }

    /// Reads a table in the product's own format, and checks it.
    ///
    /// # Errors
    /// The first thing that is wrong with it, and where.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        parse::table(json)
    }

    /// Its version: the date of its figures.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All models, by name.
    pub fn models(&self) -> &[Price] {
        &self.models
    }

    /// The price of a model; `None` when there is none.
    pub fn find(&self, model: &str) -> Option<&Price> {
        let model = model.trim();
        self.exact(model).or_else(|| {
            let name = canonical(model);
            let found = |names| Self::by_canonical(names, &name).or_else(|| Self::by_alias(names, &name));
            let at = self.canonical.iter().find_map(found);
            self.exact(&name).or_else(|| self.models.get(at? as usize))
        })
    }

    fn exact(&self, name: &str) -> Option<&Price> {
        let at = self.models.binary_search_by(|price| (*price.name).cmp(name)).ok()?;
        self.models.get(at)
    }

    fn by_canonical(names: &Names, name: &str) -> Option<u32> {
        let at = names.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        names.get(at).map(|(_, at)| *at)
    }

    /// A dated name for an undated price, or the newest dated price for an undated name.
    fn by_alias(names: &Names, name: &str) -> Option<u32> {
        let (base, date) = name::split_date(name);
        if date.is_some() {
            return Self::by_canonical(names, base);
        }
        let from = names.partition_point(|(known, _)| **known < *name);
        let dated = names[from..].iter().take_while(|(known, _)| known.starts_with(name));
        // Sorted by name, so the last one that has this base is the newest.
        let same = |known: &str| matches!(name::split_date(known), (base, Some(_)) if base == name);
        dated.filter(|(known, _)| same(known)).last().map(|(_, at)| *at)
    }

    fn new(version: Arc<str>, mut models: Vec<Price>) -> Self {
        models.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        models.shrink_to_fit();
        let canonical = [false, true].map(|path| {
            let of_kind = models.iter().enumerate().filter(|(_, price)| price.name.contains('/') == path);
            let mut names: Names =
                of_kind.map(|(at, price)| (canonical(&price.name).into_boxed_str(), at as u32)).collect();
            names.sort_by_key(|(name, at)| (name.clone(), models[*at as usize].name.len(), *at));
            names.dedup_by(|b, a| a.0 == b.0);
            names.shrink_to_fit();
            names
        });
        Self { version, models, canonical }
    }
}

impl Price {
    /// The prices of a service tier, for a request of that whole input: tier and long-context threshold applied. A tier
    /// that has no prices of its own (such as `default`, `auto`, `standard`) is the standard one.
    pub fn rates(&self, service_tier: &str, whole_input: i64) -> (&Rates, Option<&str>, Option<u64>) {
        let own = self.tiers.iter().find(|(name, _)| name.eq_ignore_ascii_case(service_tier));
        let tier = own.map_or(&self.standard, |(_, tier)| tier);
        let name = own.map(|(name, _)| &**name);
        let whole_input = u64::try_from(whole_input).unwrap_or(0);
        match tier.above.iter().rev().find(|(threshold, _)| whole_input > *threshold) {
            Some((threshold, rates)) => (rates, name, Some(*threshold)),
            None => (&tier.base, name, None),
        }
    }
}

#[cfg(test)]
mod tests;
