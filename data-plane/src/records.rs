//! What a node writes into its spool besides usage records: the intent of an attempt, from which a record can be made
//! when the process is killed before the outcome is known.
//!
//! An intent is a [`AttemptIntent`]; a note is an encoded `crs.types.v1.Attempt`, as far as the attempt is known by then;
//! an outcome is an encoded `crs.types.v1.UsageRecord`. `relay/settle` writes them, `pumps/recovery` reads them back.

/// Version of [`AttemptIntent`] that this release writes.
pub const INTENT_VERSION: u32 = 1;

/// All that can be said of an attempt before it is made. Fields are only ever added; a reader takes what it knows.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AttemptIntent {
    /// [`INTENT_VERSION`] of the writer.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// Request id, as the client is told.
    #[prost(string, tag = "2")]
    pub request_id: String,
    /// Attempt id.
    #[prost(string, tag = "3")]
    pub attempt_id: String,
    /// Key that asked.
    #[prost(string, tag = "4")]
    pub key_id: String,
    /// Its owner; empty: none.
    #[prost(string, tag = "5")]
    pub user_id: String,
    /// Its labels.
    #[prost(string, repeated, tag = "6")]
    pub tags: Vec<String>,
    /// Dialect.
    #[prost(string, tag = "7")]
    pub dialect: String,
    /// Operation.
    #[prost(string, tag = "8")]
    pub operation: String,
    /// Model asked for.
    #[prost(string, tag = "9")]
    pub model: String,
    /// Client kind; empty: unknown.
    #[prost(string, tag = "10")]
    pub client_kind: String,
    /// Account that the attempt is sent to.
    #[prost(string, tag = "11")]
    pub account_id: String,
    /// Its platform.
    #[prost(string, tag = "12")]
    pub platform: String,
    /// Group through which it was chosen; empty: none.
    #[prost(string, tag = "13")]
    pub group_id: String,
    /// Model as sent.
    #[prost(string, tag = "14")]
    pub model_sent: String,
    /// When the request arrived, Unix microseconds.
    #[prost(int64, tag = "15")]
    pub request_started_us: i64,
    /// When the attempt is sent, Unix microseconds.
    #[prost(int64, tag = "16")]
    pub started_us: i64,
    /// Input tokens, estimated from the body.
    #[prost(int64, tag = "17")]
    pub input_tokens: i64,
    /// Output tokens that were reserved.
    #[prost(int64, tag = "18")]
    pub output_tokens: i64,
    /// Whether the answer is streamed.
    #[prost(bool, tag = "19")]
    pub streaming: bool,
    /// Bytes of the client's body.
    #[prost(int64, tag = "20")]
    pub request_bytes: i64,
    /// Factor from real to rated cost; 0: 1.
    #[prost(double, tag = "21")]
    pub multiplier: f64,
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn example() -> AttemptIntent {
        AttemptIntent {
            version: 1,
            request_id: "req_1".into(),
            attempt_id: "att_1".into(),
            key_id: "key_1".into(),
            user_id: "user_1".into(),
            tags: vec!["a".into(), "b".into()],
            dialect: "anthropic_messages".into(),
            operation: "messages".into(),
            model: "claude-x".into(),
            client_kind: "claude_code".into(),
            account_id: "acc_1".into(),
            platform: "some-platform".into(),
            group_id: "group_1".into(),
            model_sent: "claude-y".into(),
            request_started_us: 1_700_000_000_000_000,
            started_us: 1_700_000_000_000_100,
            input_tokens: 100,
            output_tokens: 200,
            streaming: true,
            request_bytes: 300,
            multiplier: 1.5,
        }
    }

    /// Written by version 1; it must stay readable for as long as a spool may hold it.
    const V1: &str = include_str!("records/intent-v1.hex");

    #[test]
    fn version_1_is_read() {
        let bytes = hex::decode(V1.trim()).unwrap();
        assert_eq!(AttemptIntent::decode(bytes.as_slice()).unwrap(), example());
        assert_eq!(hex::encode(example().encode_to_vec()), V1.trim());
    }
}
