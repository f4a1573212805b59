//! The settings on the wire.

use std::ops::RangeInclusive;

use proto::{rules::price, types};

use super::{ControlLoss, OrphanSlots, Retention, Settings};
use crate::{etag, key::multipliers, mask::Fields, text, time, violation::Violations};

/// Fields that an operator may write.
pub const WRITABLE: &[&str] = &[
    "site_name",
    "time_zone",
    "limits_on_control_loss",
    "orphan_slots",
    "unknown_price",
    "first_event_timeout",
    "idle_timeout",
    "answer_timeout",
    "count_timeout",
    "max_attempts",
    "binding_ttl",
    "binding_renew_below",
    "retention",
    "service_multipliers",
    "queue_max_size",
    "queue_timeout",
    "subscription_pooling",
];

const HOUR_MS: i64 = 3_600_000;
const YEAR_MS: i64 = 366 * 24 * HOUR_MS;

impl Settings {
    /// The fields that an update changes.
    ///
    /// # Errors
    /// Paths of the mask that name no field.
    pub fn fields(
        wire: &types::Settings,
        mask: Option<&prost_types::FieldMask>,
    ) -> Result<Fields, Violations> {
        Fields::of(mask, || set_fields(wire), WRITABLE, &["etag"])
    }

    /// Takes over fields from the wire. On an error the settings are as they were.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn apply(&mut self, wire: &types::Settings, fields: &Fields) -> Result<(), Violations> {
        let mut wrong = Violations::default();
        let mut settings = self.clone();
        settings.apply_words(wire, fields, &mut wrong);
        settings.apply_times(wire, fields, &mut wrong);
        if fields.has("retention") {
            settings.retention = retention(&wire.retention.unwrap_or_default(), &mut wrong);
        }
        if fields.has("service_multipliers") {
            settings.service_multipliers = multipliers(&wire.service_multipliers, &mut wrong);
        }
        if fields.has("subscription_pooling") {
            settings.subscription_pooling = wire.subscription_pooling.unwrap_or(false);
        }
        if fields.has("max_attempts") {
            wrong.require(wire.max_attempts <= 5, "max_attempts", "must be 1 to 5");
            settings.max_attempts = wire.max_attempts;
        }
        if fields.has("queue_max_size") {
            wrong.require(wire.queue_max_size <= 10_000, "queue_max_size", "must be at most 10000");
            settings.queue_max_size = wire.queue_max_size;
        }
        wrong.or(())?;
        *self = settings;
        Ok(())
    }

    fn apply_words(&mut self, wire: &types::Settings, fields: &Fields, wrong: &mut Violations) {
        if fields.has("site_name") {
            self.site_name = text::line(wire.site_name.trim(), text::MAX_NAME, "site_name", wrong);
        }
        if fields.has("time_zone") {
            let known = wire.time_zone.is_empty() || jiff::tz::TimeZone::get(&wire.time_zone).is_ok();
            wrong.require(known, "time_zone", "must be an IANA time zone such as `Asia/Shanghai`");
            self.time_zone.clone_from(&wire.time_zone);
        }
        if fields.has("limits_on_control_loss") {
            match wire.limits_on_control_loss.as_str() {
                "" | "refuse" => self.limits_on_control_loss = ControlLoss::Refuse,
                "allow" => self.limits_on_control_loss = ControlLoss::Allow,
                _ => wrong.add("limits_on_control_loss", "must be `refuse` or `allow`"),
            }
        }
        if fields.has("orphan_slots") {
            match wire.orphan_slots.as_str() {
                "" | "hold" => self.orphan_slots = OrphanSlots::Hold,
                "release_after_ttl" => self.orphan_slots = OrphanSlots::ReleaseAfterTtl,
                _ => wrong.add("orphan_slots", "must be `hold` or `release_after_ttl`"),
            }
        }
        if fields.has("unknown_price") {
            // A name without a price would leave all as it is, and nobody the wiser.
            let named = wire.unknown_price.strip_prefix("price_as:");
            let named = named.is_some_and(|model| price::Table::shipped().find(model).is_some());
            let fine = named || matches!(wire.unknown_price.as_str(), "" | "serve" | "refuse");
            let words = "must be `serve`, `refuse` or `price_as:<model>` of a model that has a price";
            wrong.require(fine, "unknown_price", words);
            self.unknown_price = text::line(&wire.unknown_price, 200, "unknown_price", wrong);
        }
    }

    fn apply_times(&mut self, wire: &types::Settings, fields: &Fields, wrong: &mut Violations) {
        const UPSTREAM: (RangeInclusive<i64>, &str) = (1000..=HOUR_MS, "must be one second to one hour");
        const COUNT: (RangeInclusive<i64>, &str) = (100..=600_000, "must be 100 ms to 10 minutes");
        const TTL: (RangeInclusive<i64>, &str) = (60_000..=YEAR_MS, "must be one minute to one year");
        const RENEW: (RangeInclusive<i64>, &str) = (1000..=YEAR_MS, "must be one second to one year");
        const QUEUE: (RangeInclusive<i64>, &str) = (1..=600_000, "must be at most 10 minutes");
        let renew = &mut self.binding_renew_below_ms;
        let places = [
            ("first_event_timeout", &wire.first_event_timeout, &mut self.first_event_timeout_ms, UPSTREAM),
            ("idle_timeout", &wire.idle_timeout, &mut self.idle_timeout_ms, UPSTREAM),
            ("answer_timeout", &wire.answer_timeout, &mut self.answer_timeout_ms, UPSTREAM),
            ("count_timeout", &wire.count_timeout, &mut self.count_timeout_ms, COUNT),
            ("binding_ttl", &wire.binding_ttl, &mut self.binding_ttl_ms, TTL),
            ("binding_renew_below", &wire.binding_renew_below, renew, RENEW),
            ("queue_timeout", &wire.queue_timeout, &mut self.queue_timeout_ms, QUEUE),
        ];
        for (field, span, place, (range, rule)) in places {
            if !fields.has(field) {
                continue;
            }
            let ms = span.as_ref().map_or(Some(0), time::span_from_wire);
            match ms.filter(|ms| *ms == 0 || range.contains(ms)) {
                Some(ms) => *place = ms,
                None => wrong.add(field, rule),
            }
        }
        if fields.has("binding_ttl") || fields.has("binding_renew_below") {
            let fine = self.binding_renew_below_ms() <= self.binding_ttl_ms();
            wrong.require(fine, "binding_renew_below", "must not be more than `binding_ttl`");
        }
    }

    /// As people see them, with the defaults filled in; the peppers stay here.
    pub fn to_wire(&self, version: u64) -> types::Settings {
        let kept = self.retention.effective();
        types::Settings {
            site_name: self.site_name.clone(),
            time_zone: self.zone_name().to_owned(),
            limits_on_control_loss: self.limits_on_control_loss.as_str().into(),
            orphan_slots: self.orphan_slots.as_str().into(),
            unknown_price: self.unknown_price().to_owned(),
            first_event_timeout: Some(time::span_to_wire(self.first_event_timeout_ms())),
            idle_timeout: Some(time::span_to_wire(self.idle_timeout_ms())),
            answer_timeout: Some(time::span_to_wire(self.answer_timeout_ms())),
            count_timeout: Some(time::span_to_wire(self.count_timeout_ms())),
            max_attempts: self.max_attempts(),
            binding_ttl: Some(time::span_to_wire(self.binding_ttl_ms())),
            binding_renew_below: Some(time::span_to_wire(self.binding_renew_below_ms())),
            retention: Some(types::Retention {
                minute_days: kept.minute_days,
                hour_days: kept.hour_days,
                day_days: kept.day_days,
                request_days: kept.request_days,
                audit_days: kept.audit_days,
                bin_days: kept.bin_days,
            }),
            service_multipliers: self.service_multipliers.iter().map(|(s, m)| (s.clone(), *m)).collect(),
            queue_max_size: self.queue_max_size,
            queue_timeout: Some(time::span_to_wire(self.queue_timeout_ms)),
            subscription_pooling: Some(self.subscription_pooling),
            etag: etag::of(version),
        }
    }
}

