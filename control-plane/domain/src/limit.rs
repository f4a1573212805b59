//! Limits of a key: their words, their checks and their ids. Counting is not here: it is the quota machine's.

use proto::{rules::quota::Meter, types};
use serde::{Deserialize, Serialize};

use crate::{text, violation::Violations};

pub mod v1;

/// At most so many limits on one key: a request consults each.
pub const MAX_LIMITS: usize = 16;
/// The largest amount: a hundred million dollars, with room for sums.
pub const MAX_AMOUNT: i64 = 100_000_000_000_000_000;
/// The longest window of minutes: 31 days.
pub const MAX_MINUTES: u32 = 44_640;

/// A bound on a meter over a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Server-given, stable over edits of the amount; another meter, scope or window is another limit.
    pub id: String,
    /// `requests`, `tokens`, `cost` or `concurrency`.
    pub meter: String,
    /// What counts.
    #[serde(default)]
    pub scope: Scope,
    /// Over what time; `None` for `concurrency`.
    #[serde(default)]
    pub window: Option<Window>,
    /// The bound.
    pub amount: i64,
    /// Reserve the worst case.
    #[serde(default)]
    pub strict: bool,
    /// For `cost`: `rated` or `real`.
    #[serde(default)]
    pub cost_kind: String,
}

/// What a limit counts: an empty list matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// Model families.
    pub families: Vec<String>,
    /// Platform slugs.
    pub platforms: Vec<String>,
    /// Operations.
    pub operations: Vec<String>,
}

/// Over what time a limit counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// `fixed`, `sliding`, `hour`, `day`, `week`, `month` or `total`.
    pub kind: String,
    /// For `fixed` and `sliding`.
    pub minutes: u32,
    /// For `week`: 1 Monday to 7 Sunday.
    pub week_start_day: u32,
    /// For `week`: 0 to 23.
    pub week_start_hour: u32,
}

impl Limit {
    /// On the wire.
    pub fn to_wire(&self) -> types::Limit {
        let scope = (self.scope != Scope::default()).then(|| types::LimitScope {
            families: self.scope.families.clone(),
            platforms: self.scope.platforms.clone(),
            operations: self.scope.operations.clone(),
        });
        types::Limit {
            id: self.id.clone(),
            meter: self.meter.clone(),
            scope,
            window: self.window.as_ref().map(Window::to_wire),
            amount: self.amount,
            strict: self.strict,
            cost_kind: self.cost_kind.clone(),
        }
    }

    /// Whether both count the same thing over the same time, so that one's counter is the other's.
    fn counts_as(&self, other: &Self) -> bool {
        self.meter == other.meter
            && self.scope == other.scope
            && self.window == other.window
            && self.cost_kind == other.cost_kind
    }
}

impl Window {
    /// On the wire.
    pub fn to_wire(&self) -> types::Window {
        types::Window {
            kind: self.kind.clone(),
            minutes: self.minutes,
            week_start_day: self.week_start_day,
            week_start_hour: self.week_start_hour,
        }
    }

    fn from_wire(wire: &types::Window, wrong: &mut Violations) -> Self {
        let (minutes, day, hour) = (wire.minutes, wire.week_start_day, wire.week_start_hour);
        let mut window = Self { kind: wire.kind.clone(), ..Self::default() };
        match wire.kind.as_str() {
            "fixed" | "sliding" => {
                wrong.require(
                    (1..=MAX_MINUTES).contains(&minutes),
                    "minutes",
                    "must be 1 to 44640 (31 days)",
                );
                window.minutes = minutes;
            }
            "week" => {
                wrong.require(day <= 7, "week_start_day", "must be 1 (Monday) to 7 (Sunday)");
                wrong.require(hour <= 23, "week_start_hour", "must be 0 to 23");
                window.week_start_day = if day == 0 { 1 } else { day };
                window.week_start_hour = hour;
            }
            "hour" | "day" | "month" | "total" => {}
            _ => wrong.add("kind", "must be `fixed`, `sliding`, `hour`, `day`, `week`, `month` or `total`"),
        }
        let has_minutes = matches!(wire.kind.as_str(), "fixed" | "sliding");
        wrong.require(has_minutes || minutes == 0, "minutes", "is for windows of kind `fixed` and `sliding`");
        window
    }
}

