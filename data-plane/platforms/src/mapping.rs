//! Model asked for to model sent. A left side may end in `*` (any rest); a right side ending in `*` keeps that rest.
//! Names are compared without case, as gateways of this kind do. The most particular rule wins: an exact name, then
//! the longest beginning.

use std::{borrow::Cow, collections::BTreeMap};

#[cfg(test)]
mod tests;

/// The model to send for one that is asked for; itself where no rule speaks of it.
pub fn apply<'a>(rules: &BTreeMap<String, String>, model: &'a str) -> Cow<'a, str> {
    if rules.is_empty() {
        return Cow::Borrowed(model);
    }
    let exact = rules.iter().find(|(from, _)| from.eq_ignore_ascii_case(model));
    if let Some((_, to)) = exact {
        return Cow::Owned(to.clone());
    }
    let longest = rules
        .iter()
        .filter_map(|(from, to)| Some((from.strip_suffix('*')?, to)))
        .filter(|(start, _)| {
            model
                .as_bytes()
                .get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
        })
        .max_by_key(|(start, _)| start.len());
    match longest {
        None => Cow::Borrowed(model),
        Some((start, to)) => Cow::Owned(match to.strip_suffix('*') {
            // A beginning that matched as bytes may end inside a character of the model's name; then there is no rest.
            Some(kept) => format!("{kept}{}", model.get(start.len()..).unwrap_or_default()),
            None => to.clone(),
        }),
    }
}
