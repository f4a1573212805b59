//! What cannot be carried, declared. Every drop is a row of one table: converters can lose nothing else, the documents
//! are generated from it, and the relay names what was lost in a header. Where a drop would change what a request
//! means, the request is refused instead.

use std::borrow::Cow;

use dialects::Dialect;

mod table;
#[cfg(test)]
mod tests;

pub use table::{ROWS, markdown};

/// What becomes of a feature in a dialect that has no place for it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is carried.
    Carried,
    /// It is carried in another form that means nearly the same.
    Approximated(&'static str),
    /// It is left out.
    Dropped(&'static str),
    /// The request is refused.
    Refused(&'static str),
}

/// A feature that some dialect cannot carry.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which.
    pub feature: Feature,
    /// Its field in each dialect, in the order of [`Dialect::ALL`]; empty where the dialect does not have it.
    pub fields: [&'static str; 4],
    /// What becomes of it on the way into each dialect, in the same order.
    pub fates: [Fate; 4],
}

/// A feature that some dialect cannot carry. Its meaning is told by its row's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table tells each one's fields and fates")]
pub enum Feature {
    TopK,
    Seed,
    Penalties,
    LogitBias,
    Logprobs,
    Candidates,
    StopSequences,
    ManyStopSequences,
    SamplingOfModel,
    SamplingBoth,
    SamplingRange,
    ForeignThoughts,
    UnsealedThoughts,
    ThinkingWithTool,
    ThinkingInToolLoop,
    ThinkingBudget,
    Effort,
    MaxOutput,
    CacheControl,
    SystemInPlace,
    FirstTurn,
    LastTurn,
    PreviousResponse,
    ServerTools,
    HistoryItems,
    DeferLoading,
    ContextManagement,
    Container,
    User,
    Metadata,
    CacheKey,
    ServiceTier,
    Store,
    Background,
    FileIds,
    Audio,
    Video,
    Detail,
    JsonMode,
    SchemaOfModel,
    SchemaKeywords,
    ParallelTools,
    AllowedTools,
    StrictTools,
    CustomTools,
    Arguments,
    ToolNames,
    ToolMedia,
    ToolError,
    Verbosity,
    Safety,
    CachedContent,
    AudioOutput,
    LegacyFunctions,
    RemoteDocuments,
    Citations,
    Names,
    Include,
    Truncation,
    Unknown,
}

impl Feature {
    /// Its row.
    fn row(self) -> &'static Row {
        // Every feature has one: a test counts them.
        ROWS.iter().find(|row| row.feature == self).unwrap_or(&ROWS[0])
    }
}

/// Something that was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The field, in the client's dialect: letters, digits and `_ . [ ] -` only.
    pub field: Cow<'static, str>,
    /// Why.
    pub why: &'static str,
    /// Whether it is gone, rather than carried in another form.
    pub is_dropped: bool,
}

/// A request that cannot be converted. It is the client's to change: status 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The body is not what its dialect says.
    #[error("{0}")]
    Malformed(Cow<'static, str>),
    /// Without this field the request would mean something else.
    #[error("`{field}` cannot be carried to the model's own API: {why}")]
    Feature {
        /// The field, in the client's dialect.
        field: Cow<'static, str>,
        /// Why it cannot.
        why: &'static str,
    },
}

impl Refused {
    /// A body that is not what its dialect says.
    pub(crate) fn malformed(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Malformed(what.into())
    }
}

/// No request names more losses than these; the rest are counted as one.
const MAX: usize = 64;

/// Collects what is lost between two dialects.
#[derive(Debug)]
pub struct Losses {
    from: Dialect,
    to: Dialect,
    found: Vec<Loss>,
}

impl Losses {
    /// None yet.
    pub fn new(from: Dialect, to: Dialect) -> Self {
        Self { from, to, found: Vec::new() }
    }

    /// The dialect that the request is on its way into.
    pub fn to(&self) -> Dialect {
        self.to
    }

    /// Declares that a feature is there, whatever becomes of it.
    ///
    /// # Errors
    /// Without it the request would mean something else.
    pub fn declare(&mut self, feature: Feature) -> Result<(), Refused> {
        let row = feature.row();
        let field = match row.fields[index(self.from)] {
            "" => row.fields.iter().find(|field| !field.is_empty()).unwrap_or(&""),
            field => field,
        };
        self.add(Cow::Borrowed(field), row.fates[index(self.to)])
    }

    /// Declares a field that no reader knows.
    pub fn unknown(&mut self, field: &str) {
        let fate = Feature::Unknown.row().fates[index(self.to)];
        // A drop, never a refusal: the table's own test says so.
        let _ = self.add(Cow::Owned(plain(field)), fate);
    }

    fn add(&mut self, field: Cow<'static, str>, fate: Fate) -> Result<(), Refused> {
        let (why, is_dropped) = match fate {
            Fate::Carried => return Ok(()),
            Fate::Refused(why) => return Err(Refused::Feature { field, why }),
            Fate::Approximated(why) => (why, false),
            Fate::Dropped(why) => (why, true),
        };
        let loss = Loss { field, why, is_dropped };
        if self.found.len() < MAX && !self.found.contains(&loss) {
            self.found.push(loss);
        }
        Ok(())
    }

    /// What was lost.
    pub fn into_found(self) -> Vec<Loss> {
        self.found
    }
}

/// A dialect's place in the table.
pub(crate) const fn index(dialect: Dialect) -> usize {
    match dialect {
        Dialect::AnthropicMessages => 0,
        Dialect::OpenaiChat => 1,
        Dialect::OpenaiResponses => 2,
        Dialect::Gemini => 3,
    }
}

/// A field's name as it may stand in a header.
fn plain(field: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.[]-".contains(c);
    field.chars().take(64).map(|c| if fits(c) { c } else { '_' }).collect()
}
