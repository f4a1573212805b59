//! An account on the wire: what an operator may write of it, checked field by field, and what is shown of it.

use std::collections::BTreeMap;

use proto::types;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Account, Availability, DEFAULT_PRIORITY, DEFAULT_WEIGHT, Status};
use crate::{etag, mask::Fields, secret::MASK, text, time, url::Url, violation::Violations};

/// Fields that an operator may write.
pub const WRITABLE: &[&str] = &[
    "name",
    "description",
    "base_url",
    "credentials",
    "proxy",
    "priority",
    "weight",
    "max_concurrency",
    "schedulable",
    "status",
    "model_mapping",
    "supported_models",
    "tags",
    "user_agent",
    "expires_at",
    "availability",
    "read_on_after_abort",
    "window_pause_percent",
];

/// Fields that the server gives, or that name the account.
const GIVEN: &[&str] = &[
    "id",
    "platform",
    "credential_fields",
    "status_until",
    "status_reason",
    "groups",
    "created_at",
    "updated_at",
    "last_used_at",
    "etag",
    "family_blocks",
    "windows",
    "token",
];

/// The largest credential, bytes: room for a service account's JSON.
const MAX_CREDENTIAL: usize = 64 * 1024;
/// The largest `max_concurrency`.
const MAX_CONCURRENCY: u32 = 100_000;

impl Account {
    /// The fields that an update changes.
    ///
    /// # Errors
    /// Paths of the mask that name no field.
    pub fn fields(
        wire: &types::Account,
        mask: Option<&prost_types::FieldMask>,
    ) -> Result<Fields, Violations> {
        Fields::of(mask, || set_fields(wire), WRITABLE, GIVEN)
    }

