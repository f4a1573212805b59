//! `group create|list|get|update|delete|add|remove|members`.

use anyhow::Result;
use sdk::{
    admin,
    types::{Group, GroupMember},
};

use super::Context;
use crate::{
    failure::Usage,
    output::{self, Shown, time},
};

/// Verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a group
    Create {
        /// Platform family of its accounts: claude, gemini or openai
        family: String,
        /// Name
        name: String,
        /// Free text
        #[arg(long, default_value = "")]
        description: String,
        /// Account in it, as ID or ID=PRIORITY (1 to 100, lower first); again for more
        #[arg(long = "member", value_name = "ID[=PRIORITY]")]
        members: Vec<String>,
        /// Repeat safely: the same id makes nothing twice
        #[arg(long, value_name = "ID", default_value = "")]
        request_id: String,
    },
    /// List groups
    List {
        /// Words to find, or field:value for family, name, account
        filter: Vec<String>,
    },
    /// Show one group
    Get {
        /// Group id
        id: String,
    },
    /// Change fields of a group
    Update {
        /// Group id
        id: String,
        /// New name
        #[arg(long)]
        name: Option<String>,
        /// New text
        #[arg(long)]
        description: Option<String>,
        /// The whole list of members anew, as ID or ID=PRIORITY; again for more, `--member ""` for none
        #[arg(long = "member", value_name = "ID[=PRIORITY]")]
        members: Option<Vec<String>>,
        /// Refuse if the group changed since it had this etag
        #[arg(long, default_value = "")]
        etag: String,
    },
    /// Remove groups; their accounts stay
    Delete {
        /// Group ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Put accounts into a group, or give members another priority or place
    Add {
        /// Group id
        id: String,
        /// Accounts, as ID or ID=PRIORITY (1 to 100, lower first)
        #[arg(required = true, value_name = "ID[=PRIORITY]")]
        members: Vec<String>,
        /// Where in the order, from 0; at the end where none is given
        #[arg(long)]
        position: Option<u32>,
    },
    /// Take accounts out of a group
    Remove {
        /// Group id
        id: String,
        /// Account ids
        #[arg(required = true)]
        accounts: Vec<String>,
    },
    /// Members of a group, in order
    Members {
        /// Group id
        id: String,
    },
}

/// Runs a verb.
pub async fn run(context: &Context, command: Command) -> Result<()> {
    let mut groups = context.client.groups();
    let group = match command {
        Command::Create { family, name, description, members, request_id } => {
            let members = read(members)?;
            let group = Some(Group { family, name, description, members, ..Group::default() });
            groups.create_group(admin::CreateGroupRequest { group, request_id }).await
        }
        Command::List { filter } => return list(context, filter.join(" ")).await,
        Command::Get { id } => groups.get_group(admin::GetGroupRequest { id }).await,
        Command::Update { id, name, description, members, etag } => {
            let mut paths = Vec::new();
            let mut group = Group { id, etag, ..Group::default() };
            if let Some(name) = name {
                (group.name, paths) = (name, vec!["name".to_owned()]);
            }
            if let Some(description) = description {
                group.description = description;
                paths.push("description".to_owned());
            }
            if let Some(members) = members {
                group.members = read(members)?;
                paths.push("members".to_owned());
            }
            if paths.is_empty() {
                return Err(Usage("nothing to change; see `crsctl group update --help`".into()).into());
            }
            let update_mask = Some(prost_types::FieldMask { paths });
            groups.update_group(admin::UpdateGroupRequest { group: Some(group), update_mask }).await
        }
        Command::Delete { ids } => return delete(context, ids).await,
        Command::Add { id, members, position } => {
            let members = read(members)?;
            groups.add_group_members(admin::AddGroupMembersRequest { id, members, position }).await
        }
        Command::Remove { id, accounts } => {
            let account_id = String::new();
            let request = admin::RemoveGroupMembersRequest { id, account_ids: accounts, account_id };
            groups.remove_group_members(request).await
        }
        Command::Members { id } => return members(context, id).await,
    };
    let group = group.map_err(sdk::Error::from)?.into_inner();
    let json = context.json("crs.types.v1.Group", &group)?;
    let (table, names) = ((HEADINGS.to_vec(), vec![row(&group)]), vec![group.id.clone()]);
    output::print(context.format, Shown { json, table, names, note: None })
}

async fn list(context: &Context, filter: String) -> Result<()> {
    let mut all: Vec<Group> = Vec::new();
    let mut answer = admin::ListGroupsResponse::default();
    loop {
        let request = admin::ListGroupsRequest {
            page_size: 1000,
            page_token: std::mem::take(&mut answer.next_page_token),
            filter: filter.clone(),
            order_by: String::new(),
        };
        answer = context.client.groups().list_groups(request).await.map_err(sdk::Error::from)?.into_inner();
        all.append(&mut answer.groups);
        if answer.next_page_token.is_empty() {
            break;
        }
    }
    answer.groups = all;
    let rows = answer.groups.iter().map(row).collect();
    context.show(context.json("crs.admin.v1.ListGroupsResponse", &answer)?, HEADINGS.to_vec(), rows)
}

async fn delete(context: &Context, ids: Vec<String>) -> Result<()> {
    for id in ids {
        let request = admin::DeleteGroupRequest { id: id.clone() };
        context.client.groups().delete_group(request).await.map_err(sdk::Error::from)?;
        context.done(&id, format!("Removed {id}."))?;
    }
    Ok(())
}

async fn members(context: &Context, id: String) -> Result<()> {
    let answer = context.client.groups().list_group_members(admin::ListGroupMembersRequest { id }).await;
    let answer = answer.map_err(sdk::Error::from)?.into_inner();
    let row = |member: &GroupMember| {
        vec![
            member.account_id.clone(),
            member.account_name.clone(),
            member.platform.clone(),
            member.status.clone(),
            if member.priority == 0 { "its own".into() } else { member.priority.to_string() },
        ]
    };
    let rows = answer.members.iter().map(row).collect();
    let json = context.json("crs.admin.v1.ListGroupMembersResponse", &answer)?;
    context.show(json, vec!["ACCOUNT", "NAME", "PLATFORM", "STATUS", "PRIORITY"], rows)
}

const HEADINGS: [&str; 5] = ["ID", "FAMILY", "NAME", "MEMBERS", "CHANGED"];

fn row(group: &Group) -> Vec<String> {
    let names = group.members.iter().map(|member| match member.account_name.as_str() {
        "" => member.account_id.clone(),
        name => name.to_owned(),
    });
    vec![
        group.id.clone(),
        group.family.clone(),
        group.name.clone(),
        names.collect::<Vec<_>>().join(", "),
        time(group.updated_at.as_ref()),
    ]
}

fn read(members: Vec<String>) -> Result<Vec<GroupMember>, Usage> {
    let member = |text: String| {
        let (id, priority) = text.split_once('=').unwrap_or((&text, "0"));
        let wrong = |_| Usage(format!("{text:?}: write ID or ID=PRIORITY"));
        let priority = priority.parse().map_err(wrong)?;
        Ok(GroupMember { account_id: id.to_owned(), priority, ..GroupMember::default() })
    };
    members.into_iter().filter(|text| !text.is_empty()).map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_with_and_without_priority() {
        let members = read(vec!["a".into(), "b=7".into(), String::new()]).unwrap();
        let read: Vec<_> = members.iter().map(|m| (m.account_id.as_str(), m.priority)).collect();
        assert_eq!(read, [("a", 0), ("b", 7)]);
        assert!(super::read(vec!["a=high".into()]).is_err());
    }
}
