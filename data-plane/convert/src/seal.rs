//! State of a provider that travels through a client of another dialect: signatures and encrypted thoughts. The relay
//! keeps none of it; the client holds it, in the field that its own dialect has for such things, and brings it back.
//! What it brings is either its own dialect's, or an envelope of ours that says whose it is. An envelope is no secret
//! and no proof: whoever forges one gives its provider a signature that this provider will not take.
//!
//! Form: `crs1.<letter>.<tag>.<value>`; for Gemini's clients, which take bytes, that in base64.

use std::borrow::Cow;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use dialects::Dialect;

use crate::neutral::{Seal, Text};

const MARK: &str = "crs1.";

/// Clients write either alphabet, with padding or without.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// How a seal stands in a client's dialect: its own as it is, another's in an envelope.
pub fn write<'a>(seal: &'a Seal<'_>, client: Dialect) -> Text<'a> {
    if seal.origin == client {
        return Cow::Borrowed(&seal.value);
    }
    let letter = match seal.origin {
        Dialect::AnthropicMessages => 'a',
        Dialect::OpenaiChat => 'c',
        Dialect::OpenaiResponses => 'r',
        Dialect::Gemini => 'g',
    };
    let envelope = format!("{MARK}{letter}.{}.{}", seal.tag.replace('.', "_"), seal.value);
    Cow::Owned(if client == Dialect::Gemini { STANDARD.encode(envelope) } else { envelope })
}

/// Whose seal it is that a client brings. `tag` is what the client's dialect says beside it.
pub fn read<'a>(text: Text<'a>, tag: Text<'a>, client: Dialect) -> Seal<'a> {
    let envelope = match client {
        Dialect::Gemini => decode(&text),
        _ => text.strip_prefix(MARK).map(str::to_owned),
    };
    match envelope.as_deref().and_then(opened) {
        Some(seal) => seal,
        None => Seal { origin: client, value: text, tag },
    }
}

fn decode(text: &str) -> Option<String> {
    // Four characters stand for three bytes: the mark can be told without decoding what is long and none of ours.
    if text.len() < 8 || STANDARD.decode(&text[..text.floor_char_boundary(4)]).ok()? != b"crs" {
        return None;
    }
    let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()?;
    String::from_utf8(bytes).ok()?.strip_prefix(MARK).map(str::to_owned)
}

fn opened(envelope: &str) -> Option<Seal<'static>> {
    let mut parts = envelope.splitn(3, '.');
    let (letter, tag, value) = (parts.next()?, parts.next()?, parts.next()?);
    let origin = match letter {
        "a" => Dialect::AnthropicMessages,
        "c" => Dialect::OpenaiChat,
        "r" => Dialect::OpenaiResponses,
        "g" => Dialect::Gemini,
        _ => return None,
    };
    Some(Seal { origin, value: value.to_owned().into(), tag: tag.to_owned().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_comes_back_as_whose_it_is() {
        for origin in Dialect::ALL {
            let seal = Seal { origin, value: "Eq.Q+/=".into(), tag: "rs_1".into() };
            for client in Dialect::ALL {
                let text = write(&seal, client).into_owned();
                let back = read(text.into(), "rs_1".into(), client);
                assert_eq!(back, seal, "{origin} through {client}");
            }
        }
    }

    #[test]
    fn what_is_no_envelope_is_the_clients_own() {
        for client in Dialect::ALL {
            for text in ["", "crs1", "crs1.", "crs1.z.a.b", "crs1.a", "Y3JzMS4=", "ééé", "Y3Jzéé"] {
                let seal = read(text.into(), "".into(), client);
                assert_eq!((seal.origin, seal.value.as_ref()), (client, text));
            }
        }
    }
}
