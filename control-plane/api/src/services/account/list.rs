//! Lists of accounts, from the view.

use std::{collections::HashMap, sync::Arc};

use domain::{Account, Group};
use platforms::registry;
use proto::admin;
use store::Versioned;
use tonic::Status;

use super::Accounts;
use crate::page::{self, Entry, Filter, Order, SortKey};

const FIELDS: [&str; 4] = ["tag", "status", "name", "platform"];
const ORDERS: [&str; 4] = ["name", "priority", "created_at", "last_used_at"];

impl Accounts {
    pub(super) async fn list(
        &self,
        asked: admin::ListAccountsRequest,
    ) -> Result<admin::ListAccountsResponse, Status> {
        let size = page::size(asked.page_size)?;
        let filter = Filter::parse(&asked.filter, &FIELDS)?;
        let preferred = Order { field: "priority", descending: false };
        let order = Order::parse(&asked.order_by, &ORDERS, preferred)?;
        let slug = match asked.platform.as_str() {
            "" => "",
            name => super::platform(name)?.info().slug,
        };
        let (now, all) = (self.records.now_ms(), self.records.view().all::<Account>());
        let matching: Vec<&Arc<Versioned<Account>>> = all
            .iter()
            .filter(|account| slug.is_empty() || account.value.platform == slug)
            .filter(|account| admits(&filter, &account.value, now))
            .collect();
        let used = self.used_if_asked(&order, &matching).await?;
        let entries = matching
            .into_iter()
            .map(|account| Entry {
                key: sort_key(&account.value, &order, &used),
                id: &account.value.id,
                value: account,
            })
            .collect();
        let of = format!("{}|{}|{slug}|{}", order.field, order.descending, asked.filter);
        let page =
            page::cut(entries, order.descending, size, &asked.page_token, &domain::secret::digest(&of))?;
        let mut groups = self.groups_by_account();
        let shown = |account: &Arc<Versioned<Account>>| {
            let groups = groups.remove(&account.value.id).unwrap_or_default();
            account.value.to_wire(account.version, groups, now)
        };
        let mut accounts: Vec<_> = page.values.into_iter().map(shown).collect();
        self.fill_windows(&mut accounts);
        self.fill_last_used(&mut accounts).await?;
        Ok(admin::ListAccountsResponse { accounts, next_page_token: page.next, total_size: page.total })
    }

    fn groups_by_account(&self) -> HashMap<String, Vec<String>> {
        let mut by_account: HashMap<String, Vec<String>> = HashMap::new();
        for group in self.records.view().all::<Group>().iter() {
            for member in &group.value.members {
                by_account.entry(member.clone()).or_default().push(group.value.id.clone());
            }
        }
        by_account
    }

    async fn used_if_asked(
        &self,
        order: &Order,
        matching: &[&Arc<Versioned<Account>>],
    ) -> Result<HashMap<String, i64>, Status> {
        if order.field != "last_used_at" {
            return Ok(HashMap::new());
        }
        let ids: Vec<String> = matching.iter().map(|account| account.value.id.clone()).collect();
        let used = self.last_used(&ids).await?;
        Ok(ids.into_iter().zip(used).filter_map(|(id, at)| Some((id, at?))).collect())
    }
}

fn admits(filter: &Filter, account: &Account, now_ms: i64) -> bool {
    let fields = filter.fields.iter().all(|(field, value)| match field.as_str() {
        "tag" => account.tags.iter().any(|tag| tag.to_lowercase() == *value),
        "status" => account.state.status(now_ms).as_str() == value,
        "platform" => account.platform == registry::canonical(value),
        _ => page::holds(&account.name, value),
    });
    let texts = [account.name.as_str(), account.description.as_str(), account.id.as_str()];
    fields && filter.words_in(texts.into_iter().chain(account.tags.iter().map(String::as_str)))
}

fn sort_key(account: &Account, order: &Order, used: &HashMap<String, i64>) -> SortKey {
    match order.field {
        "name" => SortKey::text(&account.name),
        "created_at" => SortKey::Number(account.created_at_ms),
        "last_used_at" => SortKey::Number(used.get(&account.id).copied().unwrap_or_default()),
        _ => SortKey::Number(i64::from(account.priority)),
    }
}