    /// Takes over fields from the wire. Of the credentials those that are sent are set, an empty one is removed, and
    /// the others stay. On an error the account is as it was.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn apply(&mut self, wire: &types::Account, fields: &Fields, now_ms: i64) -> Result<(), Violations> {
        let mut wrong = Violations::default();
        let mut account = self.clone();
        account.apply_words(wire, fields, &mut wrong);
        account.apply_place(wire, fields, now_ms, &mut wrong);
        account.apply_rank(wire, fields, now_ms, &mut wrong);
        wrong.or(())?;
        *self = account;
        Ok(())
    }

    fn apply_words(&mut self, wire: &types::Account, fields: &Fields, wrong: &mut Violations) {
        if fields.has("name") {
            self.name = text::name(&wire.name, "name", wrong);
        }
        if fields.has("description") {
            self.description = text::description(&wire.description, "description", wrong);
        }
        if fields.has("tags") {
            self.tags = text::tags(&wire.tags, "tags", wrong);
        }
        if fields.has("user_agent") {
            let fine = wire.user_agent.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
            wrong.require(
                fine && wire.user_agent.len() <= 256,
                "user_agent",
                "must be at most 256 printable ASCII characters",
            );
            self.user_agent = wire.user_agent.trim().to_owned();
        }
        if fields.has("model_mapping") {
            self.model_mapping = mapping(&wire.model_mapping, wrong);
        }
        if fields.has("supported_models") {
            self.supported_models = text::patterns(&wire.supported_models, "supported_models", wrong);
        }
    }

    /// Where its requests go, with what and by which way.
    fn apply_place(&mut self, wire: &types::Account, fields: &Fields, now_ms: i64, wrong: &mut Violations) {
        if fields.has("base_url") {
            self.base_url = wire.base_url.trim().to_owned();
            if let Err(why) = base_url(&self.base_url) {
                wrong.add("base_url", why);
            }
        }
        if fields.has("credentials") && merge(&mut self.credentials, &wire.credentials, wrong) {
            self.credentials_changed_at_ms = now_ms;
        }
        if fields.has("proxy") {
            let url = wire.proxy.as_ref().map(|proxy| proxy.url.trim()).unwrap_or_default();
            match proxy(url, self.proxy_url.as_ref()) {
                Ok(url) => self.proxy_url = url,
                Err(why) => wrong.add("proxy.url", why),
            }
        }
    }

    /// Whether and how gladly it is chosen.
    fn apply_rank(&mut self, wire: &types::Account, fields: &Fields, now_ms: i64, wrong: &mut Violations) {
        if fields.has("priority") {
            self.priority = rank(wire.priority, DEFAULT_PRIORITY, "priority", wrong);
        }
        if fields.has("weight") {
            self.weight = rank(wire.weight, DEFAULT_WEIGHT, "weight", wrong);
        }
        if fields.has("max_concurrency") {
            wrong.require(
                wire.max_concurrency <= MAX_CONCURRENCY,
                "max_concurrency",
                "must be at most 100000",
            );
            self.max_concurrency = wire.max_concurrency;
        }
        if fields.has("schedulable") {
            self.schedulable = wire.schedulable.unwrap_or(true);
        }
        if fields.has("status") {
            self.apply_status(&wire.status, now_ms, wrong);
        }
        if fields.has("expires_at") {
            self.expires_at_ms = wire.expires_at.as_ref().and_then(time::from_wire);
            let fine = wire.expires_at.is_none() || self.expires_at_ms.is_some();
            wrong.require(fine, "expires_at", "must be a time from 1970 to 9999");
        }
        if fields.has("availability") {
            match Availability::parse(&wire.availability) {
                Some(availability) => self.availability = availability,
                None => wrong.add("availability", "must be `shared`, `dedicated` or `group`"),
            }
        }
        if fields.has("read_on_after_abort") {
            self.read_on_after_abort = wire.read_on_after_abort;
        }
        if fields.has("window_pause_percent") {
            let fine = wire.window_pause_percent <= 100;
            wrong.require(fine, "window_pause_percent", "must be 1 to 100, or 0 for 100");
            self.window_pause_percent = wire.window_pause_percent;
        }
    }

    fn apply_status(&mut self, name: &str, now_ms: i64, wrong: &mut Violations) {
        let held = self.state.status(now_ms);
        match Status::parse(name) {
            Some(status) if status == held => {}
            Some(Status::Active) => {
                self.state.status = Status::Active;
                self.state.until_ms = None;
                self.state.reason.clear();
                self.state.generation += 1;
            }
            Some(Status::Disabled) => {
                self.state.status = Status::Disabled;
                self.state.until_ms = None;
                self.state.reason.clear();
            }
            None if name.is_empty() => {}
            _ => {
                wrong.add("status", "must be `active` or `disabled`; the others are set by upstream verdicts")
            }
        }
    }

    /// As people see it at a time: no secret leaves. The groups it is in are kept on the groups, its usage windows in a
    /// record of their own.
    pub fn to_wire(&self, version: u64, groups: Vec<String>, now_ms: i64) -> types::Account {
        let state = &self.state;
        let status = state.status(now_ms);
        let lasting = status == state.status && status != Status::Active;
        let blocks = state.family_blocks.iter().filter(|(_, block)| block.until_ms > now_ms);
        types::Account {
            id: self.id.clone(),
            platform: self.platform.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            base_url: self.base_url.clone(),
            credentials: Default::default(),
            credential_fields: self.credentials.keys().cloned().collect(),
            proxy: self.masked_proxy().map(|url| types::Proxy { url }),
            priority: self.priority as i32,
            weight: self.weight as i32,
            max_concurrency: self.max_concurrency,
            schedulable: Some(self.schedulable),
            status: status.as_str().into(),
            status_until: state.until_ms.filter(|_| lasting).map(time::to_wire),
            status_reason: if lasting { state.reason.clone() } else { String::new() },
            model_mapping: self.model_mapping.iter().map(|(a, b)| (a.clone(), b.clone())).collect(),
            supported_models: self.supported_models.clone(),
            groups,
            tags: self.tags.clone(),
            user_agent: self.user_agent.clone(),
            expires_at: self.expires_at_ms.map(time::to_wire),
            availability: self.availability.as_str().into(),
            read_on_after_abort: self.read_on_after_abort,
            window_pause_percent: self.window_pause_percent,
            created_at: Some(time::to_wire(self.created_at_ms)),
            updated_at: Some(time::to_wire(self.updated_at_ms)),
            last_used_at: None,
            etag: etag::of(version),
            family_blocks: blocks
                .map(|(family, block)| types::FamilyBlock {
                    family: family.clone(),
                    until: Some(time::to_wire(block.until_ms)),
                    reason: block.reason.clone(),
                })
                .collect(),
            windows: Vec::new(),
            token: self.shown_token(),
        }
    }

    /// Of the tokens, what people see.
    fn shown_token(&self) -> Option<types::AccountToken> {
        let tokens = &self.tokens;
        let has = tokens.generation > 0 || !tokens.facts.is_empty();
        has.then(|| types::AccountToken {
            expires_at: tokens.expires_at_ms.map(time::to_wire),
            issued_at: Some(time::to_wire(tokens.issued_at_ms)),
            renews: !tokens.kept.is_empty(),
            facts: tokens.facts.iter().map(|(name, fact)| (name.clone(), fact.clone())).collect(),
        })
    }
}

