//! The arithmetic. Every term is tokens × price, rounded once, half up, to nano-dollars; `real` is the sum of the
//! rounded terms, and the breakdown adds up to it exactly; `rated` is `real` times the multiplier, rounded once.

use std::fmt::Write as _;

use super::Price;
use crate::{
    rules::money::NanoDollars,
    types::{Cost, TokenUsage},
};

/// Pico-dollars in a nano-dollar.
const PICO: i128 = 1000;
/// No multiplier is larger.
const LARGEST_MULTIPLIER: f64 = 1e6;

/// How a request is priced.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Service tier that the answer names; empty: standard.
    pub service_tier: &'a str,
    /// Factor from real to rated; one that is no number counts as 1, a negative one as 0.
    pub multiplier: f64,
}

impl Default for Context<'_> {
    fn default() -> Self {
        Self { service_tier: "", multiplier: 1.0 }
    }
}

/// What tokens cost, and why. Negative counts, which no upstream means, count as none. Audio and images are priced apart
/// from the text beside them and stand in `other`; reasoning is output.
pub fn cost(price: &Price, usage: &TokenUsage, context: &Context<'_>) -> Cost {
    let tokens = |count: i64| count.max(0);
    let whole_input = [usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h]
        .into_iter()
        .map(tokens)
        .fold(0, i64::saturating_add);
    let (rates, tier, above) = price.rates(context.service_tier, whole_input);
    let (input, output) = (tokens(usage.input), tokens(usage.output));
    let audio_input = tokens(usage.audio_input).min(input);
    let image_input = tokens(usage.image_input).min(input - audio_input);
    let audio_output = tokens(usage.audio_output).min(output);
    let image_output = tokens(usage.image_output).min(output - audio_output);

    let mut bill = Bill { formula: heading(price, tier, above), terms: 0 };
    let input_cost = bill.term(input - audio_input - image_input, "input", rates.input);
    let output_cost = bill.term(output - audio_output - image_output, "output", rates.output);
    let cache_read = bill.term(tokens(usage.cache_read), "cache read", rates.cache_read);
    let cache_write = bill
        .term(tokens(usage.cache_write_5m), "cache write 5m", rates.cache_write_5m)
        .saturating_add(bill.term(tokens(usage.cache_write_1h), "cache write 1h", rates.cache_write_1h));
    let other = [
        bill.term(audio_input, "audio input", rates.audio_input),
        bill.term(audio_output, "audio output", rates.audio_output),
        bill.term(image_input, "image input", rates.image_input),
        bill.term(image_output, "image output", rates.image_output),
        bill.term(tokens(usage.server_tool_calls), "server tool calls", price.web_search),
    ]
    .into_iter()
    .fold(0, i64::saturating_add);
    let parts = [input_cost, output_cost, cache_read, cache_write, other];
    let real = parts.into_iter().fold(0, i64::saturating_add);
    let multiplier = bounded(context.multiplier);
    let rated = rated(real, multiplier);
    Cost {
        real,
        rated,
        input: input_cost,
        output: output_cost,
        cache_read,
        cache_write,
        other,
        price_model: price.name.to_string(),
        price_version: price.version.to_string(),
        formula: bill.close(real, multiplier, rated),
    }
}

/// Real nano-dollars times the multiplier.
pub(super) fn rated(real: i64, multiplier: f64) -> i64 {
    NanoDollars(real).times(bounded(multiplier)).0
}

fn bounded(multiplier: f64) -> f64 {
    if multiplier.is_nan() { 1.0 } else { multiplier.clamp(0.0, LARGEST_MULTIPLIER) }
}

fn heading(price: &Price, tier: Option<&str>, above: Option<u64>) -> String {
    let mut text = price.name.to_string();
    if let Some(tier) = tier {
        let _ = write!(text, ", {tier}");
    }
    if let Some(above) = above {
        let _ = write!(text, ", input above {above}");
    }
    text.push(':');
    text
}

/// The formula as it grows.
struct Bill {
    formula: String,
    terms: usize,
}

impl Bill {
    /// One term, in nano-dollars; written down unless nothing is counted.
    fn term(&mut self, count: i64, what: &str, pico: u64) -> i64 {
        if count == 0 {
            return 0;
        }
        let sign = if self.terms == 0 { "" } else { "+ " };
        let _ = write!(self.formula, " {sign}{count} {what} × {}", Nano(pico));
        self.terms += 1;
        // 2^63 × 2^64 is within i128.
        let exact = i128::from(count) * i128::from(pico);
        i64::try_from((exact + PICO / 2) / PICO).unwrap_or(i64::MAX)
    }

    fn close(mut self, real: i64, multiplier: f64, rated: i64) -> String {
        if self.terms == 0 {
            self.formula.push_str(" 0");
        }
        let _ = write!(self.formula, " = {real} n$");
        if multiplier != 1.0 {
            let _ = write!(self.formula, ", × {multiplier} = {rated} n$");
        }
        self.formula
    }
}

/// Pico-dollars, written as nano-dollars.
struct Nano(u64);

impl std::fmt::Display for Nano {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{rest:03}").trim_end_matches('0'))
    }
}
