//! Canonical model names: the same model under the names that providers, regions and clients give it.

/// Regions that Bedrock puts before a model's name.
const REGIONS: [&str; 8] = ["us.", "eu.", "apac.", "global.", "jp.", "au.", "ca.", "us-gov."];

/// The canonical form of a model name. In this order: lower case; what stands before the last slash (providers, regions,
/// `models/`) goes; `[1m]` goes; a Bedrock region and the vendor `anthropic.` go; `@default` and `-latest` go; `@` before
/// a date becomes `-`; a version `-v1`, `-v1:0` at the end or before the date goes, unless nothing with a digit remains;
/// a date `-2025-11-01` becomes `-20251101`.
pub fn canonical(model: &str) -> String {
    let lower = model.trim().to_ascii_lowercase();
    let mut name = lower.rsplit('/').next().unwrap_or(&lower);
    name = name.strip_suffix("[1m]").unwrap_or(name);
    name = REGIONS.iter().find_map(|region| name.strip_prefix(region)).unwrap_or(name);
    name = name.strip_prefix("anthropic.").unwrap_or(name);
    name = name.strip_suffix("@default").unwrap_or(name);
    name = name.strip_suffix("-latest").unwrap_or(name);
    let name = without_version(name).replace('@', "-");
    let (base, date) = split_date(&name);
    let base = without_version(base);
    match date {
        Some(date) => format!("{base}-{}", date.replace('-', "")),
        None => base.to_owned(),
    }
}

/// Splits `-20251101` or `-2025-11-01` off the end of a name.
pub(super) fn split_date(name: &str) -> (&str, Option<&str>) {
    for length in [8, 10] {
        let Some(at) = name.len().checked_sub(length + 1) else { continue };
        let (Some(base), Some(date)) = (name.get(..at), name.get(at + 1..)) else { continue };
        if name.as_bytes()[at] == b'-' && is_date(date) && !base.is_empty() {
            return (base, Some(date));
        }
    }
    (name, None)
}

/// `20251101` or `2025-11-01`, of this century.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |at: &[usize]| {
        bytes.iter().enumerate().all(|(i, b)| at.contains(&i) == (*b == b'-') || b.is_ascii_digit())
    };
    let shape = match bytes.len() {
        8 => bytes.iter().all(u8::is_ascii_digit),
        10 => bytes[4] == b'-' && bytes[7] == b'-' && digits(&[4, 7]),
        _ => false,
    };
    shape && text.starts_with("20")
}

/// Without `-v1` or `-v1:0` at the end, unless nothing with a digit would remain (`claude-v2:1`).
fn without_version(name: &str) -> &str {
    let head = match name.rsplit_once(':') {
        Some((head, minor)) if is_number(minor) => head,
        _ => name,
    };
    match head.rsplit_once("-v") {
        Some((base, major)) if is_number(major) && base.bytes().any(|b| b.is_ascii_digit()) => base,
        _ => name,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
