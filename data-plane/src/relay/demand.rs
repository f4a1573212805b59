//! What a request takes of its limits before it has run. Requests and slots are one each. Tokens and cost are an
//! estimate: the input counted from the body, the output from the request's cap and the key's recent mean. Strict limits
//! take the worst case, for which there must be a bound.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use bytes::Bytes;
use limits::{Compiled, CostKind, Demand, Meter};
use memchr::memmem;
use parking_lot::RwLock;
use proto::rules::{
    ids::KeyId,
    price::{Price, Table},
};
use rustc_hash::FxHashMap;
use snapshot::{Key, Settings, UnknownPrice};

/// Output of a request whose key has not been seen yet, tokens.
const FIRST_GUESS: i64 = 1_000;
/// The newest answer's weight in the mean is one part of so many.
const WEIGHT: i64 = 8;
/// Means are forgotten when there are more.
const MOST_MEANS: usize = 65_536;
/// Tokens that a platform may add to what is in the body: its own instructions, and the framing of tools.
const ADDED: i64 = 4_096;

/// What bounds the input of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// No strict limit asks.
    NotAsked,
    /// All of it is text in the body, and no token is shorter than a byte: so many tokens.
    Text(i64),
    /// It has images, files or references: the model's context bounds it.
    Context,
    /// The upstream may go on by itself, with tools of its own, or answer several times: nothing does.
    Nothing,
}

/// What makes a request's size more than what its body shows.
const NO_BOUND: [&[u8]; 12] = [
    b"\"web_search",
    b"\"web_fetch",
    b"\"code_execution",
    b"\"code_interpreter",
    b"\"file_search",
    b"\"image_generation",
    b"\"google_search",
    b"\"googleSearch",
    b"\"mcp",
    b"\"n\"",
    b"\"candidateCount\"",
    b"\"candidate_count\"",
];
/// What is not text, or not in the body.
const NOT_TEXT: [&[u8]; 12] = [
    b"\"image",
    b"\"input_image",
    b"\"input_audio",
    b"\"document\"",
    b"\"file",
    b"\"input_file",
    b"\"inline",
    b"\"url\"",
    b"\"previous_response_id\"",
    b"\"conversation\"",
    b"\"prompt\"",
    b"\"container\"",
];
/// Escapes of plain letters.
const LETTERS: [&[u8]; 4] = [b"\\u004", b"\\u005", b"\\u006", b"\\u007"];
/// Longer than any of them.
const LONGEST: usize = 32;

impl Bound {
    /// Of a body. Where it writes plain letters as escapes nothing can be found in it.
    pub fn of(pieces: &[Bytes], length: u64) -> Self {
        if found(pieces, &NO_BOUND) || found(pieces, &LETTERS) {
            return Self::Nothing;
        }
        if found(pieces, &NOT_TEXT) {
            return Self::Context;
        }
        Self::Text(i64::try_from(length).unwrap_or(i64::MAX).saturating_add(ADDED))
    }
}

/// Whether any of these stands in the pieces, also across two of them.
fn found(pieces: &[Bytes], words: &[&[u8]]) -> bool {
    // A quote behind a backslash stands in a text, and begins none.
    let real = |bytes: &[u8], at: usize| at == 0 || bytes[at - 1] != b'\\';
    let any =
        |bytes: &[u8]| words.iter().any(|word| memmem::find_iter(bytes, word).any(|at| real(bytes, at)));
    let mut seam: Vec<u8> = Vec::with_capacity(2 * LONGEST);
    for piece in pieces {
        if any(piece) {
            return true;
        }
        seam.extend_from_slice(&piece[..piece.len().min(LONGEST)]);
        if any(&seam) {
            return true;
        }
        let tail = &piece[piece.len().saturating_sub(LONGEST)..];
        if piece.len() >= LONGEST {
            seam.clear();
            seam.extend_from_slice(tail);
        } else {
            seam.drain(..seam.len().saturating_sub(LONGEST));
        }
    }
    false
}

/// How large a request is, as far as can be said.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Input tokens, estimated.
    pub input: i64,
    /// The request's own cap on its output; 0: none.
    pub cap: i64,
    /// Output tokens of the key's requests of late.
    pub mean: i64,
    /// What bounds the input.
    pub bound: Bound,
}

/// At what price.
#[derive(Clone, Copy, Debug)]
pub struct Rate<'a> {
    /// The model's; none: it has no price.
    pub price: Option<&'a Price>,
    /// Factor from real to rated.
    pub multiplier: f64,
}

