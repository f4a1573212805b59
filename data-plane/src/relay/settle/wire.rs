//! Writes protobuf by hand, field by field in the order of their tags, from borrowed texts: a record of a request is
//! some forty texts that `prost` would first want copied. `record`'s tests hold it against `prost`'s own encoding.

use prost::Message;

/// Length-delimited, in a key's low bits.
const DELIMITED: u64 = 2;
const VARINT: u64 = 0;
const FIXED64: u64 = 1;

/// Appends fields to a buffer. Empty and zero values are left out, as proto3 does.
pub(super) struct Fields<'a>(pub(super) &'a mut Vec<u8>);

impl Fields<'_> {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, tag: u64, kind: u64) {
        self.varint(tag << 3 | kind);
    }

    /// A text, if it is not empty.
    pub(super) fn text(&mut self, tag: u64, text: &str) -> &mut Self {
        if !text.is_empty() {
            self.nested(tag, text.as_bytes());
        }
        self
    }

    /// Bytes of a text or an encoded message, also when there are none.
    pub(super) fn nested(&mut self, tag: u64, bytes: &[u8]) -> &mut Self {
        self.key(tag, DELIMITED);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// Any integer type but the zigzag ones, unless it is 0.
    pub(super) fn int(&mut self, tag: u64, value: i64) -> &mut Self {
        if value != 0 {
            self.key(tag, VARINT);
            self.varint(value as u64);
        }
        self
    }

    /// A boolean, if it is true.
    pub(super) fn flag(&mut self, tag: u64, value: bool) -> &mut Self {
        self.int(tag, i64::from(value))
    }

    /// A double, unless it is 0.
    pub(super) fn double(&mut self, tag: u64, value: f64) -> &mut Self {
        if value != 0.0 {
            self.key(tag, FIXED64);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
        self
    }

    /// A message, also when it is empty.
    pub(super) fn message(&mut self, tag: u64, message: &impl Message) -> &mut Self {
        self.key(tag, DELIMITED);
        self.varint(message.encoded_len() as u64);
        // Only a buffer of fixed size can be too small; a `Vec` grows.
        let _ = message.encode(self.0);
        self
    }

    /// A `google.protobuf.Timestamp` of Unix microseconds.
    pub(super) fn time(&mut self, tag: u64, us: i64) -> &mut Self {
        self.message(tag, &super::record::timestamp(us))
    }
}
