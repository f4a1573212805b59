//! Groups of accounts: make, change, members. A group's accounts are of its platform family.

use domain::{Account, Group, Key, Violations, group::WRITABLE, mask::Fields};
use platforms::registry;
use proto::{
    admin::{self, group_service_server::GroupService},
    rules::ids::GroupId,
    types,
};
use store::{Expect, Versioned};
use tonic::{Code, Request, Response, Status};

use super::{Once, Seen};
use crate::{
    convert,
    guard::Caller,
    page::{self, Entry, Filter, Order, SortKey},
    records::{Records, check_etag},
};

/// Full name of the request that creates.
const CREATE: &str = "crs.admin.v1.CreateGroupRequest";
const FIELDS: [&str; 3] = ["family", "name", "account"];
const ORDERS: [&str; 2] = ["name", "created_at"];

/// The service.
pub struct Groups {
    records: Records,
}

impl Groups {
    /// Over the records.
    pub fn new(records: Records) -> Self {
        Self { records }
    }

    /// A group with what is known of its members.
    fn shown(&self, group: &Versioned<Group>) -> types::Group {
        let now = self.records.now_ms();
        let mut wire = group.value.to_wire(group.version);
        for member in &mut wire.members {
            let Some(account) = self.records.view().get::<Account>(&member.account_id) else { continue };
            member.account_name.clone_from(&account.value.name);
            member.platform.clone_from(&account.value.platform);
            member.status = account.value.state.status(now).as_str().into();
        }
        wire
    }

    /// Whether its members, those that `held` has not, are accounts of its family.
    async fn check(&self, group: &Group, held: Option<&Group>) -> Result<(), Status> {
        let mut wrong = Violations::default();
        let old = |id: &String| held.is_some_and(|held| held.members.contains(id));
        for id in group.members.iter().filter(|id| !old(id)) {
            let account = self.records.find::<Account>(id).await?;
            let of = account.as_ref().and_then(|account| registry::find(&account.value.platform));
            match of.map(|platform| platform.info().family) {
                Some(family) if family == group.family => {}
                Some(family) => {
                    wrong.add("members", format!("the account `{id}` is of the family `{family}`"))
                }
                None => wrong.add("members", format!("there is no account `{id}`")),
            }
        }
        wrong.or(()).map_err(|wrong| convert::invalid(&wrong))
    }

    async fn create(&self, caller: &Caller, asked: &admin::CreateGroupRequest) -> Result<String, Status> {
        let once = match Once::look(&self.records, caller, &asked.request_id, CREATE, asked).await? {
            Seen::Made(id) => return Ok(id),
            Seen::New(once) => Some(once),
            Seen::Unasked => None,
        };
        let now = self.records.now_ms();
        let mut group = Group {
            id: GroupId::generate().into(),
            created_at_ms: now,
            updated_at_ms: now,
            ..Group::default()
        };
        let wire = asked.group.clone().unwrap_or_default();
        group.apply(&wire, &Fields::all(WRITABLE)).map_err(|wrong| convert::invalid(&wrong))?;
        self.check(&group, None).await?;
        let mut change = self.records.change(caller).put(&group, Expect::Absent);
        if let Some(once) = once {
            change = once.note(change, &group.id);
        }
        match self.records.try_commit(change).await {
            Ok(()) => Ok(group.id),
            // The same request came twice at once: the other one made the group.
            Err(store::Error::Conflict { kind, .. }) if kind == "idempotency_key" => {
                match Once::look(&self.records, caller, &asked.request_id, CREATE, asked).await? {
                    Seen::Made(id) => Ok(id),
                    _ => Err(convert::refusal(Code::Aborted, "STALE", "repeat the request")),
                }
            }
            Err(why) => Err(convert::store(why)),
        }
    }

    /// Replaces a group, if anything about it changed.
    async fn replace(
        &self,
        caller: &Caller,
        held: &Versioned<Group>,
        mut group: Group,
    ) -> Result<Response<types::Group>, Status> {
        if group == held.value {
            return Ok(Response::new(self.shown(held)));
        }
        self.check(&group, Some(&held.value)).await?;
        group.updated_at_ms = self.records.now_ms();
        let group = self.records.update(caller, held, group).await?;
        Ok(Response::new(self.shown(&group)))
    }

    /// Names of keys that are bound to a group, some of them.
    fn bound_keys(&self, id: &str) -> Vec<String> {
        let all = self.records.view().all::<Key>();
        let names =
            |key: &Key| key.account_binding.values().any(|to| to.groups.iter().any(|group| group == id));
        all.iter().filter(|key| names(&key.value)).map(|key| key.value.name.clone()).take(5).collect()
    }