/// There is no bound, so a strict limit cannot let the request in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoBound;

impl Size {
    /// What the request takes of a limit.
    ///
    /// # Errors
    /// The limit is strict, and nothing bounds the request.
    pub fn units(&self, limit: &Compiled, rate: Rate<'_>) -> Result<i64, NoBound> {
        if !limit.kind.settles_later() {
            return Ok(1);
        }
        let (input, output) = if limit.strict { self.worst(rate.price)? } else { self.expected(rate.price) };
        if limit.kind == Meter::Tokens {
            return Ok(input.saturating_add(output));
        }
        let amount = match rate.price {
            Some(price) if limit.strict => price.at_most(input, output, rate.multiplier),
            Some(price) => price.expected(input, output, rate.multiplier),
            None if limit.strict => return Err(NoBound),
            None => return Ok(1),
        };
        Ok(if limit.cost == CostKind::Real { amount.real } else { amount.rated })
    }

    fn expected(&self, price: Option<&Price>) -> (i64, i64) {
        let caps = [self.cap, price.map_or(0, |price| i64::from(price.max_output))];
        let cap = caps.into_iter().filter(|cap| *cap > 0).min().unwrap_or(i64::MAX);
        (self.input, self.mean.min(cap))
    }

    fn worst(&self, price: Option<&Price>) -> Result<(i64, i64), NoBound> {
        let known = |tokens: u32| (tokens > 0).then_some(i64::from(tokens));
        let context = price.and_then(|price| known(price.context));
        let input = match (self.bound, context) {
            (Bound::Text(bytes), context) => bytes.min(context.unwrap_or(i64::MAX)),
            (Bound::Context, Some(context)) => context,
            _ => return Err(NoBound),
        };
        let own = (self.cap > 0).then_some(self.cap);
        let most = price.and_then(|price| known(price.max_output));
        let output = own.into_iter().chain(most).min().ok_or(NoBound)?;
        Ok((input, output))
    }
}

/// The price that a request for this model is reserved at.
pub fn price<'a>(prices: &'a Table, settings: &Settings, model: &str) -> Option<&'a Price> {
    prices.find(model).or_else(|| match &settings.unknown_price {
        UnknownPrice::PriceAs(other) => prices.find(other),
        _ => None,
    })
}

/// Factor from real to rated cost for accounts of a service.
pub fn multiplier(key: &Key, settings: &Settings, service: &str) -> f64 {
    key.multipliers.get(service).copied().unwrap_or(1.0)
        * settings.service_multipliers.get(service).copied().unwrap_or(1.0)
}

/// The largest factor that any service may come to, before it is known which one serves.
pub fn largest_multiplier(key: &Key, settings: &Settings) -> f64 {
    let services = key.multipliers.keys().chain(settings.service_multipliers.keys());
    services.map(|service| multiplier(key, settings, service)).fold(1.0, f64::max)
}

/// Output tokens of late, by key: only of keys whose limits ask for it.
#[derive(Debug, Default)]
pub struct Means(RwLock<FxHashMap<KeyId, Arc<AtomicI64>>>);

impl Means {
    /// The mean.
    pub fn of(&self, key: &KeyId) -> i64 {
        self.0.read().get(key).map_or(FIRST_GUESS, |mean| mean.load(Ordering::Relaxed))
    }

    /// Another answer. Two at once may lose one: it is an estimate.
    pub fn add(&self, key: &KeyId, output: i64) {
        if let Some(mean) = self.0.read().get(key) {
            let old = mean.load(Ordering::Relaxed);
            mean.store(old + (output - old) / WEIGHT, Ordering::Relaxed);
            return;
        }
        let mut means = self.0.write();
        if means.len() >= MOST_MEANS {
            means.clear();
        }
        means.insert(key.clone(), Arc::new(AtomicI64::new(output)));
    }
}

/// Whether a key has limits whose use is known only at the end.
pub fn is_estimated(key: &Key) -> bool {
    key.limits.iter().any(|limit| limit.kind.settles_later())
}

/// What a request demands of one limit.
///
/// # Errors
/// The limit is strict, and nothing bounds the request.
pub fn of<'a>(limit: &'a Compiled, size: &Size, rate: Rate<'_>) -> Result<Demand<'a>, NoBound> {
    Ok(Demand { limit, units: size.units(limit, rate)?.max(1) })
}

#[cfg(test)]
mod tests;
