//! Relay keys: create, change, bin, rotate.

mod limits;
mod list;

use domain::{Account, Group, Key, User, key::WRITABLE, mask::Fields, secret, time};
use fleet::counters::{self, Dimension};
use proto::{
    admin::{self, key_service_server::KeyService},
    rules::{ids::KeyId, key_hash},
    types,
};
use secrecy::{ExposeSecret as _, SecretString};
use store::{Expect, Versioned};
use tonic::{Code, Request, Response, Status};

use super::{Once, Seen, stats};
use crate::{
    convert,
    guard::Caller,
    records::{Records, check_etag},
};

/// How long the old secret works after a rotation where nothing is said: a day, milliseconds.
const OVERLAP_MS: i64 = 86_400_000;
/// The longest overlap: 30 days, milliseconds.
const MAX_OVERLAP_MS: i64 = 30 * 86_400_000;
/// Full name of the request that creates.
const CREATE: &str = "crs.admin.v1.CreateKeyRequest";

/// The service.
pub struct Keys {
    records: Records,
}

impl Keys {
    /// Over the records.
    pub fn new(records: Records) -> Self {
        Self { records }
    }

    fn new_id() -> String {
        KeyId::generate().into()
    }

    /// A key as people see it, with when it was last used.
    async fn shown(&self, key: &Versioned<Key>) -> Result<types::Key, Status> {
        let mut shown = vec![key.value.to_wire(key.version, self.records.now_ms())];
        self.fill_last_used(&mut shown).await?;
        shown.pop().ok_or_else(|| Status::internal("a key was lost"))
    }

    async fn fill_last_used(&self, keys: &mut [types::Key]) -> Result<(), Status> {
        let ids: Vec<String> = keys.iter().map(|key| key.id.clone()).collect();
        for (key, at) in keys.iter_mut().zip(self.last_used(&ids).await?) {
            key.last_used_at = at.map(time::to_wire);
        }
        Ok(())
    }

    async fn last_used(&self, ids: &[String]) -> Result<Vec<Option<i64>>, Status> {
        let zone = self.records.settings().await?.value.zone();
        let used = counters::last_used(self.records.store(), Dimension::Key, ids, &zone).await;
        // To the minute: it is no record of what somebody did when.
        let minute = |ms: i64| ms - ms.rem_euclid(60_000);
        Ok(used.map_err(convert::store)?.into_iter().map(|at| at.map(minute)).collect())
    }

    /// Refuses what points to nothing.
    async fn check_references(&self, key: &Key, fields: &Fields) -> Result<(), Status> {
        let mut wrong = domain::Violations::default();
        if fields.has("owner_user_id") && !key.owner_user_id.is_empty() {
            let owner = self.records.find::<User>(&key.owner_user_id).await?;
            wrong.require(owner.is_some(), "owner_user_id", "there is no such user");
        }
        if fields.has("account_binding") {
            for (family, binding) in &key.account_binding {
                let path = format!("account_binding.{family}");
                if !binding.account.is_empty() {
                    let account = self.records.find::<Account>(&binding.account).await?;
                    let of = account.as_ref().and_then(|a| platforms::registry::find(&a.value.platform));
                    match of {
                        Some(platform) => wrong.require(
                            platform.info().family == family,
                            &path,
                            format!("the account is of the family `{}`", platform.info().family),
                        ),
                        None => wrong.add(&path, format!("there is no account `{}`", binding.account)),
                    }
                }
                for group in &binding.groups {
                    match self.records.find::<Group>(group).await? {
                        Some(found) => wrong.require(
                            found.value.family == *family,
                            &path,
                            format!("the group `{group}` is of the family `{}`", found.value.family),
                        ),
                        None => wrong.add(&path, format!("there is no group `{group}`")),
                    }
                }
            }
        }
        wrong.or(()).map_err(|wrong| convert::invalid(&wrong))
    }

    /// The digest of a secret under the deployment's pepper.
    async fn digest(&self, secret: &SecretString) -> Result<key_hash::Digest, Status> {
        let pepper = self.records.settings().await?.value.pepper();
        Ok(pepper.digest(secret.expose_secret().as_bytes()))
    }