/// Reads the limits that a caller wants a key to have; limits that count what one of `held` counts keep its id.
///
/// # Errors
/// What is wrong with them, with paths from `limits` on.
pub fn from_wire(
    wire: &[types::Limit],
    held: &[Limit],
    mut new_id: impl FnMut() -> String,
) -> Result<Vec<Limit>, Violations> {
    let mut wrong = Violations::default();
    wrong.require(wire.len() <= MAX_LIMITS, "limits", format!("must be at most {MAX_LIMITS}"));
    let mut limits: Vec<Limit> = Vec::with_capacity(wire.len().min(MAX_LIMITS));
    for (n, one) in wire.iter().take(MAX_LIMITS).enumerate() {
        let path = format!("limits[{n}]");
        let mut own = Violations::default();
        let mut limit = read(one, &mut own);
        own.require(
            limits.iter().all(|other| !other.counts_as(&limit)),
            "",
            "counts the same as a limit before it; keep the smaller of the two",
        );
        limit.id =
            held.iter().find(|old| old.counts_as(&limit)).map_or_else(&mut new_id, |old| old.id.clone());
        wrong.extend_under(&path, own);
        limits.push(limit);
    }
    wrong.or(limits)
}

fn read(wire: &types::Limit, wrong: &mut Violations) -> Limit {
    let concurrency = wire.meter == "concurrency";
    let meter = Meter::from_name(&wire.meter);
    wrong.require(meter.is_some(), "meter", "must be `requests`, `tokens`, `cost` or `concurrency`");
    wrong.require((1..=MAX_AMOUNT).contains(&wire.amount), "amount", "must be 1 to 10^17");
    let estimated = meter.is_none_or(Meter::settles_later);
    wrong.require(!wire.strict || estimated, "strict", "is for limits on tokens and cost");
    let cost_kind = read_cost_kind(wire, wrong);
    let window = match &wire.window {
        Some(_) if concurrency => {
            wrong.add("window", "is not for `concurrency`");
            None
        }
        Some(window) => {
            let mut own = Violations::default();
            let window = Window::from_wire(window, &mut own);
            wrong.extend_under("window", own);
            Some(window)
        }
        None => {
            wrong.require(concurrency, "window", "is missing: over what time does it count?");
            None
        }
    };
    let scope = wire.scope.as_ref().map(|scope| read_scope(scope, wrong)).unwrap_or_default();
    Limit {
        id: String::new(),
        meter: wire.meter.clone(),
        scope,
        window,
        amount: wire.amount,
        strict: wire.strict,
        cost_kind,
    }
}

/// `rated` is said in full, so that two limits on the same cost are seen to count the same.
fn read_cost_kind(wire: &types::Limit, wrong: &mut Violations) -> String {
    match (wire.meter.as_str(), wire.cost_kind.as_str()) {
        ("cost", "") => "rated".into(),
        ("cost", kind) => {
            wrong.require(matches!(kind, "rated" | "real"), "cost_kind", "must be `rated` or `real`");
            kind.to_owned()
        }
        (_, kind) => {
            wrong.require(kind.is_empty(), "cost_kind", "is for limits on cost");
            String::new()
        }
    }
}

fn read_scope(wire: &types::LimitScope, wrong: &mut Violations) -> Scope {
    let mut words = |list: &[String], path: &str| text::words(list, 32, path, wrong);
    Scope {
        families: words(&wire.families, "scope.families"),
        platforms: words(&wire.platforms, "scope.platforms"),
        operations: words(&wire.operations, "scope.operations"),
    }
}
