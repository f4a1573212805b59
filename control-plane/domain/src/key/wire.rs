//! A key on the wire: what an operator may write of it, checked field by field, and what is shown of it.

use proto::types;

use super::{AccountBinding, Expiration, Key, ModelRule, Queue};
use crate::{limit, mask::Fields, text, time, violation::Violations, vocabulary};

/// Fields that an operator may write.
pub const WRITABLE: &[&str] = &[
    "name",
    "description",
    "tags",
    "owner_user_id",
    "status",
    "expiration",
    "permissions",
    "models",
    "clients",
    "networks",
    "account_binding",
    "limits",
    "service_multipliers",
    "queue",
    "icon",
];

/// Fields that the server gives.
const GIVEN: &[&str] = &[
    "id",
    "secret_hint",
    "created_at",
    "updated_at",
    "last_used_at",
    "deleted_at",
    "previous_secret_until",
    "etag",
];

/// The longest life of a key that ends a while after its first request: ten years, milliseconds.
const MAX_LIFE_MS: i64 = 3653 * 86_400_000;
/// The longest wait in a queue, milliseconds.
const MAX_WAIT_MS: i64 = 600_000;
/// The largest icon, bytes.
const MAX_ICON: usize = 32 * 1024;

impl Key {
    /// The fields that an update changes.
    ///
    /// # Errors
    /// Paths of the mask that name no field.
    pub fn fields(wire: &types::Key, mask: Option<&prost_types::FieldMask>) -> Result<Fields, Violations> {
        Fields::of(mask, || set_fields(wire), WRITABLE, GIVEN)
    }

    /// Takes over fields from the wire. On an error the key is as it was.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn apply(
        &mut self,
        wire: &types::Key,
        fields: &Fields,
        now_ms: i64,
        new_id: impl FnMut() -> String,
    ) -> Result<(), Violations> {
        let mut wrong = Violations::default();
        let mut key = self.clone();
        key.apply_words(wire, fields, now_ms, &mut wrong);
        key.apply_rules(wire, fields, &mut wrong);
        if fields.has("limits") {
            match limit::from_wire(&wire.limits, &self.limits, new_id) {
                Ok(limits) => key.limits = limits,
                Err(others) => wrong.0.extend(others.0),
            }
        }
        wrong.or(())?;
        *self = key;
        Ok(())
    }

    fn apply_words(&mut self, wire: &types::Key, fields: &Fields, now_ms: i64, wrong: &mut Violations) {
        if fields.has("name") {
            self.name = text::name(&wire.name, "name", wrong);
        }
        if fields.has("description") {
            self.description = text::description(&wire.description, "description", wrong);
        }
        if fields.has("tags") {
            self.tags = text::tags(&wire.tags, "tags", wrong);
        }
        if fields.has("owner_user_id") {
            let fine = wire.owner_user_id.is_empty() || text::is_id(&wire.owner_user_id);
            wrong.require(fine, "owner_user_id", "must be a user's id");
            self.owner_user_id.clone_from(&wire.owner_user_id);
        }
        if fields.has("status") {
            match wire.status.as_str() {
                "active" => self.disabled = false,
                "disabled" => self.disabled = true,
                same if same.is_empty() || same == self.status(now_ms) => {}
                _ => wrong.add("status", "must be `active` or `disabled`"),
            }
        }
        if fields.has("icon") {
            wrong.require(is_icon(&wire.icon), "icon", "must be a name (a-z, 0-9, `-`) or a data URL of a PNG, JPEG, GIF or WebP image of at most 32 KiB");
            self.icon.clone_from(&wire.icon);
        }
    }

    fn apply_rules(&mut self, wire: &types::Key, fields: &Fields, wrong: &mut Violations) {
        if fields.has("expiration") {
            self.expiration =
                wire.expiration.as_ref().and_then(|end| expiration(end, self.expiration.as_ref(), wrong));
        }
        if fields.has("permissions") {
            self.permissions = permissions(&wire.permissions, wrong);
        }
        if fields.has("models") {
            self.models = wire.models.as_ref().and_then(|rule| model_rule(rule, wrong));
        }
        if fields.has("clients") {
            self.clients = text::words(&wire.clients, 32, "clients", wrong);
        }
        if fields.has("networks") {
            self.networks = text::networks(&wire.networks, "networks", wrong);
        }
        if fields.has("account_binding") {
            self.account_binding = bindings(&wire.account_binding, wrong);
        }
        if fields.has("service_multipliers") {
            self.service_multipliers = multipliers(&wire.service_multipliers, wrong);
        }
        if fields.has("queue") {
            self.queue = wire.queue.as_ref().map(|queue| read_queue(queue, wrong));
        }
    }

    /// As people see it at a time. When it was last used is not the record's to know.
    pub fn to_wire(&self, version: u64, now_ms: i64) -> types::Key {
        types::Key {
            id: self.id.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            owner_user_id: self.owner_user_id.clone(),
            status: self.status(now_ms).into(),
            expiration: self.expiration.as_ref().map(expiration_to_wire),
            permissions: self.permissions.clone(),
            models: self.models.as_ref().map(ModelRule::to_wire),
            clients: self.clients.clone(),
            networks: self.networks.clone(),
            account_binding: self.account_binding.iter().map(|(f, b)| (f.clone(), b.to_wire())).collect(),
            limits: self.limits.iter().map(limit::Limit::to_wire).collect(),
            service_multipliers: self.service_multipliers.iter().map(|(s, m)| (s.clone(), *m)).collect(),
            secret_hint: self.secret_hint.clone(),
            queue: self.queue.as_ref().map(Queue::to_wire),
            icon: self.icon.clone(),
            created_at: Some(time::to_wire(self.created_at_ms)),
            updated_at: Some(time::to_wire(self.updated_at_ms)),
            last_used_at: None,
            deleted_at: self.deleted_at_ms.map(time::to_wire),
            previous_secret_until: self.previous_secret_until_ms(now_ms).map(time::to_wire),
            etag: crate::etag::of(version),
        }
    }
}

