//! Session bindings: listed and dropped. They are no records: the fleet knows how they lie in the store. That some were
//! dropped is one, which nodes get as they get every change.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use domain::{Account, Key, text, time, vocabulary};
use fleet::bindings::{self, Binding, Filter, Name};
use proto::admin::{self, binding_service_server::BindingService};
use store::Expect;
use tonic::{Request, Response, Status};

use crate::{convert, guard::Caller, page, records::Records};

/// The service.
pub struct Bindings {
    records: Records,
}

impl Bindings {
    /// Over the records.
    pub fn new(records: Records) -> Self {
        Self { records }
    }

    fn shown(&self, binding: Binding) -> admin::Binding {
        let view = self.records.view();
        let key_name = view.get::<Key>(&binding.name.key_id).map(|key| key.value.name.clone());
        let account_name = view.get::<Account>(&binding.account_id).map(|held| held.value.name.clone());
        admin::Binding {
            id: binding.name.id(),
            key_id: binding.name.key_id,
            key_name: key_name.unwrap_or_default(),
            account_id: binding.account_id,
            account_name: account_name.unwrap_or_default(),
            family: binding.name.family,
            expires_at: Some(time::to_wire(self.records.now_ms() + binding.ttl_ms)),
        }
    }

    /// Tells every node, and the audit log.
    async fn tell(
        &self,
        caller: &Caller,
        filter: &Filter,
        session: &str,
        dropped: u64,
    ) -> Result<(), Status> {
        let (id, now) = (uuid::Uuid::now_v7().to_string(), self.records.now_ms());
        let told = bindings::told(filter, session, dropped, id, now);
        self.records.commit(self.records.change(caller).put(&told, Expect::Absent)).await
    }
}

fn filter(key_id: String, account_id: String, family: &str) -> Result<Filter, Status> {
    for (field, id) in [("key_id", &key_id), ("account_id", &account_id)] {
        if !id.is_empty() && !text::is_id(id) {
            return Err(convert::invalid_field(field, "must be an id"));
        }
    }
    let family = match family {
        "" => "",
        word => vocabulary::family(word).ok_or_else(|| {
            convert::invalid_field("family", format!("must be one of {}", vocabulary::FAMILIES.join(", ")))
        })?,
    };
    Ok(Filter { key_id, account_id, family: family.to_owned() })
}

fn named(id: &str) -> Result<Name, Status> {
    Name::parse_id(id).ok_or_else(|| convert::not_found("binding", id))
}

fn read_token(token: &str) -> Result<Option<String>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let after = BASE64.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let wrong =
        || convert::invalid_field("page_token", "is not one that this list gave; begin again without it");
    after.map(Some).ok_or_else(wrong)
}

#[tonic::async_trait]
impl BindingService for Bindings {
    async fn list_bindings(
        &self,
        request: Request<admin::ListBindingsRequest>,
    ) -> Result<Response<admin::ListBindingsResponse>, Status> {
        let asked = request.into_inner();
        let size = page::size(asked.page_size)?;
        let filter = filter(asked.key_id, asked.account_id, &asked.family)?;
        let after = read_token(&asked.page_token)?;
        let listed = bindings::list(self.records.store(), &filter, after.as_deref(), size).await;
        let (found, next) = listed.map_err(convert::store)?;
        Ok(Response::new(admin::ListBindingsResponse {
            bindings: found.into_iter().map(|binding| self.shown(binding)).collect(),
            next_page_token: next.map(|next| BASE64.encode(next)).unwrap_or_default(),
        }))
    }

    async fn get_binding(
        &self,
        request: Request<admin::GetBindingRequest>,
    ) -> Result<Response<admin::Binding>, Status> {
        let id = request.into_inner().id;
        let found = bindings::get(self.records.store(), &named(&id)?).await.map_err(convert::store)?;
        let found = found.ok_or_else(|| convert::not_found("binding", &id))?;
        Ok(Response::new(self.shown(found)))
    }

    async fn drop_binding(
        &self,
        request: Request<admin::DropBindingRequest>,
    ) -> Result<Response<admin::DropBindingsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let id = request.into_inner().id;
        let name = named(&id)?;
        if !bindings::drop_one(self.records.store(), &name).await.map_err(convert::store)? {
            return Err(convert::not_found("binding", &id));
        }
        let filter = Filter { key_id: name.key_id, family: name.family, account_id: String::new() };
        self.tell(&caller, &filter, &name.session, 1).await?;
        Ok(Response::new(admin::DropBindingsResponse { dropped: 1 }))
    }

    async fn drop_bindings(
        &self,
        request: Request<admin::DropBindingsRequest>,
    ) -> Result<Response<admin::DropBindingsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let filter = filter(asked.key_id, asked.account_id, &asked.family)?;
        if filter.key_id.is_empty() && filter.account_id.is_empty() {
            return Err(convert::invalid_field("key_id", "name a key or an account, or both"));
        }
        let dropped = bindings::drop_all(self.records.store(), &filter).await.map_err(convert::store)?;
        // Told also where there was none: a node may hold what the store forgot.
        self.tell(&caller, &filter, "", dropped).await?;
        Ok(Response::new(admin::DropBindingsResponse { dropped: dropped as i64 }))
    }
}

#[cfg(test)]
mod tests;
