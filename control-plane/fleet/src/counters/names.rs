//! How counter rows and their fields are called. These names are written down in stores: they are never changed, only
//! added to. Ingestion writes under them and statistics read under them, and neither spells one itself.

use jiff::{
    Timestamp, ToSpan as _, Zoned,
    civil::{Date, DateTime},
    tz::TimeZone,
};

/// What rows are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Everything; its id is empty.
    Overall,
    /// A key, by id.
    Key,
    /// An account, by id.
    Account,
    /// An account group, by id.
    Group,
    /// A model as asked for.
    Model,
    /// A user, by id.
    User,
    /// A key's tag.
    Tag,
    /// A platform, by slug.
    Platform,
    /// A model within a key: `<key id>/<model>`.
    KeyModel,
    /// A model within an account: `<account id>/<model>`.
    AccountModel,
}

impl Dimension {
    /// As rows spell it; the first eight are also what the statistics API calls them (empty: [`Self::Overall`]).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overall => "overall",
            Self::Key => "key",
            Self::Account => "account",
            Self::Group => "group",
            Self::Model => "model",
            Self::User => "user",
            Self::Tag => "tag",
            Self::Platform => "platform",
            Self::KeyModel => "key-model",
            Self::AccountModel => "account-model",
        }
    }

    /// From the word of the statistics API; empty is everything.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "" | "overall" => Some(Self::Overall),
            "key" => Some(Self::Key),
            "account" => Some(Self::Account),
            "group" => Some(Self::Group),
            "model" => Some(Self::Model),
            "user" => Some(Self::User),
            "tag" => Some(Self::Tag),
            "platform" => Some(Self::Platform),
            _ => None,
        }
    }

    /// Whether rows of all time note when the thing was last used.
    pub const fn keeps_last_use(self) -> bool {
        matches!(self, Self::Key | Self::Account)
    }

    /// The one partition that rows of this dimension and id lie in; `None`: any.
    pub fn partition(self, id: &str) -> Option<u32> {
        let key = match self {
            Self::Key => id,
            Self::KeyModel => id.split('/').next().unwrap_or(id),
            _ => return None,
        };
        Some(proto::rules::usage::partition(key))
    }

    /// Steps that rows of this dimension are kept in. Pairs are not kept by the minute.
    pub const fn steps(self) -> &'static [Step] {
        match self {
            Self::KeyModel | Self::AccountModel => &[Step::Hour, Step::Day, Step::Month, Step::Total],
            _ => &Step::ALL,
        }
    }
}

/// How long one row's time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// A minute.
    Minute,
    /// An hour of the deployment's time zone.
    Hour,
    /// A day of the deployment's time zone.
    Day,
    /// A month of the deployment's time zone.
    Month,
    /// All time.
    Total,
}

impl Step {
    /// All of them, shortest first.
    pub const ALL: [Self; 5] = [Self::Minute, Self::Hour, Self::Day, Self::Month, Self::Total];

    /// As the statistics API calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// From the word of the statistics API.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == word)
    }
}

/// One row's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// How long.
    pub step: Step,
    /// As rows spell it: begin in local time, sorting as time does; `-` for all time.
    pub label: String,
    /// Begin, Unix milliseconds; 0 for all time.
    pub start_ms: i64,
    end_ms: i64,
}

impl Bucket {
    /// The bucket that holds an instant.
    pub fn holding(step: Step, at_ms: i64, zone: &TimeZone) -> Self {
        Self::starting(step, floor(step, local(at_ms, zone).datetime()), zone)
    }

    /// The buckets that touch `[start_ms, end_ms)`, in order. At most 100,000: more is nothing a caller can mean.
    pub fn between(step: Step, start_ms: i64, end_ms: i64, zone: &TimeZone) -> Vec<Self> {
        if step == Step::Total {
            return vec![Self::holding(step, start_ms, zone)];
        }
        let end = local(end_ms.saturating_sub(1), zone).datetime();
        let mut at = floor(step, local(start_ms, zone).datetime());
        let mut buckets = Vec::new();
        while at <= end && start_ms < end_ms && buckets.len() < 100_000 {
            buckets.push(Self::starting(step, at, zone));
            let Ok(next) = next(step, at) else { break };
            at = next;
        }
        // An hour that local clocks skip starts where the next one does, and holds nothing.
        buckets.dedup_by(|later, earlier| later.start_ms == earlier.start_ms && later.step != Step::Total);
        buckets
    }

    fn starting(step: Step, at: DateTime, zone: &TimeZone) -> Self {
        let instant = |at| zone.to_zoned(at).map_or(0, |zoned| zoned.timestamp().as_millisecond());
        let (start_ms, end_ms) = match step {
            Step::Total => (0, i64::MAX),
            _ => (instant(at), next(step, at).map_or(i64::MAX, instant)),
        };
        let date = at.date();
        let label = match step {
            Step::Minute => format!("{}T{:02}:{:02}", day(date), at.hour(), at.minute()),
            Step::Hour => format!("{}T{:02}", day(date), at.hour()),
            Step::Day => day(date),
            Step::Month => format!("{:04}-{:02}", date.year(), date.month()),
            Step::Total => "-".to_owned(),
        };
        Self { step, label, start_ms, end_ms }
    }

    /// Its end, Unix milliseconds; `None` for all time.
    pub fn end_ms(&self) -> Option<i64> {
        (self.step != Step::Total).then_some(self.end_ms)
    }

    /// Row of one thing in this bucket.
    pub fn row(&self, dimension: Dimension, id: &str) -> String {
        format!("{}{id}", self.rows(dimension))
    }

    /// What rows of all things of a dimension in this bucket begin with.
    pub fn rows(&self, dimension: Dimension) -> String {
        format!("{}/{}/{}/", self.step.as_str(), self.label, dimension.as_str())
    }
}

fn local(at_ms: i64, zone: &TimeZone) -> Zoned {
    Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone())
}

fn day(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

fn floor(step: Step, at: DateTime) -> DateTime {
    let date = at.date();
    match step {
        Step::Minute => date.at(at.hour(), at.minute(), 0, 0),
        Step::Hour => date.at(at.hour(), 0, 0, 0),
        Step::Day | Step::Total => date.at(0, 0, 0, 0),
        Step::Month => date.first_of_month().at(0, 0, 0, 0),
    }
}

fn next(step: Step, at: DateTime) -> Result<DateTime, jiff::Error> {
    match step {
        Step::Minute => at.checked_add(1.minute()),
        Step::Hour => at.checked_add(1.hour()),
        Step::Day | Step::Total => at.checked_add(1.day()),
        Step::Month => at.checked_add(1.month()),
    }
}
