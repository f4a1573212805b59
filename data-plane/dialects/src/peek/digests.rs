//! How a conversation starts, as digests made while its texts pass by. No text is kept.

use sha2::{Digest, Sha256};

use super::Anchors;

/// How much of each text is digested, bytes: how a conversation starts is told by its beginning, and a megabyte would cost
/// as much to digest as to relay.
const TAKEN: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct Digests {
    /// The text that passes now, and how much of it is still taken.
    text: Option<(Sha256, usize)>,
    /// The system part that passes now: its text, and whether it is marked for caching.
    part: Option<[u8; 32]>,
    part_cached: bool,
    /// Over the digests of all system texts.
    system: Option<Sha256>,
    /// Over the digests of those marked for caching.
    cached: Option<Sha256>,
    /// Over the digests of the texts of the first message that has any.
    first: Option<Sha256>,
    first_over: bool,
    message_cached: bool,
}

/// Whose text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    System,
    Message,
}

impl Digests {
    /// Whether a text of this kind still matters.
    pub(super) fn wants(&self, whose: Whose) -> bool {
        whose == Whose::System || !self.first_over
    }

    pub(super) fn begin(&mut self) {
        self.text = Some((Sha256::new(), TAKEN));
    }

    /// Takes bytes of the text that passes; `false` when none does.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> bool {
        let Some((text, left)) = &mut self.text else { return false };
        if *left > 0 {
            let bytes = &bytes[..bytes.len().min(*left)];
            text.update(bytes);
            *left -= bytes.len();
        }
        true
    }

    /// The text that passes has ended; `false` when none did. An empty one does not count.
    pub(super) fn end(&mut self, whose: Whose, empty: bool) -> bool {
        let Some((text, _)) = self.text.take() else { return false };
        if !empty {
            let digest: [u8; 32] = text.finalize().into();
            if whose == Whose::System {
                self.part = Some(digest);
                self.system.get_or_insert_default().update(digest);
            } else {
                self.first.get_or_insert_default().update(digest);
            }
        }
        true
    }

    pub(super) fn mark_part(&mut self) {
        self.part_cached = true;
    }

    pub(super) fn mark_message(&mut self) {
        self.message_cached = true;
    }

    pub(super) fn end_part(&mut self) {
        let cached = std::mem::take(&mut self.part_cached);
        if let (Some(part), true) = (self.part.take(), cached) {
            self.cached.get_or_insert_default().update(part);
        }
    }

    /// A message has ended; the texts of a system's message are the system's.
    pub(super) fn end_message(&mut self, is_system: bool) {
        if is_system && !self.first_over {
            if let Some(first) = self.first.take() {
                self.system.get_or_insert_default().update(first.finalize());
            }
            return;
        }
        self.first_over = self.first.is_some();
    }

    pub(super) fn finish(self) -> Anchors {
        let finish = |hash: Sha256| -> [u8; 32] { hash.finalize().into() };
        let first_message = self.first.map(finish);
        let cached = match (self.cached, first_message.filter(|_| self.message_cached)) {
            (None, None) => None,
            (parts, message) => {
                let mut cached = parts.unwrap_or_default();
                cached.update(message.as_ref().map_or(&[][..], |digest| digest));
                Some(finish(cached))
            }
        };
        Anchors { cached, system: self.system.map(finish), first_message }
    }
}
