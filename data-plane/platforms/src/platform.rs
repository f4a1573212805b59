//! What a platform is: the one trait that relay, scheduler, probes and forms know.

use std::{collections::BTreeMap, ops::Range};

use bytes::Bytes;
use dialects::{Dialect, Operation, peek::Peek};
use http::{HeaderMap, Method, StatusCode, Uri};
use proto::{
    rules::failure,
    types::{CredentialField, PlatformInfo},
};
use secrecy::SecretString;
use smallvec::SmallVec;

use crate::{
    credentials::{self, Field, Violation},
    mapping,
    oauth::{self, Credential, GrantError, Grants},
    seen::Seen,
    unwrap::Unwrap,
};

/// Secret values by credential field.
pub type Credentials = BTreeMap<String, SecretString>;

/// What there is to know of a platform without an account.
#[derive(Debug)]
pub struct Info {
    /// Its slug.
    pub slug: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The platform family that key permissions speak of.
    pub family: &'static str,
    /// The service that multipliers speak of.
    pub service: &'static str,
    /// The dialect it is best spoken to in.
    pub dialect: Dialect,
    /// Others that it speaks as well.
    pub also: &'static [Dialect],
    /// Address of accounts that state none; empty: an account must state one.
    pub default_base_url: &'static str,
    /// What an account must and may bring.
    pub fields: &'static [Field],
    /// Known models.
    pub models: &'static [&'static str],
    /// What to know before using it; empty: nothing particular.
    pub notice: &'static str,
    /// Whether accounts can sign in instead of bringing a key.
    pub signs_in: bool,
}

impl Info {
    /// The same as a wire message.
    pub fn to_wire(&self) -> PlatformInfo {
        PlatformInfo {
            slug: self.slug.into(),
            name: self.name.into(),
            family: self.family.into(),
            service: self.service.into(),
            dialect: self.dialect.as_str().into(),
            default_base_url: self.default_base_url.into(),
            credential_fields: self.fields.iter().map(CredentialField::from).collect(),
            models: self.models.iter().map(|&model| model.into()).collect(),
            notice: self.notice.into(),
            other_dialects: self.also.iter().map(|dialect| dialect.as_str().into()).collect(),
            signs_in: self.signs_in,
        }
    }
}

/// What a platform must know of an account. Its `Debug` shows no secret.
#[derive(Clone, Copy, Debug)]
pub struct AccountView<'a> {
    /// Where it answers; empty: the platform's own address.
    pub base_url: &'a str,
    /// Secret values by field.
    pub credentials: &'a Credentials,
    /// Sent upstream instead of the client's; empty: the client's.
    pub user_agent: &'a str,
    /// Model asked for to model sent.
    pub model_mapping: &'a BTreeMap<String, String>,
}

/// A request as the relay got it, or as it was converted: what is said of the body is said of the one that is sent.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The body's dialect: one that the platform speaks.
    pub dialect: Dialect,
    /// What it asks for.
    pub operation: Operation,
    /// The word in the client's path that says more than the operation does, such as `batchEmbedContents` or `compact`;
    /// empty: none.
    pub verb: &'a str,
    /// Whether the answer is to come as a stream of events.
    pub stream: bool,
    /// The client's method.
    pub method: &'a Method,
    /// The client's query string, without `?`.
    pub query: Option<&'a str>,
    /// The client's headers.
    pub headers: &'a HeaderMap,
    /// The relay key as the client presented it: whatever carries it is left out.
    pub relay_secret: Option<&'a str>,
    /// The model that is asked for, by the body or the path.
    pub model: Option<&'a str>,
    /// What was seen in the body.
    pub peek: &'a Peek,
    /// Unix milliseconds.
    pub now_ms: i64,
}

/// Bytes of a body that are left out, and what stands in their place; an empty range only puts in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// Which bytes of the client's body.
    pub range: Range<usize>,
    /// What stands there instead.
    pub with: Bytes,
}

/// What becomes of the client's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyPlan {
    /// It goes as it came.
    AsIs,
    /// It goes as it came, but for these places: in order, none within another.
    Splices(SmallVec<[Splice; 2]>),
    /// It goes not; this one does (of probes).
    Replace(Bytes),
}

impl BodyPlan {
    /// The body but for one place.
    pub fn splice(range: Range<usize>, with: impl Into<Bytes>) -> Self {
        Self::splices([Splice { range, with: with.into() }])
    }

    /// The body but for these places, in any order (those at one place in the order given); as it is where there are
    /// none.
    pub fn splices(splices: impl IntoIterator<Item = Splice>) -> Self {
        let mut splices: SmallVec<[Splice; 2]> = splices.into_iter().collect();
        splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
        if splices.is_empty() { Self::AsIs } else { Self::Splices(splices) }
    }

    /// The same, and one place more.
    #[must_use]
    pub fn and(self, splice: Splice) -> Self {
        match self {
            Self::AsIs => Self::splices([splice]),
            Self::Splices(splices) => Self::splices(splices.into_iter().chain([splice])),
            Self::Replace(body) => Self::Replace(body),
        }
    }

