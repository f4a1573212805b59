//! Encoded entries of the records that a view holds.

use std::collections::HashMap;

use bytes::Bytes;
use domain::{
    Account, AccountWindows, BindingDrop, Group, Key, Settings,
    settings::ID as SETTINGS_ID,
    snapshot::{
        build,
        diff::{Kind, Name},
    },
};
use prost::Message as _;
use proto::node::{self, Entry, entry};
use store::View;

/// Every entry there is.
pub fn all(view: &View) -> Vec<(Name, Bytes)> {
    let mut groups_of: HashMap<String, Vec<String>> = HashMap::new();
    let mut list = Vec::new();
    for group in view.all::<Group>().iter() {
        for member in &group.value.members {
            groups_of.entry(member.clone()).or_default().push(group.value.id.clone());
        }
        let entry = entry::Entry::Group(build::group(&group.value));
        list.push((Name::new(Kind::Group, group.value.id.as_str()), encode(entry)));
    }
    for account in view.all::<Account>().iter() {
        let groups = groups_of.remove(&account.value.id).unwrap_or_default();
        let entry = entry::Entry::Account(account_entry(view, &account.value, groups));
        list.push((Name::new(Kind::Account, account.value.id.as_str()), encode(entry)));
    }
    for key in view.all::<Key>().iter() {
        if let Some(entry) = build::key(&key.value) {
            let name = Name::new(Kind::Key, key.value.id.as_str());
            list.push((name, encode(entry::Entry::Key(entry))));
        }
    }
    for drop in view.all::<BindingDrop>().iter() {
        let entry = entry::Entry::BindingDrop(build::binding_drop(&drop.value));
        list.push((Name::new(Kind::BindingDrop, drop.value.id.as_str()), encode(entry)));
    }
    let settings = Name::new(Kind::Settings, SETTINGS_ID);
    list.extend(one(view, &settings).map(|bytes| (settings, bytes)));
    list
}

/// One entry; `None`: it is gone, or never was.
pub fn one(view: &View, name: &Name) -> Option<Bytes> {
    let id = name.id.as_ref();
    let entry = match name.kind {
        Kind::Key => entry::Entry::Key(build::key(&view.get::<Key>(id)?.value)?),
        Kind::Account => {
            let account = view.get::<Account>(id)?;
            let groups = view.all::<Group>();
            let of = groups.iter().filter(|group| group.value.members.iter().any(|member| member == id));
            let groups = of.map(|group| group.value.id.clone()).collect();
            entry::Entry::Account(account_entry(view, &account.value, groups))
        }
        Kind::Group => entry::Entry::Group(build::group(&view.get::<Group>(id)?.value)),
        Kind::BindingDrop => {
            entry::Entry::BindingDrop(build::binding_drop(&view.get::<BindingDrop>(id)?.value))
        }
        Kind::Settings => entry::Entry::Settings(build::settings(&view.get::<Settings>(id)?.value)),
    };
    Some(encode(entry))
}

fn account_entry(view: &View, account: &Account, groups: Vec<String>) -> node::AccountEntry {
    let windows = view.get::<AccountWindows>(&account.id);
    build::account(account, groups, windows.as_ref().map_or(&[][..], |held| &held.value.windows))
}

/// Members of a group as of now.
pub fn members(view: &View, id: &str) -> Vec<String> {
    view.get::<Group>(id).map(|group| group.value.members.clone()).unwrap_or_default()
}

fn encode(entry: entry::Entry) -> Bytes {
    Entry { entry: Some(entry) }.encode_to_vec().into()
}
