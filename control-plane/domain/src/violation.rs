//! What is wrong with a value that someone sent, field by field. Every check of this crate ends in these; the API turns
//! them into `google.rpc.BadRequest`.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field as on the wire, such as `limits[0].window.minutes`.
    pub field: String,
    /// What is wrong and what would be right; never holds a secret.
    pub description: String,
}

/// Everything that is wrong with a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Violations(pub Vec<Violation>);

impl Violations {
    /// One thing that is wrong.
    pub fn one(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self(vec![Violation { field: field.into(), description: description.into() }])
    }

    /// Notes one more.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation { field: field.into(), description: description.into() });
    }

    /// Notes one more unless something holds.
    pub fn require(&mut self, holds: bool, field: impl Into<String>, description: impl Into<String>) {
        if !holds {
            self.add(field, description);
        }
    }

    /// Takes over another's, with a path before each.
    pub fn extend_under(&mut self, path: &str, others: Violations) {
        self.0.extend(others.0.into_iter().map(|one| Violation {
            field: if one.field.is_empty() { path.to_owned() } else { format!("{path}.{}", one.field) },
            description: one.description,
        }));
    }

    /// The value, if nothing is wrong.
    ///
    /// # Errors
    /// Itself, when something is.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, one) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            if one.field.is_empty() {
                write!(f, "{separator}{}", one.description)?;
            } else {
                write!(f, "{separator}{}: {}", one.field, one.description)?;
            }
        }
        Ok(())
    }
}