    /// A new key with its secret, not yet kept.
    async fn make(&self, asked: &admin::CreateKeyRequest) -> Result<(Key, SecretString), Status> {
        let now = self.records.now_ms();
        let wire = asked.key.clone().unwrap_or_default();
        let fields = Fields::all(WRITABLE);
        let mut key = Key { id: Self::new_id(), created_at_ms: now, updated_at_ms: now, ..Key::default() };
        key.apply(&wire, &fields, now, Self::new_id).map_err(|wrong| convert::invalid(&wrong))?;
        self.check_references(&key, &fields).await?;
        let secret = match asked.secret.as_str() {
            "" => secret::relay_key().map_err(|why| convert::internal(&why))?,
            own => own_secret(own)?,
        };
        let digest = self.digest(&secret).await?;
        key.rotate(key_hash::HMAC_SHA256, digest, secret::hint(secret.expose_secret()), 0, now);
        Ok((key, secret))
    }

    /// What an earlier call with the same request id made.
    async fn made(&self, id: &str) -> Result<Response<admin::CreateKeyResponse>, Status> {
        let key = self.records.get::<Key>(id).await?;
        let key = Some(self.shown(&key).await?);
        Ok(Response::new(admin::CreateKeyResponse { key, secret: String::new() }))
    }

    async fn live(&self, id: &str) -> Result<Versioned<Key>, Status> {
        let key = self.records.get::<Key>(id).await?;
        match key.value.deleted_at_ms {
            None => Ok(key),
            Some(_) => Err(convert::refusal(
                Code::FailedPrecondition,
                "IN_BIN",
                "the key is in the recycle bin; restore it first",
            )),
        }
    }

    async fn purge(&self, caller: &Caller, key: &Versioned<Key>) -> Result<(), Status> {
        if key.value.deleted_at_ms.is_none() {
            let message = "only a key in the recycle bin can be purged; delete it first";
            return Err(convert::refusal(Code::FailedPrecondition, "NOT_IN_BIN", message));
        }
        let id = &key.value.id;
        let change = self.records.change(caller).delete::<Key>(id, Expect::Version(key.version));
        self.records.commit(change).await?;
        // Its counters stay: they are the deployment's books. Its log and its meters are nobody's now.
        fleet::records::forget_key(self.records.store(), id).await.map_err(convert::store)?;
        limits::forget(&self.records, id).await
    }
}