fn set_fields(wire: &types::Settings) -> Vec<&'static str> {
    let set = [
        ("site_name", !wire.site_name.is_empty()),
        ("time_zone", !wire.time_zone.is_empty()),
        ("limits_on_control_loss", !wire.limits_on_control_loss.is_empty()),
        ("orphan_slots", !wire.orphan_slots.is_empty()),
        ("unknown_price", !wire.unknown_price.is_empty()),
        ("first_event_timeout", wire.first_event_timeout.is_some()),
        ("idle_timeout", wire.idle_timeout.is_some()),
        ("answer_timeout", wire.answer_timeout.is_some()),
        ("count_timeout", wire.count_timeout.is_some()),
        ("max_attempts", wire.max_attempts != 0),
        ("binding_ttl", wire.binding_ttl.is_some()),
        ("binding_renew_below", wire.binding_renew_below.is_some()),
        ("retention", wire.retention.is_some()),
        ("service_multipliers", !wire.service_multipliers.is_empty()),
        ("queue_max_size", wire.queue_max_size != 0),
        ("queue_timeout", wire.queue_timeout.is_some()),
        ("subscription_pooling", wire.subscription_pooling.is_some()),
    ];
    set.into_iter().filter(|(_, is_set)| *is_set).map(|(field, _)| field).collect()
}

fn retention(wire: &types::Retention, wrong: &mut Violations) -> Retention {
    let mut days = |days: u32, field: &str| {
        wrong.require(days <= 36_500, format!("retention.{field}"), "must be at most 36500 days");
        days
    };
    Retention {
        minute_days: days(wire.minute_days, "minute_days"),
        hour_days: days(wire.hour_days, "hour_days"),
        day_days: days(wire.day_days, "day_days"),
        request_days: days(wire.request_days, "request_days"),
        audit_days: days(wire.audit_days, "audit_days"),
        bin_days: days(wire.bin_days, "bin_days"),
    }
}