fn set_fields(wire: &types::Account) -> Vec<&'static str> {
    let set = [
        ("name", !wire.name.is_empty()),
        ("description", !wire.description.is_empty()),
        ("base_url", !wire.base_url.is_empty()),
        ("credentials", !wire.credentials.is_empty()),
        ("proxy", wire.proxy.is_some()),
        ("priority", wire.priority != 0),
        ("weight", wire.weight != 0),
        ("max_concurrency", wire.max_concurrency != 0),
        ("schedulable", wire.schedulable.is_some()),
        ("status", !wire.status.is_empty()),
        ("model_mapping", !wire.model_mapping.is_empty()),
        ("supported_models", !wire.supported_models.is_empty()),
        ("tags", !wire.tags.is_empty()),
        ("user_agent", !wire.user_agent.is_empty()),
        ("expires_at", wire.expires_at.is_some()),
        ("availability", !wire.availability.is_empty()),
        ("read_on_after_abort", wire.read_on_after_abort),
        ("window_pause_percent", wire.window_pause_percent != 0),
    ];
    set.into_iter().filter(|(_, is_set)| *is_set).map(|(field, _)| field).collect()
}

fn rank(value: i32, default: u32, path: &str, wrong: &mut Violations) -> u32 {
    match u32::try_from(value) {
        Ok(0) => default,
        Ok(value) if value <= 100 => value,
        _ => {
            wrong.add(path, "must be 1 to 100");
            default
        }
    }
}

/// Checks an account's address; empty is the platform's own.
fn base_url(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let url = Url::parse(text).map_err(|why| why.to_string())?;
    if !matches!(url.scheme.as_str(), "http" | "https") {
        return Err("must begin with `https://` or `http://`".into());
    }
    if url.user_info.is_some() {
        return Err("must not hold a user or password; put secrets into `credentials`".into());
    }
    Ok(())
}

/// Reads a way out. A password of `***` is the one that is held, if all else is as it was.
fn proxy(text: &str, held: Option<&SecretString>) -> Result<Option<SecretString>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if text == MASK {
        return held
            .cloned()
            .map(Some)
            .ok_or_else(|| "`***` keeps a proxy, but there is none to keep".into());
    }
    let url = Url::parse(text).map_err(|why| why.to_string())?;
    if !matches!(url.scheme.as_str(), "http" | "https" | "socks5") {
        return Err("must begin with `http://`, `https://` or `socks5://`".into());
    }
    if !matches!(url.path.as_str(), "" | "/") {
        return Err("must not hold a path".into());
    }
    if url.password() != Some(MASK) {
        return Ok(Some(SecretString::from(text.to_owned())));
    }
    // Only towards the same place: else a password could be sent to a host of somebody's choice.
    let kept =
        held.filter(|held| Url::parse(held.expose_secret()).is_ok_and(|held| held.masked() == url.masked()));
    kept.cloned().map(Some).ok_or_else(|| {
        "`***` keeps the password only while scheme, host, port and user stay; send the password again".into()
    })
}

/// Merges credentials; says whether anything changed.
fn merge<'a>(
    held: &mut BTreeMap<String, SecretString>,
    sent: impl IntoIterator<Item = (&'a String, &'a String)>,
    wrong: &mut Violations,
) -> bool {
    let mut changed = false;
    for (field, value) in sent {
        let path = format!("credentials.{field}");
        let value = value.trim();
        if value == MASK {
            wrong.require(
                held.contains_key(field),
                &path,
                "`***` keeps a credential, but there is none to keep",
            );
        } else if value.is_empty() {
            changed |= held.remove(field).is_some();
        } else {
            wrong.require(value.len() <= MAX_CREDENTIAL, &path, "must have at most 65536 bytes");
            wrong.require(held.len() < 32, &path, "must be one of at most 32");
            held.insert(field.clone(), value.to_owned().into());
            changed = true;
        }
    }
    changed
}

fn mapping<'a>(
    wire: impl IntoIterator<Item = (&'a String, &'a String)>,
    wrong: &mut Violations,
) -> BTreeMap<String, String> {
    let mut mapping = BTreeMap::new();
    for (from, to) in wire {
        let path = format!("model_mapping.{from}");
        for (side, what) in [(from, "left"), (to, "right")] {
            let side = side.trim();
            wrong.require(
                !side.is_empty() && side.len() <= 200,
                &path,
                format!("the {what} side must have 1 to 200 characters"),
            );
            let stars = side.matches('*').count();
            wrong.require(
                stars == 0 || (stars == 1 && side.ends_with('*')),
                &path,
                format!("the {what} side may hold `*` only at its end"),
            );
        }
        wrong.require(
            from.trim().ends_with('*') || !to.trim().ends_with('*'),
            &path,
            "the right side can end in `*` only where the left does",
        );
        mapping.insert(from.trim().to_owned(), to.trim().to_owned());
    }
    wrong.require(mapping.len() <= 256, "model_mapping", "must hold at most 256 entries");
    mapping
}
