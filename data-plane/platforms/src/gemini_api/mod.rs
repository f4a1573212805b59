//! Gemini's API with an API key (Google AI Studio). The client's body goes on as it came: the model stands in the path,
//! so that a mapped one changes no byte of it.

#[cfg(test)]
mod tests;

use dialects::{Dialect, Operation};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};

use crate::{
    credentials::{Field, FieldKind},
    gemini_like, headers,
    platform::{AccountView, BodyPlan, Call, Info, Platform, PrepareError, Prepared},
    request,
    seen::{self, Seen},
    url,
};

const KEY: &str = "api_key";
const KEY_HEADER: HeaderName = HeaderName::from_static("x-goog-api-key");

/// The platform.
pub(crate) struct GeminiApi;

static INFO: Info = Info {
    slug: "gemini-api",
    name: "Gemini API",
    family: "gemini",
    service: "gemini",
    dialect: Dialect::Gemini,
    also: &[],
    default_base_url: "https://generativelanguage.googleapis.com",
    fields: &[
        Field::new(KEY, FieldKind::Secret, "API key", "An API key from Google AI Studio (AIza…).").required()
    ],
    models: &[
        "gemini-3-pro-preview",
        "gemini-2.5-pro",
        "gemini-2.5-flash",
        "gemini-2.5-flash-lite",
        "gemini-2.0-flash",
        "gemini-embedding-001",
    ],
    notice: "",
    signs_in: false,
};

fn uri(account: &AccountView<'_>, path: &str, query: Option<&str>) -> Result<Uri, PrepareError> {
    let base = if account.base_url.is_empty() { INFO.default_base_url } else { account.base_url };
    url::under(base, "v1beta", path, query).map_err(PrepareError::BadAddress)
}

fn authorise(headers: &mut HeaderMap, account: &AccountView<'_>) -> Result<(), PrepareError> {
    let key = request::credential(account, KEY)?;
    headers.insert(KEY_HEADER, request::sensitive(key, KEY)?);
    Ok(())
}

impl Platform for GeminiApi {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn prepare(&self, account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError> {
        let client = url::without_credentials(call.query, call.relay_secret);
        let mut headers = headers::forward_but(call, |name| {
            name.starts_with("anthropic-") || name.starts_with("openai-") || name == "x-app"
        });
        request::complete(&mut headers, account);
        authorise(&mut headers, account)?;
        let model_sent = request::model_sent(account, call);
        let (method, uri) = if call.operation == Operation::Models {
            (Method::GET, uri(account, "models", client.as_deref())?)
        } else {
            let (model, verb) = (gemini_like::model_in_path(&model_sent)?, gemini_like::verb(call)?);
            // A client of Gemini's own says itself whether its stream is one of events or an array.
            let native = call.verb == "streamGenerateContent";
            let query = if native { client } else { gemini_like::query(client, call.stream) };
            (Method::POST, uri(account, &format!("models/{model}:{verb}"), query.as_deref())?)
        };
        Ok(Prepared { method, uri, headers, body: BodyPlan::AsIs, model_sent, to_sign: false })
    }

    fn probe(&self, account: &AccountView<'_>, model: &str, _now_ms: i64) -> Result<Prepared, PrepareError> {
        let mut headers = request::of_our_own();
        request::complete(&mut headers, account);
        authorise(&mut headers, account)?;
        let model_sent = crate::mapping::apply(account.model_mapping, model).into_owned();
        let path = format!("models/{}:generateContent", gemini_like::model_in_path(&model_sent)?);
        let body = BodyPlan::Replace(gemini_like::probe_body().to_string().into());
        let uri = uri(account, &path, None)?;
        Ok(Prepared { method: Method::POST, uri, headers, body, model_sent, to_sign: false })
    }

    fn response_headers(&self, account: &AccountView<'_>, headers: &HeaderMap) -> HeaderMap {
        headers::answer(account, headers)
    }

    fn seen(&self, status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen {
        seen::google_like(status, headers, body_head, now_ms)
    }
}
