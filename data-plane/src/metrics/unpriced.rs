//! Attempts and tokens that no price was found for, by model: their cost counts as nothing, which somebody has to see.
//! A model's name is a client's or an upstream's word, so the number of labels is bounded.

use parking_lot::Mutex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Models that get a label of their own, the first that come.
const MOST_MODELS: usize = 50;
/// Longest name of a label, bytes.
const LONGEST: usize = 128;
/// What all others are counted under.
const OTHER: &str = "(other)";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Model {
    model: String,
}

/// The counters.
#[derive(Debug, Default)]
pub struct Unpriced {
    attempts: Family<Model, Counter>,
    tokens: Family<Model, Counter>,
    known: Mutex<Vec<String>>,
}

impl Unpriced {
    /// Counts an attempt of a model without a price. The first of a model is told in the log too.
    pub fn count(&self, model: &str, tokens: i64) {
        let (model, is_new) = self.label(model);
        if is_new {
            tracing::warn!(
                model,
                "no price for this model: its tokens count as $0 until one is found; the setting unknown_price says what is \
                 done with such requests (serve, refuse, price_as:<model>)"
            );
        }
        let label = Model { model };
        self.attempts.get_or_create(&label).inc();
        self.tokens.get_or_create(&label).inc_by(tokens.max(0) as u64);
    }

    fn label(&self, model: &str) -> (String, bool) {
        let model = &model[..model.floor_char_boundary(LONGEST)];
        let model: String = model.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut known = self.known.lock();
        if known.contains(&model) {
            return (model, false);
        }
        if known.len() >= MOST_MODELS {
            return (OTHER.to_owned(), false);
        }
        known.push(model.clone());
        (model, true)
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Attempts whose tokens had no price, by model";
        registry.register("unpriced_attempts", help, self.attempts.clone());
        registry.register("unpriced_tokens", "Tokens that had no price, by model", self.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_names_makes_no_flood_of_labels() {
        let unpriced = Unpriced::default();
        for n in 0..1000 {
            unpriced.count(&format!("model-{n}"), 1);
        }
        unpriced.count(&"x".repeat(500), 1);
        assert_eq!(unpriced.known.lock().len(), MOST_MODELS);
        let other = Model { model: OTHER.to_owned() };
        assert_eq!(unpriced.tokens.get_or_create(&other).get(), 1001 - MOST_MODELS as u64);
    }

    #[test]
    fn a_name_is_one_line_of_bounded_length() {
        let unpriced = Unpriced::default();
        let (label, is_new) = unpriced.label(&format!("a\nb{}", "ä".repeat(200)));
        assert!(is_new && label.starts_with("a b") && label.len() <= LONGEST);
    }
}
