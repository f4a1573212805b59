//! Money: integer nano-dollars (10⁻⁹ US dollar), never a float.

use std::{fmt, iter::Sum, ops::Add};

use serde::{Deserialize, Serialize};

/// Nano-dollars in one dollar.
pub const PER_DOLLAR: i64 = 1_000_000_000;

/// An amount of money in nano-dollars. Sums saturate: 9.2 billion dollars is the end of the scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoDollars(pub i64);

impl NanoDollars {
    /// This amount times a factor, rounded half away from zero; a factor that is no number counts as 1.
    pub fn times(self, factor: f64) -> Self {
        if !factor.is_finite() || factor == 1.0 {
            return self;
        }
        // A factor is a rate card's figure with few digits: millionths hold it exactly, and i128 holds the product.
        let millionths = (factor * 1e6).round() as i128;
        let product = i128::from(self.0) * millionths;
        let rounded = (product + product.signum() * 500_000) / 1_000_000;
        Self(i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX }))
    }

    /// In dollars, for reading only.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / PER_DOLLAR as f64
    }
}

impl Add for NanoDollars {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for NanoDollars {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), Add::add)
    }
}

impl fmt::Display for NanoDollars {
    /// As dollars with as many digits as matter: at least two, at most nine.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, nanos) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let fraction = format!("{:09}", nanos % PER_DOLLAR as u64);
        let digits = fraction.trim_end_matches('0').len().max(2);
        write!(f, "{sign}${}.{}", nanos / PER_DOLLAR as u64, &fraction[..digits])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_dollars() {
        assert_eq!(NanoDollars(1_500_000_000).to_string(), "$1.50");
        assert_eq!(NanoDollars(-3).to_string(), "-$0.000000003");
        assert_eq!(NanoDollars(0).to_string(), "$0.00");
    }

    #[test]
    fn a_factor_rounds_half_away_from_zero() {
        assert_eq!(NanoDollars(3).times(0.5), NanoDollars(2));
        assert_eq!(NanoDollars(-3).times(0.5), NanoDollars(-2));
        assert_eq!(NanoDollars(1_000_000_007).times(1.1), NanoDollars(1_100_000_008));
        assert_eq!(NanoDollars(7).times(f64::NAN), NanoDollars(7));
    }

    #[test]
    fn the_end_of_the_scale_is_the_end() {
        assert_eq!(NanoDollars(i64::MAX).times(2.0), NanoDollars(i64::MAX));
        assert_eq!(NanoDollars(i64::MAX) + NanoDollars(1), NanoDollars(i64::MAX));
    }
}