impl ModelRule {
    /// On the wire.
    pub fn to_wire(&self) -> types::ModelRule {
        let mode = if self.deny { "deny" } else { "allow" };
        types::ModelRule { mode: mode.into(), patterns: self.patterns.clone() }
    }
}

impl AccountBinding {
    /// On the wire.
    pub fn to_wire(&self) -> types::AccountBinding {
        types::AccountBinding {
            account: self.account.clone(),
            groups: self.groups.clone(),
            fallback_to_pool: self.fallback_to_pool,
        }
    }
}

impl Queue {
    /// On the wire.
    pub fn to_wire(&self) -> types::Queue {
        let timeout = Some(time::span_to_wire(self.timeout_ms));
        types::Queue { enabled: self.enabled, max_size: self.max_size, timeout }
    }
}

fn set_fields(wire: &types::Key) -> Vec<&'static str> {
    let set = [
        ("name", !wire.name.is_empty()),
        ("description", !wire.description.is_empty()),
        ("tags", !wire.tags.is_empty()),
        ("owner_user_id", !wire.owner_user_id.is_empty()),
        ("status", !wire.status.is_empty()),
        ("expiration", wire.expiration.is_some()),
        ("permissions", !wire.permissions.is_empty()),
        ("models", wire.models.is_some()),
        ("clients", !wire.clients.is_empty()),
        ("networks", !wire.networks.is_empty()),
        ("account_binding", !wire.account_binding.is_empty()),
        ("limits", !wire.limits.is_empty()),
        ("service_multipliers", !wire.service_multipliers.is_empty()),
        ("queue", wire.queue.is_some()),
        ("icon", !wire.icon.is_empty()),
    ];
    set.into_iter().filter(|(_, is_set)| *is_set).map(|(field, _)| field).collect()
}

fn expiration(
    wire: &types::Expiration,
    held: Option<&Expiration>,
    wrong: &mut Violations,
) -> Option<Expiration> {
    let mode = match wire.mode.as_str() {
        "" if wire.duration.is_some() => "activation",
        "" if wire.expires_at.is_some() => "fixed",
        mode => mode,
    };
    match mode {
        "fixed" => {
            let end = wire.expires_at.as_ref().and_then(time::from_wire);
            wrong.require(
                end.is_some(),
                "expiration.expires_at",
                "is missing or is no time from 1970 to 9999",
            );
            wrong.require(wire.duration.is_none(), "expiration.duration", "is for mode `activation`");
            end.map(|expires_at_ms| Expiration::Fixed { expires_at_ms })
        }
        "activation" => {
            let life = wire.duration.as_ref().and_then(time::span_from_wire);
            let life = life.filter(|life| (60_000..=MAX_LIFE_MS).contains(life));
            wrong.require(life.is_some(), "expiration.duration", "must be one minute to ten years");
            let activated_at_ms = match held {
                Some(Expiration::Activation { activated_at_ms, .. }) => *activated_at_ms,
                _ => None,
            };
            life.map(|duration_ms| Expiration::Activation { duration_ms, activated_at_ms })
        }
        _ => {
            wrong.add("expiration.mode", "must be `fixed` or `activation`");
            None
        }
    }
}

fn expiration_to_wire(expiration: &Expiration) -> types::Expiration {
    let expires_at = expiration.ends_at_ms().map(time::to_wire);
    match *expiration {
        Expiration::Fixed { .. } => {
            types::Expiration { mode: "fixed".into(), expires_at, duration: None, activated_at: None }
        }
        Expiration::Activation { duration_ms, activated_at_ms } => types::Expiration {
            mode: "activation".into(),
            expires_at,
            duration: Some(time::span_to_wire(duration_ms)),
            activated_at: activated_at_ms.map(time::to_wire),
        },
    }
}

