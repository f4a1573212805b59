//! Which fields an update changes: what the mask names, or what is set where there is no mask.

use std::collections::BTreeSet;

use prost_types::FieldMask;

use crate::violation::Violations;

/// The fields of one message that an update changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(BTreeSet<&'static str>);

impl Fields {
    /// All of these: what a creation reads.
    pub fn all(writable: &[&'static str]) -> Self {
        Self(writable.iter().copied().collect())
    }

    /// What an update changes.
    ///
    /// * No mask or an empty one: the fields that are `set`.
    /// * `*`: all that are writable.
    /// * Fields that the server gives are passed over, so that what was read can be sent back.
    ///
    /// # Errors
    /// Paths that name no field of the message (`known`), or a part of one.
    pub fn of(
        mask: Option<&FieldMask>,
        set: impl FnOnce() -> Vec<&'static str>,
        writable: &[&'static str],
        given: &[&'static str],
    ) -> Result<Self, Violations> {
        let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
        if paths.is_empty() {
            return Ok(Self(set().into_iter().collect()));
        }
        let mut wrong = Violations::default();
        let mut fields = BTreeSet::new();
        for path in paths {
            if path == "*" {
                fields.extend(writable);
            } else if let Some(field) = writable.iter().find(|field| *field == path) {
                fields.insert(*field);
            } else if !given.contains(&path.as_str()) {
                let top = path.split('.').next().unwrap_or_default();
                let why = match writable.iter().find(|field| **field == top) {
                    Some(field) => {
                        format!("`{path}`: a part of a field cannot be changed alone; name `{field}`")
                    }
                    None => format!("`{path}` is no field that can be changed"),
                };
                wrong.add("update_mask", why);
            }
        }
        wrong.or(Self(fields))
    }

    /// Whether a field is changed.
    pub fn has(&self, field: &str) -> bool {
        self.0.contains(field)
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(paths: &[&str]) -> FieldMask {
        FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }
    }

    #[test]
    fn a_mask_names_fields() {
        let of = |paths: &[&str]| Fields::of(Some(&mask(paths)), || vec!["a"], &["a", "b"], &["id"]);
        assert_eq!(of(&[]).unwrap(), Fields::all(&["a"]));
        assert_eq!(of(&["b", "id"]).unwrap(), Fields::all(&["b"]));
        assert_eq!(of(&["*"]).unwrap(), Fields::all(&["a", "b"]));
        assert!(of(&["a.x"]).unwrap_err().to_string().contains("name `a`"));
        assert!(of(&["c"]).is_err());
    }
}
