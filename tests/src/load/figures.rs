//! Latencies in a histogram of constant size: buckets 1/64 wide, from a microsecond to minutes.

use std::time::Duration;

const SUB: u32 = 6;

/// Latencies in microseconds, to within 1.6 %.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; 64 << SUB], count: 0 }
    }
}

impl Histogram {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        let index = index(time.as_micros() as u64);
        self.buckets[index] += 1;
        self.count += 1;
    }

    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| *mine += theirs);
        self.count += other.count;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latency, in microseconds, that this share of all does not exceed; 0 when there are none.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && wanted > 0 {
                return value(index);
            }
        }
        0
    }
}

/// Linear below 2^SUB, then SUB bits after the highest.
fn index(us: u64) -> usize {
    if us < 1 << SUB {
        return us as usize;
    }
    let exponent = 63 - us.leading_zeros();
    let part = (us >> (exponent - SUB)) & ((1 << SUB) - 1);
    (((exponent - SUB + 1) as usize) << SUB) + part as usize
}

fn value(index: usize) -> u64 {
    if index < 1 << SUB {
        return index as u64;
    }
    let (exponent, part) = ((index >> SUB) - 1, index as u64 & ((1 << SUB) - 1));
    ((1 << SUB) + part) << exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_close() {
        let mut histogram = Histogram::default();
        (1..=10_000).for_each(|us| histogram.add(Duration::from_micros(us)));
        for (share, exact) in [(0.5, 5_000.0), (0.99, 9_900.0)] {
            let found = histogram.quantile(share) as f64;
            assert!((found / exact - 1.0).abs() < 0.02, "{share}: {found}");
        }
        assert_eq!(Histogram::default().quantile(0.5), 0);
    }
}
