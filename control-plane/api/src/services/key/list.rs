//! Lists of keys: from the view, so that a hundred thousand are filtered in milliseconds.

use std::{collections::HashMap, sync::Arc};

use domain::Key;
use proto::admin;
use store::Versioned;
use tonic::Status;

use super::Keys;
use crate::page::{self, Entry, Filter, Order, SortKey};

const FIELDS: [&str; 4] = ["tag", "owner", "status", "name"];
const ORDERS: [&str; 4] = ["name", "created_at", "updated_at", "last_used_at"];

impl Keys {
    pub(super) async fn list(
        &self,
        asked: admin::ListKeysRequest,
    ) -> Result<admin::ListKeysResponse, Status> {
        let size = page::size(asked.page_size)?;
        let filter = Filter::parse(&asked.filter, &FIELDS)?;
        let newest = Order { field: "created_at", descending: true };
        let order = Order::parse(&asked.order_by, &ORDERS, newest)?;
        let (now, all) = (self.records.now_ms(), self.records.view().all::<Key>());
        let matching: Vec<&Arc<Versioned<Key>>> = all
            .iter()
            .filter(|key| key.value.deleted_at_ms.is_some() == asked.deleted)
            .filter(|key| admits(&filter, &key.value, now))
            .collect();
        let used = self.used_if_asked(&order, &matching).await?;
        let entries = matching
            .into_iter()
            .map(|key| Entry { key: sort_key(&key.value, &order, &used), id: &key.value.id, value: key })
            .collect();
        let of = format!("{}|{}|{}|{}", order.field, order.descending, asked.deleted, asked.filter);
        let page =
            page::cut(entries, order.descending, size, &asked.page_token, &domain::secret::digest(&of))?;
        let mut keys: Vec<_> =
            page.values.into_iter().map(|key| key.value.to_wire(key.version, now)).collect();
        self.fill_last_used(&mut keys).await?;
        Ok(admin::ListKeysResponse { keys, next_page_token: page.next, total_size: page.total })
    }

    /// When all that match were last used, if they are to be ordered by it.
    async fn used_if_asked(
        &self,
        order: &Order,
        matching: &[&Arc<Versioned<Key>>],
    ) -> Result<HashMap<String, i64>, Status> {
        if order.field != "last_used_at" {
            return Ok(HashMap::new());
        }
        let ids: Vec<String> = matching.iter().map(|key| key.value.id.clone()).collect();
        let used = self.last_used(&ids).await?;
        Ok(ids.into_iter().zip(used).filter_map(|(id, at)| Some((id, at?))).collect())
    }
}

fn admits(filter: &Filter, key: &Key, now_ms: i64) -> bool {
    let fields = filter.fields.iter().all(|(field, value)| match field.as_str() {
        "tag" => key.tags.iter().any(|tag| tag.to_lowercase() == *value),
        "owner" => key.owner_user_id == *value,
        "status" => key.status(now_ms) == value,
        _ => page::holds(&key.name, value),
    });
    let texts = [key.name.as_str(), key.description.as_str(), key.id.as_str()];
    fields && filter.words_in(texts.into_iter().chain(key.tags.iter().map(String::as_str)))
}

fn sort_key(key: &Key, order: &Order, used: &HashMap<String, i64>) -> SortKey {
    match order.field {
        "name" => SortKey::text(&key.name),
        "updated_at" => SortKey::Number(key.updated_at_ms),
        "last_used_at" => SortKey::Number(used.get(&key.id).copied().unwrap_or_default()),
        _ => SortKey::Number(key.created_at_ms),
    }
}