/// A secret of the caller's own.
fn own_secret(text: &str) -> Result<SecretString, Status> {
    let fine = (10..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    match fine {
        true => Ok(SecretString::from(text.to_owned())),
        false => Err(convert::invalid_field(
            "secret",
            "must be 10 to 512 printable ASCII characters without blanks",
        )),
    }
}

#[tonic::async_trait]
impl KeyService for Keys {
    async fn create_key(
        &self,
        request: Request<admin::CreateKeyRequest>,
    ) -> Result<Response<admin::CreateKeyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let once = match Once::look(&self.records, &caller, &asked.request_id, CREATE, &asked).await? {
            Seen::Made(id) => return self.made(&id).await,
            Seen::New(once) => Some(once),
            Seen::Unasked => None,
        };
        let (key, secret) = self.make(&asked).await?;
        let mut change = self.records.change(&caller).put(&key, Expect::Absent);
        if let Some(once) = once {
            change = once.note(change, &key.id);
        }
        match self.records.try_commit(change).await {
            Ok(()) => {}
            // The same request came twice at once: the other one made the key.
            Err(store::Error::Conflict { kind, .. }) if kind == "idempotency_key" => {
                return match Once::look(&self.records, &caller, &asked.request_id, CREATE, &asked).await? {
                    Seen::Made(id) => self.made(&id).await,
                    _ => Err(convert::refusal(Code::Aborted, "STALE", "repeat the request")),
                };
            }
            Err(why) => return Err(convert::store(why)),
        }
        let key = self.records.get::<Key>(&key.id).await?;
        let shown = key.value.to_wire(key.version, self.records.now_ms());
        let secret = secret.expose_secret().to_owned();
        Ok(Response::new(admin::CreateKeyResponse { key: Some(shown), secret }))
    }

    async fn get_key(&self, request: Request<admin::GetKeyRequest>) -> Result<Response<types::Key>, Status> {
        let key = self.records.get::<Key>(&request.into_inner().id).await?;
        self.shown(&key).await.map(Response::new)
    }

    async fn list_keys(
        &self,
        request: Request<admin::ListKeysRequest>,
    ) -> Result<Response<admin::ListKeysResponse>, Status> {
        self.list(request.into_inner()).await.map(Response::new)
    }

    async fn update_key(
        &self,
        request: Request<admin::UpdateKeyRequest>,
    ) -> Result<Response<types::Key>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let wire = asked.key.unwrap_or_default();
        let held = self.live(&wire.id).await?;
        check_etag(&wire.etag, held.version)?;
        let fields =
            Key::fields(&wire, asked.update_mask.as_ref()).map_err(|wrong| convert::invalid(&wrong))?;
        let now = self.records.now_ms();
        let mut key = held.value.clone();
        key.apply(&wire, &fields, now, Self::new_id).map_err(|wrong| convert::invalid(&wrong))?;
        if key == held.value {
            return self.shown(&held).await.map(Response::new);
        }
        self.check_references(&key, &fields).await?;
        key.updated_at_ms = now;
        let key = self.records.update(&caller, &held, key).await?;
        self.shown(&key).await.map(Response::new)
    }

    async fn delete_key(
        &self,
        request: Request<admin::DeleteKeyRequest>,
    ) -> Result<Response<admin::DeleteKeyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let held = self.records.get::<Key>(&asked.id).await?;
        if asked.purge {
            self.purge(&caller, &held).await?;
        } else if held.value.deleted_at_ms.is_none() {
            let mut key = held.value.clone();
            key.deleted_at_ms = Some(self.records.now_ms());
            self.records.update(&caller, &held, key).await?;
        }
        Ok(Response::new(admin::DeleteKeyResponse {}))
    }

    async fn restore_key(
        &self,
        request: Request<admin::RestoreKeyRequest>,
    ) -> Result<Response<types::Key>, Status> {
        let caller = Caller::of(&request)?;
        let held = self.records.get::<Key>(&request.into_inner().id).await?;
        if held.value.deleted_at_ms.is_none() {
            return self.shown(&held).await.map(Response::new);
        }
        let mut key = held.value.clone();
        key.deleted_at_ms = None;
        key.updated_at_ms = self.records.now_ms();
        let key = self.records.update(&caller, &held, key).await?;
        self.shown(&key).await.map(Response::new)
    }

    async fn rotate_key(
        &self,
        request: Request<admin::RotateKeyRequest>,
    ) -> Result<Response<admin::RotateKeyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let overlap = asked.overlap.as_ref().map_or(Some(OVERLAP_MS), time::span_from_wire);
        let overlap = overlap.filter(|ms| *ms <= MAX_OVERLAP_MS);
        let overlap = overlap.ok_or_else(|| convert::invalid_field("overlap", "must be 0 to 30 days"))?;
        let held = self.live(&asked.id).await?;
        let secret = secret::relay_key().map_err(|why| convert::internal(&why))?;
        let digest = self.digest(&secret).await?;
        let (mut key, now) = (held.value.clone(), self.records.now_ms());
        key.rotate(key_hash::HMAC_SHA256, digest, secret::hint(secret.expose_secret()), overlap, now);
        key.updated_at_ms = now;
        let key = self.records.update(&caller, &held, key).await?;
        let key = Some(self.shown(&key).await?);
        Ok(Response::new(admin::RotateKeyResponse { key, secret: secret.expose_secret().to_owned() }))
    }

    async fn get_key_stats(
        &self,
        request: Request<admin::GetKeyStatsRequest>,
    ) -> Result<Response<admin::UsageReport>, Status> {
        let asked = request.into_inner();
        let key = self.records.get::<Key>(&asked.id).await?;
        let range = asked.range.unwrap_or_default();
        stats::report(&self.records, Dimension::Key, &key.value.id, &range).await.map(Response::new)
    }

    async fn get_key_limits(
        &self,
        request: Request<admin::GetKeyLimitsRequest>,
    ) -> Result<Response<admin::GetKeyLimitsResponse>, Status> {
        let key = self.records.get::<Key>(&request.into_inner().id).await?;
        let limits = limits::states(&self.records, &key.value).await?;
        Ok(Response::new(admin::GetKeyLimitsResponse { limits }))
    }

    async fn reset_key_limits(
        &self,
        request: Request<admin::ResetKeyLimitsRequest>,
    ) -> Result<Response<admin::ResetKeyLimitsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let held = self.live(&request.into_inner().id).await?;
        // The rows first: nodes ask again when they see the key's new generation.
        limits::reset(&self.records, &held.value).await?;
        let mut key = held.value.clone();
        key.limits_generation += 1;
        key.updated_at_ms = self.records.now_ms();
        let key = self.records.update(&caller, &held, key).await?;
        let limits = limits::states(&self.records, &key.value).await?;
        Ok(Response::new(admin::ResetKeyLimitsResponse { limits }))
    }
}