    fn list(&self, asked: &admin::ListGroupsRequest) -> Result<admin::ListGroupsResponse, Status> {
        let size = page::size(asked.page_size)?;
        let filter = Filter::parse(&asked.filter, &FIELDS)?;
        let order = Order::parse(&asked.order_by, &ORDERS, Order { field: "name", descending: false })?;
        let all = self.records.view().all::<Group>();
        let matching = all.iter().filter(|group| admits(&filter, &group.value));
        let entries = matching
            .map(|group| Entry {
                key: match order.field {
                    "created_at" => SortKey::Number(group.value.created_at_ms),
                    _ => SortKey::text(&group.value.name),
                },
                id: &group.value.id,
                value: group,
            })
            .collect();
        let of = format!("{}|{}|{}", order.field, order.descending, asked.filter);
        let page =
            page::cut(entries, order.descending, size, &asked.page_token, &domain::secret::digest(&of))?;
        let groups = page.values.into_iter().map(|group| self.shown(group)).collect();
        Ok(admin::ListGroupsResponse { groups, next_page_token: page.next, total_size: page.total })
    }
}

fn admits(filter: &Filter, group: &Group) -> bool {
    let fields = filter.fields.iter().all(|(field, value)| match field.as_str() {
        "family" => domain::vocabulary::family(value).is_some_and(|family| group.family == family),
        "account" => group.members.iter().any(|member| member.eq_ignore_ascii_case(value)),
        _ => page::holds(&group.name, value),
    });
    fields && filter.words_in([group.name.as_str(), &group.description, &group.id].into_iter())
}

#[tonic::async_trait]
impl GroupService for Groups {
    async fn create_group(
        &self,
        request: Request<admin::CreateGroupRequest>,
    ) -> Result<Response<types::Group>, Status> {
        let caller = Caller::of(&request)?;
        let id = self.create(&caller, &request.into_inner()).await?;
        Ok(Response::new(self.shown(&self.records.get(&id).await?)))
    }

    async fn get_group(
        &self,
        request: Request<admin::GetGroupRequest>,
    ) -> Result<Response<types::Group>, Status> {
        Ok(Response::new(self.shown(&self.records.get(&request.into_inner().id).await?)))
    }

    async fn list_groups(
        &self,
        request: Request<admin::ListGroupsRequest>,
    ) -> Result<Response<admin::ListGroupsResponse>, Status> {
        self.list(&request.into_inner()).map(Response::new)
    }

    async fn update_group(
        &self,
        request: Request<admin::UpdateGroupRequest>,
    ) -> Result<Response<types::Group>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let wire = asked.group.unwrap_or_default();
        let held = self.records.get::<Group>(&wire.id).await?;
        check_etag(&wire.etag, held.version)?;
        let fields =
            Group::fields(&wire, asked.update_mask.as_ref()).map_err(|wrong| convert::invalid(&wrong))?;
        let mut group = held.value.clone();
        group.apply(&wire, &fields).map_err(|wrong| convert::invalid(&wrong))?;
        self.replace(&caller, &held, group).await
    }

    async fn delete_group(
        &self,
        request: Request<admin::DeleteGroupRequest>,
    ) -> Result<Response<admin::DeleteGroupResponse>, Status> {
        let caller = Caller::of(&request)?;
        let held = self.records.get::<Group>(&request.into_inner().id).await?;
        let bound = self.bound_keys(&held.value.id);
        if !bound.is_empty() {
            let message =
                format!("keys are bound to this group: {}; change their binding first", bound.join(", "));
            return Err(convert::refusal(Code::FailedPrecondition, "GROUP_BOUND", &message));
        }
        let change =
            self.records.change(&caller).delete::<Group>(&held.value.id, Expect::Version(held.version));
        self.records.commit(change).await?;
        Ok(Response::new(admin::DeleteGroupResponse {}))
    }

    async fn list_group_members(
        &self,
        request: Request<admin::ListGroupMembersRequest>,
    ) -> Result<Response<admin::ListGroupMembersResponse>, Status> {
        let group = self.records.get::<Group>(&request.into_inner().id).await?;
        let members = self.shown(&group).members;
        Ok(Response::new(admin::ListGroupMembersResponse { members }))
    }

    async fn add_group_members(
        &self,
        request: Request<admin::AddGroupMembersRequest>,
    ) -> Result<Response<types::Group>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let held = self.records.get::<Group>(&asked.id).await?;
        let mut group = held.value.clone();
        group.add(&asked.members, asked.position).map_err(|wrong| convert::invalid(&wrong))?;
        self.replace(&caller, &held, group).await
    }

    async fn remove_group_members(
        &self,
        request: Request<admin::RemoveGroupMembersRequest>,
    ) -> Result<Response<types::Group>, Status> {
        let caller = Caller::of(&request)?;
        let mut asked = request.into_inner();
        let held = self.records.get::<Group>(&asked.id).await?;
        asked.account_ids.push(asked.account_id);
        let mut group = held.value.clone();
        group.remove(&asked.account_ids);
        self.replace(&caller, &held, group).await
    }
}

#[cfg(test)]
mod tests;
