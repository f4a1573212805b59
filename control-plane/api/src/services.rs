//! The services of `crs.admin.v1`: one file each, one method per RPC. The guard has decided who may call before any of
//! these runs.

pub mod account;
pub mod audit;
pub mod auth;
pub mod binding;
pub mod group;
pub mod key;
pub mod node_admin;
pub mod platform;
pub mod request;
pub mod settings;
pub mod stats;

use domain::{IdempotencyKey, idempotency};
use prost::Message;
use prost_reflect::DynamicMessage;
use store::{Change, Expect};
use tonic::{Code, Status};

use crate::{contract, convert, guard::Caller, records::Records, rest::answer};

/// A creation that may be repeated with the same request id.
pub(crate) struct Once {
    note: IdempotencyKey,
    expect: Expect,
}

/// What a request id turned out to be.
pub(crate) enum Seen {
    /// None was given.
    Unasked,
    /// New.
    New(Once),
    /// It made this before.
    Made(String),
}

impl Once {
    /// Looks a request id up. `asked` is the request, so that the same id for something else is refused.
    pub(crate) async fn look<M: Message>(
        records: &Records,
        caller: &Caller,
        request_id: &str,
        kind: &str,
        asked: &M,
    ) -> Result<Seen, Status> {
        if request_id.is_empty() {
            return Ok(Seen::Unasked);
        }
        if request_id.len() > 128 || !request_id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(convert::invalid_field("request_id", "must be 1 to 128 printable ASCII characters"));
        }
        let now = records.now_ms();
        let id = IdempotencyKey::id_of(&caller.id, &caller.action, request_id);
        let asked = digest(records, kind, asked).await?;
        let held = records.store().get::<IdempotencyKey>(&id).await.map_err(convert::store)?;
        let expect = match held {
            Some(held) if held.value.expires_at_ms > now => {
                return if held.value.asked == asked {
                    Ok(Seen::Made(held.value.made))
                } else {
                    let message = "this request id was used for another request";
                    Err(convert::refusal(Code::AlreadyExists, "REQUEST_ID_REUSED", message))
                };
            }
            Some(old) => Expect::Version(old.version),
            None => Expect::Absent,
        };
        let expires_at_ms = now + idempotency::KEPT_MS;
        Ok(Seen::New(Self {
            note: IdempotencyKey { id, asked, expires_at_ms, ..Default::default() },
            expect,
        }))
    }

    /// Notes in the same change what the request id made.
    pub(crate) fn note(mut self, change: Change, made: &str) -> Change {
        made.clone_into(&mut self.note.made);
        change.put(&self.note, self.expect)
    }
}

/// A digest of a request under the deployment's pepper: it may hold secrets. Maps have no order on the wire, so it is
/// taken over the sorted JSON form.
async fn digest<M: Message>(records: &Records, kind: &str, asked: &M) -> Result<String, Status> {
    let descriptor = contract::pool().get_message_by_name(kind);
    let descriptor = descriptor.ok_or_else(|| Status::internal("a request has no descriptor"))?;
    let mut message = DynamicMessage::new(descriptor);
    message.transcode_from(asked).map_err(|why| convert::internal(&why))?;
    let pepper = records.settings().await?.value.pepper();
    Ok(hex::encode(pepper.digest(answer::json(&message).to_string().as_bytes()).0))
}

/// A time that a caller sent, in Unix milliseconds; absent stays absent.
///
/// # Errors
/// `INVALID_ARGUMENT` when it lies before 1970 or after the year 9999.
pub(crate) fn time(field: &str, time: Option<&prost_types::Timestamp>) -> Result<Option<i64>, Status> {
    let Some(time) = time else { return Ok(None) };
    let ms = domain::time::from_wire(time);
    ms.map(Some).ok_or_else(|| convert::invalid_field(field, "must be a time from 1970 to 9999"))
}

/// The end of something new: not in the past.
///
/// # Errors
/// `INVALID_ARGUMENT` when it is.
pub(crate) fn end(
    field: &str,
    end: Option<&prost_types::Timestamp>,
    now_ms: i64,
) -> Result<Option<i64>, Status> {
    match time(field, end)? {
        Some(ms) if ms <= now_ms => Err(convert::invalid_field(field, "must lie in the future")),
        end => Ok(end),
    }
}

#[cfg(test)]
mod tests;
