//! What a request may cost, before it has run: an expectation, and a bound.

use super::{Price, Rates, cost::rated};

/// Terms of a bill, each of which is rounded by at most half a nano-dollar.
const TERMS: i64 = 16;
const PICO: i128 = 1000;

/// Nano-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// What the upstream takes.
    pub real: i64,
    /// After the multiplier.
    pub rated: i64,
}

impl Price {
    /// What so many tokens of text cost, at standard prices and without caches.
    pub fn expected(&self, input: i64, output: i64, multiplier: f64) -> Amount {
        let (rates, _, _) = self.rates("", input);
        amount(sum(input, rates.input, output, rates.output), multiplier)
    }

    /// What so many tokens can cost at most, whatever kind they turn out to be, from or to whichever cache, in whichever
    /// service tier. Calls of server tools are not in it.
    pub fn at_most(&self, input: i64, output: i64, multiplier: f64) -> Amount {
        let tiers = std::iter::once(&self.standard).chain(self.tiers.iter().map(|(_, tier)| tier));
        let all = tiers
            .flat_map(|tier| std::iter::once(&tier.base).chain(tier.above.iter().map(|(_, rates)| rates)));
        let (dearest_in, dearest_out) = all.map(dearest).fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        amount(sum(input, dearest_in, output, dearest_out).saturating_add(TERMS), multiplier)
    }
}

fn dearest(rates: &Rates) -> (u64, u64) {
    let input = [
        rates.input,
        rates.cache_read,
        rates.cache_write_5m,
        rates.cache_write_1h,
        rates.audio_input,
        rates.image_input,
    ];
    let output = [rates.output, rates.audio_output, rates.image_output];
    (input.into_iter().max().unwrap_or(0), output.into_iter().max().unwrap_or(0))
}

fn sum(input: i64, input_rate: u64, output: i64, output_rate: u64) -> i64 {
    let term = |count: i64, pico: u64| i128::from(count.max(0)) * i128::from(pico);
    let exact = term(input, input_rate).saturating_add(term(output, output_rate));
    i64::try_from((exact + PICO - 1) / PICO).unwrap_or(i64::MAX)
}

fn amount(real: i64, multiplier: f64) -> Amount {
    Amount { real, rated: rated(real, multiplier) }
}

#[cfg(test)]
mod tests {
    use crate::{
        rules::price::{Context, Table, cost},
        types::TokenUsage,
    };

    #[test]
    fn no_bill_is_higher_than_its_bound() {
        for price in Table::shipped().models() {
            for (input, output) in [(0, 0), (1, 1), (999, 77), (250_001, 64_000)] {
                let bound = price.at_most(input, output, 1.37);
                let third = input / 3;
                for usage in [
                    TokenUsage { input, output, ..TokenUsage::default() },
                    TokenUsage { cache_write_1h: input, output, ..TokenUsage::default() },
                    TokenUsage {
                        input: input - 2 * third,
                        cache_read: third,
                        cache_write_5m: third,
                        output,
                        audio_output: output / 2,
                        image_input: third / 2,
                        ..TokenUsage::default()
                    },
                ] {
                    for service_tier in ["", "priority", "flex", "batch"] {
                        let bill = cost(price, &usage, &Context { service_tier, multiplier: 1.37 });
                        assert!(bill.real <= bound.real && bill.rated <= bound.rated, "{}", price.name);
                    }
                }
            }
        }
    }

    #[test]
    fn an_expectation_is_the_bill_of_plain_text() {
        let price = Table::shipped().find("claude-sonnet-4-5").unwrap();
        let usage = TokenUsage { input: 1_234, output: 567, ..TokenUsage::default() };
        let bill = cost(price, &usage, &Context { service_tier: "", multiplier: 2.0 });
        let expected = price.expected(1_234, 567, 2.0);
        assert!((expected.real - bill.real).abs() <= 2 && (expected.rated - bill.rated).abs() <= 4);
    }
}
