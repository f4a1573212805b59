//! The connection, and one accessor for each service.

use http::uri::Scheme;
use proto::admin::{
    account_service_client::AccountServiceClient, audit_service_client::AuditServiceClient,
    auth_service_client::AuthServiceClient, binding_service_client::BindingServiceClient,
    group_service_client::GroupServiceClient, key_service_client::KeyServiceClient,
    node_admin_service_client::NodeAdminServiceClient, platform_service_client::PlatformServiceClient,
    request_service_client::RequestServiceClient, settings_service_client::SettingsServiceClient,
    stats_service_client::StatsServiceClient,
};
use std::time::Duration;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, ClientTlsConfig, Endpoint, Uri},
};

use crate::{Error, Session};

/// What the service clients run on.
pub type Service = InterceptedService<Channel, Bearer>;

/// A client of one deployment. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    service: Service,
}

/// Adds the caller's token to each call.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(..)")
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $client:ident,)*) => {
        impl Client {
            $($(#[$doc])*
            pub fn $name(&self) -> $client<Service> {
                $client::new(self.service.clone())
            })*
        }
    };
}

services! {
    /// Login, sessions, tokens for programs.
    auth: AuthServiceClient,
    /// Relay keys.
    keys: KeyServiceClient,
    /// Upstream accounts.
    accounts: AccountServiceClient,
    /// Session bindings.
    bindings: BindingServiceClient,
    /// Groups of accounts.
    groups: GroupServiceClient,
    /// Kinds of upstream accounts.
    platforms: PlatformServiceClient,
    /// Usage and cost.
    stats: StatsServiceClient,
    /// Records of relayed requests.
    requests: RequestServiceClient,
    /// Nodes and join tokens.
    nodes: NodeAdminServiceClient,
    /// Who changed what.
    audit: AuditServiceClient,
    /// The deployment's settings.
    settings: SettingsServiceClient,
}

impl Client {
    /// A client without a token: it can only log in. It connects at the first call. Errors: [`Error::Address`].
    pub fn anonymous(address: &str) -> Result<Self, Error> {
        Ok(Self { service: InterceptedService::new(channel(address)?, Bearer(None)) })
    }

    /// A client with an access token or an automation token. Errors: [`Error::Address`], [`Error::Token`].
    pub fn with_token(address: &str, token: &str) -> Result<Self, Error> {
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| Error::Token)?;
        value.set_sensitive(true);
        Ok(Self { service: InterceptedService::new(channel(address)?, Bearer(Some(value))) })
    }

    /// Logs in by name and password. Keep the session to [`Client::resume`] it. Errors as the API's.
    pub async fn login(address: &str, username: &str, password: &str) -> Result<(Self, Session), Error> {
        let request =
            proto::admin::AdminLoginRequest { username: username.into(), password: password.into() };
        let answer = Self::anonymous(address)?.auth().admin_login(request).await?.into_inner();
        Ok((Self::with_token(address, &answer.access_token)?, Session::begun(answer)))
    }

    /// Goes on with a session; one whose access token has ended is refreshed first, and the caller keeps the session
    /// that comes back (its refresh token is good once). Errors as the API's.
    pub async fn resume(address: &str, session: Session, now_unix_s: i64) -> Result<(Self, Session), Error> {
        if session.is_fresh(now_unix_s) {
            return Ok((Self::with_token(address, &session.access_token)?, session));
        }
        let request = proto::admin::RefreshRequest { refresh_token: session.refresh_token };
        let answer = Self::anonymous(address)?.auth().refresh(request).await?.into_inner();
        Ok((Self::with_token(address, &answer.access_token)?, Session::begun(answer)))
    }
}

fn channel(address: &str) -> Result<Channel, Error> {
    let wrong = || Error::Address(address.to_owned());
    let full = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let uri: Uri = full.trim_end_matches('/').parse().map_err(|_| wrong())?;
    let secure = uri.scheme() == Some(&Scheme::HTTPS);
    if uri.host().is_none() || !(secure || uri.scheme() == Some(&Scheme::HTTP)) {
        return Err(wrong());
    }
    let mut endpoint = Endpoint::from(uri)
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    if secure {
        endpoint = endpoint.tls_config(ClientTlsConfig::new().with_enabled_roots()).map_err(|_| wrong())?;
    }
    Ok(endpoint.connect_lazy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_that_are_none_are_refused() {
        assert!(Client::anonymous("localhost:4000").is_ok());
        assert!(Client::anonymous("http://localhost:4000/").is_ok());
        for wrong in ["", "ftp://x", "http://", "not a host"] {
            assert!(matches!(Client::anonymous(wrong), Err(Error::Address(_))), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_never_printed() {
        assert_eq!(format!("{:?}", Bearer(None)), "Bearer(..)");
    }
}