fn permissions(words: &[String], wrong: &mut Violations) -> Vec<String> {
    if words.iter().any(|word| word == "all") {
        return Vec::new();
    }
    let mut families: Vec<String> = Vec::new();
    for (n, word) in words.iter().take(text::MAX_LIST).enumerate() {
        match vocabulary::family(word) {
            Some(family) if families.iter().any(|held| held == family) => {}
            Some(family) => families.push(family.to_owned()),
            None => wrong.add(
                format!("permissions[{n}]"),
                format!("must be one of {}, or `all`", vocabulary::FAMILIES.join(", ")),
            ),
        }
    }
    families
}

fn model_rule(wire: &types::ModelRule, wrong: &mut Violations) -> Option<ModelRule> {
    let deny = match wire.mode.as_str() {
        "allow" => false,
        "deny" => true,
        _ => {
            wrong.add("models.mode", "must be `allow` or `deny`");
            return None;
        }
    };
    wrong.require(!wire.patterns.is_empty(), "models.patterns", "must hold at least one pattern");
    Some(ModelRule { deny, patterns: text::patterns(&wire.patterns, "models.patterns", wrong) })
}

fn bindings<'a>(
    wire: impl IntoIterator<Item = (&'a String, &'a types::AccountBinding)>,
    wrong: &mut Violations,
) -> std::collections::BTreeMap<String, AccountBinding> {
    let mut bindings = std::collections::BTreeMap::new();
    for (word, binding) in wire {
        let path = format!("account_binding.{word}");
        let Some(family) = vocabulary::family(word) else {
            let families = vocabulary::FAMILIES.join(", ");
            wrong.add("account_binding", format!("`{word}` is no family; there are {families}"));
            continue;
        };
        wrong.require(
            binding.account.is_empty() != binding.groups.is_empty(),
            &path,
            "must name either an account or groups",
        );
        let ids = binding.groups.iter().chain((!binding.account.is_empty()).then_some(&binding.account));
        wrong.require(ids.into_iter().all(|id| text::is_id(id)), &path, "must hold ids");
        wrong.require(binding.groups.len() <= 16, &path, "must name at most 16 groups");
        bindings.insert(
            family.to_owned(),
            AccountBinding {
                account: binding.account.clone(),
                groups: binding.groups.clone(),
                fallback_to_pool: binding.fallback_to_pool,
            },
        );
    }
    bindings
}

/// Factors on the rated cost by service: numbers from 0 to 1000.
pub(crate) fn multipliers<'a>(
    wire: impl IntoIterator<Item = (&'a String, &'a f64)>,
    wrong: &mut Violations,
) -> std::collections::BTreeMap<String, f64> {
    let mut multipliers = std::collections::BTreeMap::new();
    for (word, factor) in wire {
        let Some(service) = vocabulary::service(word) else {
            let services = vocabulary::SERVICES.join(", ");
            wrong.add("service_multipliers", format!("`{word}` is no service; there are {services}"));
            continue;
        };
        let fine = factor.is_finite() && (0.0..=1000.0).contains(factor);
        wrong.require(fine, format!("service_multipliers.{service}"), "must be a number from 0 to 1000");
        multipliers.insert(service.to_owned(), *factor);
    }
    multipliers
}

fn read_queue(wire: &types::Queue, wrong: &mut Violations) -> Queue {
    let timeout = wire.timeout.as_ref().map_or(Some(0), time::span_from_wire);
    let timeout_ms = timeout.filter(|ms| *ms <= MAX_WAIT_MS);
    wrong.require(timeout_ms.is_some(), "queue.timeout", "must be at most 10 minutes");
    wrong.require(wire.max_size <= 10_000, "queue.max_size", "must be at most 10000");
    if wire.enabled {
        wrong.require(wire.max_size > 0, "queue.max_size", "must be at least 1 in a queue that is on");
        wrong.require(timeout_ms != Some(0), "queue.timeout", "must be more than 0 in a queue that is on");
    }
    Queue { enabled: wire.enabled, max_size: wire.max_size, timeout_ms: timeout_ms.unwrap_or_default() }
}

fn is_icon(icon: &str) -> bool {
    let name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    match icon.strip_prefix("data:image/") {
        Some(rest) if icon.len() <= MAX_ICON => rest.split_once(";base64,").is_some_and(|(kind, data)| {
            matches!(kind, "png" | "jpeg" | "gif" | "webp") && data.bytes().all(base64)
        }),
        Some(_) => false,
        None => icon.len() <= 64 && icon.bytes().all(name),
    }
}