    /// The length of what is sent, where the client's body has `length` bytes.
    pub fn length(&self, length: u64) -> u64 {
        match self {
            Self::AsIs => length,
            Self::Splices(splices) => splices
                .iter()
                .fold(length, |length, splice| length - splice.range.len() as u64 + splice.with.len() as u64),
            Self::Replace(body) => body.len() as u64,
        }
    }
}

/// A request to an upstream. `headers` hold the account's credential and neither `host` nor a length: who sends it
/// knows the host from `uri` and the length from `body`. No `Debug`, so that no log shows it.
#[derive(Clone)]
pub struct Prepared {
    /// Method.
    pub method: Method,
    /// Absolute address.
    pub uri: Uri,
    /// Headers, the credential marked as sensitive.
    pub headers: HeaderMap,
    /// What becomes of the body.
    pub body: BodyPlan,
    /// The model as sent, after mapping; empty: the request names none.
    pub model_sent: String,
    /// Whether [`Platform::sign`] must see it with its body's digest before it is sent.
    pub to_sign: bool,
}

/// Why no request could be made of a call. The account is at fault, unless said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The account has no such credential.
    #[error("the account's `{0}` is missing")]
    NoCredential(&'static str),
    /// A credential cannot stand in a header.
    #[error("the account's `{0}` has characters that no header can carry")]
    BadCredential(&'static str),
    /// The account's address is none.
    #[error("the account's base url is not usable: {0}")]
    BadAddress(&'static str),
    /// The model's name cannot stand in an address.
    #[error("the model's name cannot stand in an address")]
    BadModel,
    /// The platform serves this client's program only, and the request is not by it.
    #[error("the platform serves requests of {0} only")]
    OtherClient(&'static str),
    /// The account is somebody's subscription, and no operator has permitted to pool those.
    #[error("the account is a subscription, and pooling those is off")]
    Subscription,
    /// This platform has nothing for that operation.
    #[error("the platform does not offer {0}")]
    Unsupported(Operation),
}

/// A kind of upstream account.
pub trait Platform: Send + Sync {
    /// What there is to know of it without an account.
    fn info(&self) -> &'static Info;

    /// Whether an account could work with these: required fields are there, the address is one.
    ///
    /// # Errors
    /// All that is wrong, by field (`credentials.<name>`, `base_url`).
    fn check(&self, given: &Credentials, base_url: &str) -> Result<(), Vec<Violation>> {
        credentials::check(self.info(), given, base_url)
    }

    /// The request to the upstream for a client's call.
    ///
    /// # Errors
    /// When the account or the platform cannot serve it.
    fn prepare(&self, account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError>;

    /// The dialect in which to ask an account for a model, where a client speaks `wanted`: that one wherever the
    /// platform speaks it, since then nothing need be converted.
    fn dialect(&self, _account: &AccountView<'_>, wanted: Dialect, _model: &str) -> Dialect {
        if self.info().also.contains(&wanted) { wanted } else { self.info().dialect }
    }

    /// Signs a request that says that it is [`Prepared::to_sign`], once its body is known.
    ///
    /// # Errors
    /// When the account cannot sign it.
    fn sign(
        &self,
        _account: &AccountView<'_>,
        _prepared: &mut Prepared,
        _body_sha256: &[u8; 32],
        _now_ms: i64,
    ) -> Result<(), PrepareError> {
        Ok(())
    }

    /// A small request by which to see whether an account works with a model.
    ///
    /// # Errors
    /// When the account cannot serve it.
    fn probe(&self, account: &AccountView<'_>, model: &str, now_ms: i64) -> Result<Prepared, PrepareError>;

    /// What turns an answer's body into the platform's dialect, where it does not come in it.
    fn unwrap(&self, _status: StatusCode, _headers: &HeaderMap) -> Option<Box<dyn Unwrap>> {
        None
    }

    /// What of an answer's headers goes to the client.
    fn response_headers(&self, account: &AccountView<'_>, headers: &HeaderMap) -> HeaderMap;

    /// What an answer says, for the failure table. `body_head` is the body's beginning, decoded; it may be cut.
    fn seen(&self, status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen;

    /// How accounts get the tokens that their requests carry; `None`: requests carry what the account was given.
    fn grants(&self) -> Option<&'static dyn Grants> {
        None
    }

    /// Whether requests can be made with what an account has; the control plane asks, with all that it holds for it.
    ///
    /// # Errors
    /// When the account lacks what tokens are had with.
    fn credential(&self, account: &AccountView<'_>, now_ms: i64) -> Result<Credential, GrantError> {
        match self.grants() {
            Some(grants) if !account.credentials.contains_key(oauth::ACCESS) => {
                grants.refresh(account, now_ms).map(|request| Credential::Exchange(Box::new(request)))
            }
            _ => Ok(Credential::Ready),
        }
    }

    /// Whether an account is somebody's subscription, which is pooled only where an operator has permitted that.
    fn is_subscription(&self, _account: &AccountView<'_>) -> bool {
        false
    }

    /// The failure table that judges this platform's answers.
    fn failures(&self) -> failure::Table {
        failure::Table::standard()
    }

    /// The model that goes upstream for one that is asked for.
    fn model_sent(&self, account: &AccountView<'_>, model: &str) -> String {
        mapping::apply(account.model_mapping, model).into_owned()
    }
}
