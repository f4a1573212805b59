//! A limit made ready for admission: what a key holds of its policy in the snapshot.

use std::sync::Arc;

use proto::{
    rules::{family, ids::MeterId, quota::Meter, window},
    types,
};

/// What a limit counts: all three must match; an empty list matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Model families; `claude` stands for every Claude family.
    pub families: Vec<String>,
    /// Platform slugs.
    pub platforms: Vec<String>,
    /// Operations.
    pub operations: Vec<String>,
}

/// Which cost a limit on cost counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CostKind {
    /// After multipliers.
    #[default]
    Rated,
    /// What the upstream takes.
    Real,
}

/// A limit made ready. Made anew when the key's policy changes; its state lives in [`crate::Limits`] under its meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The limit's id.
    pub limit_id: Arc<str>,
    /// The meter: owner and limit.
    pub meter: MeterId,
    /// What is counted.
    pub kind: Meter,
    /// What it covers.
    pub scope: Scope,
    /// The bound: requests, tokens, nano-dollars, or requests at once.
    pub amount: i64,
    /// Over what time; `None` for concurrency.
    pub window: Option<window::Spec>,
    /// Whether the worst case is reserved (tokens, cost).
    pub strict: bool,
    /// Which cost.
    pub cost: CostKind,
    /// Rises when the owner's limits are reset by hand.
    pub generation: u64,
}

/// What is wrong with one field of a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Violation {
    /// Field of the message, with a dot where it lies deeper.
    pub field: String,
    /// What is expected.
    pub reason: String,
}

impl Compiled {
    /// Makes a limit of an owner (a key's id) ready.
    ///
    /// # Errors
    /// Every field that this release cannot enforce: a limit is refused by name, never left out in silence.
    pub fn new(owner: &str, limit: &types::Limit) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        let mut refuse = |field: &str, reason: &str| {
            violations.push(Violation { field: field.to_owned(), reason: reason.to_owned() });
        };
        if limit.id.is_empty() {
            refuse("id", "must not be empty");
        }
        if limit.amount < 0 {
            refuse("amount", "must not be negative");
        }
        let kind = Meter::from_name(&limit.meter);
        if kind.is_none() {
            refuse("meter", "must be `requests`, `tokens`, `cost` or `concurrency`");
        }
        let cost = match (limit.cost_kind.as_str(), kind) {
            ("", _) | ("rated", Some(Meter::Cost)) => CostKind::Rated,
            ("real", Some(Meter::Cost)) => CostKind::Real,
            _ => {
                refuse("cost_kind", "must be `rated` or `real`, and only for `cost`");
                CostKind::Rated
            }
        };
        let window = match (kind.filter(|kind| kind.has_window()), &limit.window) {
            (Some(_), Some(window)) => match window::Spec::from_wire(window) {
                Ok(spec) => Some(spec),
                Err(found) => {
                    found.iter().for_each(|one| refuse(&format!("window.{}", one.field), one.reason));
                    None
                }
            },
            (Some(_), None) => {
                refuse("window", "must be stated");
                None
            }
            _ => None,
        };
        match kind {
            Some(kind) if violations.is_empty() => Ok(Self {
                limit_id: limit.id.as_str().into(),
                meter: MeterId::of(owner, &limit.id),
                kind,
                scope: Scope::from_wire(limit.scope.as_ref()),
                amount: limit.amount,
                window,
                strict: limit.strict && kind.settles_later(),
                cost,
                generation: 0,
            }),
            _ => Err(violations),
        }
    }

    /// Whether a request falls under this limit: `family` as `rules::family::of` names it, for the model asked for after
    /// aliases; `platform` of the account, `None` where it is not chosen yet. Then a limit of certain platforms counts
    /// too: rather one request too many counted than one missed.
    pub fn covers(&self, family: &str, platform: Option<&str>, operation: &str) -> bool {
        let scope = &self.scope;
        let any = |list: &[String], matches: &dyn Fn(&str) -> bool| {
            list.is_empty() || list.iter().any(|one| matches(one))
        };
        any(&scope.families, &|one| family::covers(one, family))
            && any(&scope.operations, &|one| one == operation)
            && any(&scope.platforms, &|one| platform.is_none_or(|platform| one == platform))
    }
}

impl Scope {
    fn from_wire(scope: Option<&types::LimitScope>) -> Self {
        let scope = scope.cloned().unwrap_or_default();
        Self { families: scope.families, platforms: scope.platforms, operations: scope.operations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit() -> types::Limit {
        let window = types::Window { kind: "fixed".into(), minutes: 5, ..types::Window::default() };
        types::Limit {
            id: "l".into(),
            meter: "requests".into(),
            amount: 3,
            window: Some(window),
            ..types::Limit::default()
        }
    }

    #[test]
    fn a_limit_that_cannot_be_enforced_is_refused_by_field() {
        assert_eq!(Compiled::new("k", &limit()).unwrap().meter.as_str(), "k/l");
        let seconds = types::Limit { meter: "seconds".into(), ..limit() };
        assert_eq!(Compiled::new("k", &seconds).unwrap_err()[0].field, "meter");
        let gliding = types::Window { kind: "gliding".into(), ..types::Window::default() };
        let gliding = types::Limit { window: Some(gliding), ..limit() };
        assert_eq!(Compiled::new("k", &gliding).unwrap_err()[0].field, "window.kind");
        let rated = types::Limit { cost_kind: "real".into(), ..limit() };
        assert_eq!(Compiled::new("k", &rated).unwrap_err()[0].field, "cost_kind");
        assert_eq!(
            Compiled::new("k", &types::Limit { window: None, ..limit() }).unwrap_err()[0].field,
            "window"
        );
        let negative = types::Limit { amount: -1, ..limit() };
        assert_eq!(Compiled::new("k", &negative).unwrap_err()[0].field, "amount");
    }

    #[test]
    fn only_what_is_settled_later_can_be_strict() {
        let strict = types::Limit { strict: true, ..limit() };
        assert!(!Compiled::new("k", &strict).unwrap().strict);
        let strict = types::Limit { meter: "cost".into(), cost_kind: "real".into(), ..strict };
        let strict = Compiled::new("k", &strict).unwrap();
        assert!(strict.strict && strict.cost == CostKind::Real);
    }

    #[test]
    fn a_scope_matches_by_all_three() {
        let scope = types::LimitScope {
            families: vec!["claude".into()],
            platforms: vec!["one".into()],
            operations: vec!["messages".into()],
        };
        let limit = Compiled::new("k", &types::Limit { scope: Some(scope), ..limit() }).unwrap();
        assert!(limit.covers("opus", Some("one"), "messages"));
        assert!(limit.covers("opus", None, "messages"), "counted while the platform is not known");
        assert!(!limit.covers("gpt", Some("one"), "messages"));
        assert!(!limit.covers("opus", Some("two"), "messages"));
        assert!(!limit.covers("opus", Some("one"), "count_tokens"));
    }
}
