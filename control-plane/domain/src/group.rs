//! A named set of accounts of one platform family, to which keys can be bound. Whether its accounts exist and are of the
//! family is the API's to check, which knows platforms.

use std::collections::{BTreeMap, BTreeSet};

use proto::types;
use serde::{Deserialize, Serialize};

use crate::{etag, mask::Fields, record::Record, text, time, violation::Violations, vocabulary};

/// Fields that an operator may write.
pub const WRITABLE: &[&str] = &["name", "description", "family", "members"];
/// Fields that the server gives.
const GIVEN: &[&str] = &["id", "created_at", "updated_at", "etag"];
/// Most members of a group.
pub const MAX_MEMBERS: usize = 1000;

/// A group of accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Id (UUID).
    pub id: String,
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Platform family that its members share.
    pub family: String,
    /// Ids of its accounts, each once, in order.
    pub members: Vec<String>,
    /// Priority within the group, by member; one that is not named has its account's own.
    pub priorities: BTreeMap<String, u32>,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// When a person or job last changed it, Unix milliseconds.
    pub updated_at_ms: i64,
}

impl Group {
    /// The fields that an update changes.
    ///
    /// # Errors
    /// Paths of the mask that name no field.
    pub fn fields(wire: &types::Group, mask: Option<&prost_types::FieldMask>) -> Result<Fields, Violations> {
        let set = || {
            let set = [
                ("name", !wire.name.is_empty()),
                ("description", !wire.description.is_empty()),
                ("family", !wire.family.is_empty()),
                ("members", !wire.members.is_empty()),
            ];
            set.into_iter().filter(|(_, is_set)| *is_set).map(|(field, _)| field).collect()
        };
        Fields::of(mask, set, WRITABLE, GIVEN)
    }

    /// Takes over fields from the wire. On an error the group is as it was.
    ///
    /// # Errors
    /// Everything that is wrong with them; a family, once given, stays.
    pub fn apply(&mut self, wire: &types::Group, fields: &Fields) -> Result<(), Violations> {
        let mut wrong = Violations::default();
        let mut group = self.clone();
        if fields.has("name") {
            group.name = text::name(&wire.name, "name", &mut wrong);
        }
        if fields.has("description") {
            group.description = text::description(&wire.description, "description", &mut wrong);
        }
        if fields.has("family") {
            match vocabulary::family(&wire.family) {
                Some(family) if self.family.is_empty() || self.family == family => {
                    group.family = family.into()
                }
                Some(_) => wrong.add("family", format!("is `{}` and stays so", self.family)),
                None => wrong.add("family", format!("must be one of {}", vocabulary::FAMILIES.join(", "))),
            }
        }
        if fields.has("members") {
            group.members.clear();
            group.priorities.clear();
            group.place(&wire.members, None, &mut wrong);
        }
        wrong.or(())?;
        *self = group;
        Ok(())
    }

    /// Adds members, or gives those that are in it another priority; with a position they stand there in the order.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn add(&mut self, members: &[types::GroupMember], position: Option<u32>) -> Result<(), Violations> {
        let mut wrong = Violations::default();
        let mut group = self.clone();
        group.place(members, position, &mut wrong);
        wrong.or(())?;
        *self = group;
        Ok(())
    }

    /// Takes members out; whether any was in it.
    pub fn remove(&mut self, accounts: &[String]) -> bool {
        let before = self.members.len();
        self.members.retain(|member| !accounts.contains(member));
        self.priorities.retain(|member, _| !accounts.contains(member));
        self.members.len() != before
    }

    fn place(&mut self, members: &[types::GroupMember], position: Option<u32>, wrong: &mut Violations) {
        let mut named = BTreeSet::new();
        let mut placed = Vec::new();
        for (n, member) in members.iter().enumerate() {
            let path = format!("members[{n}]");
            let id = &member.account_id;
            wrong.require(text::is_id(id), format!("{path}.account_id"), "must be an account's id");
            wrong.require(named.insert(id), format!("{path}.account_id"), "stands twice");
            match u32::try_from(member.priority) {
                Ok(0) => drop(self.priorities.remove(id)),
                Ok(priority) if priority <= 100 => drop(self.priorities.insert(id.clone(), priority)),
                _ => wrong.add(format!("{path}.priority"), "must be 1 to 100, or 0 for the account's own"),
            }
            if position.is_some() || !self.members.contains(id) {
                placed.push(id.clone());
            }
        }
        self.members.retain(|member| !placed.contains(member));
        let at = position.map_or(self.members.len(), |at| (at as usize).min(self.members.len()));
        self.members.splice(at..at, placed);
        wrong.require(self.members.len() <= MAX_MEMBERS, "members", format!("must be at most {MAX_MEMBERS}"));
    }

    /// As people see it; what is known of its members is added by the API.
    pub fn to_wire(&self, version: u64) -> types::Group {
        let member = |id: &String| types::GroupMember {
            account_id: id.clone(),
            priority: self.priorities.get(id).map_or(0, |priority| *priority as i32),
            ..types::GroupMember::default()
        };
        types::Group {
            id: self.id.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            family: self.family.clone(),
            members: self.members.iter().map(member).collect(),
            created_at: Some(time::to_wire(self.created_at_ms)),
            updated_at: Some(time::to_wire(self.updated_at_ms)),
            etag: etag::of(version),
        }
    }
}

impl Record for Group {
    const KIND: &'static str = "group";
    const SEALED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn audit_view(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(list: &[(&str, i32)]) -> Vec<types::GroupMember> {
        let member = |(id, priority): &(&str, i32)| types::GroupMember {
            account_id: (*id).into(),
            priority: *priority,
            ..types::GroupMember::default()
        };
        list.iter().map(member).collect()
    }

    #[test]
    fn members_come_stand_in_order_and_go() {
        let mut group = Group::default();
        group.add(&members(&[("a", 0), ("b", 7)]), None).unwrap();
        group.add(&members(&[("c", 3)]), Some(0)).unwrap();
        assert_eq!(group.members, ["c", "a", "b"]);
        // Named again: another priority, the same place; with a position another place too.
        group.add(&members(&[("a", 9)]), None).unwrap();
        assert_eq!(
            (group.members.as_slice(), group.priorities["a"]),
            (&["c", "a", "b"].map(String::from)[..], 9)
        );
        group.add(&members(&[("b", 0)]), Some(1)).unwrap();
        assert_eq!(group.members, ["c", "b", "a"]);
        assert!(!group.priorities.contains_key("b"));
        assert!(group.remove(&["a".into(), "z".into()]) && !group.remove(&["a".into()]));
        assert_eq!((group.members.len(), group.priorities.len()), (2, 1));
    }

    #[test]
    fn what_is_wrong_is_named_and_changes_nothing() {
        let mut group = Group { family: "claude".into(), ..Group::default() };
        let before = group.clone();
        for (list, field) in [
            (members(&[("a", 101)]), "members[0].priority"),
            (members(&[("a", 1), ("a", 2)]), "members[1].account_id"),
            (members(&[("a b", 0)]), "members[0].account_id"),
        ] {
            assert_eq!(group.add(&list, None).unwrap_err().0[0].field, field);
        }
        let other = types::Group { family: "gemini".into(), ..types::Group::default() };
        assert!(group.apply(&other, &Fields::all(&["family"])).is_err());
        assert_eq!(group, before);
        let again = types::Group { family: "claude".into(), ..types::Group::default() };
        group.apply(&again, &Fields::all(&["family"])).unwrap();
    }
}
