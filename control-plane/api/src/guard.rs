//! Who may call what. One place, before every service and for every protocol: the rules are the `access` options of the
//! contract, and a method without one is refused to all.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use domain::Role;
use http::{Request, Response};
use prost_reflect::{MethodDescriptor, Value};
use tonic::{Code, Status, body::Body};
use tower::Service;

use crate::{auth::Authenticator, client::Client, contract, convert, rest::Door};

/// Services that describe or watch this one and hold nothing secret.
const OPEN: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Largest body of a call that needs no login, bytes.
pub(crate) const STRANGERS_BODY: usize = 64 << 10;

/// Who is calling. In the extensions of every request that a role was needed for.
#[derive(Clone, Debug)]
pub struct Caller {
    /// As the audit log names it: a login name or `token:<name>`.
    pub actor: String,
    /// Its standing.
    pub role: Role,
    /// User id, or id of a token for programs.
    pub id: String,
    /// Id of the user behind it; empty: none.
    pub user_id: String,
    /// Its session; `None`: a token for programs.
    pub session: Option<String>,
    /// Login name or name of the token.
    pub name: String,
    /// Address it calls from.
    pub address: String,
    /// The method it calls, such as `KeyService.CreateKey`.
    pub action: String,
}

impl Caller {
    /// The caller of a request.
    ///
    /// # Errors
    /// When the guard let the request through without one, which no method with a role does.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Status> {
        let missing = || convert::unauthenticated("NO_CREDENTIALS", "log in first");
        request.extensions().get::<Self>().cloned().ok_or_else(missing)
    }

    /// Refuses a standing below `least`.
    fn needs(&self, least: Role) -> Result<(), Status> {
        if self.role >= least {
            return Ok(());
        }
        let message = format!("this needs the role `{least}`; yours is `{}`", self.role);
        Err(convert::refusal(Code::PermissionDenied, "ROLE_TOO_LOW", &message))
    }

    /// The author of what this caller changes.
    pub fn author(&self) -> store::Author {
        store::Author {
            actor: self.actor.clone(),
            address: self.address.clone(),
            action: self.action.clone(),
        }
    }
}

/// The rule of one method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anyone, without login.
    Public,
    /// This role or one above it.
    Role(Role),
    /// Nobody on this port.
    Nobody,
}

/// The rules of all methods, by path.
#[derive(Debug)]
pub struct Rules(HashMap<String, Rule>);

impl Rules {
    /// Reads the options of the contract.
    pub fn of_contract() -> Self {
        let methods = contract::pool().services().flat_map(|service| service.methods().collect::<Vec<_>>());
        Self(methods.map(|method| (contract::path(&method), rule(&method))).collect())
    }

    /// The rule of a path; `None`: no method of the contract.
    pub fn of(&self, path: &str) -> Option<Rule> {
        self.0.get(path).copied()
    }

    /// Full names of the methods that a role may call, sorted.
    pub fn callable(&self, role: Role) -> Vec<String> {
        let may =
            |rule: &Rule| matches!(rule, Rule::Public) || matches!(rule, Rule::Role(least) if *least <= role);
        let mut names: Vec<String> = self
            .0
            .iter()
            .filter(|(_, rule)| may(rule))
            .map(|(path, _)| path.trim_start_matches('/').replace('/', "."))
            .collect();
        names.sort();
        names
    }
}

/// What the contract says of a method; anything unclear is nobody's.
pub fn rule(method: &MethodDescriptor) -> Rule {
    let Some(access) = contract::extension(method.parent_pool(), "crs.types.v1.access") else {
        return Rule::Nobody;
    };
    let options = method.options();
    if !options.has_extension(&access) {
        return Rule::Nobody;
    }
    let access = options.get_extension(&access);
    let Some(access) = access.as_message() else { return Rule::Nobody };
    let value = |name: &str| access.has_field_by_name(name).then(|| access.get_field_by_name(name)).flatten();
    if value("public").is_some_and(|public| public.as_bool() == Some(true)) {
        return Rule::Public;
    }
    let role = value("role").and_then(|role| match *role {
        Value::EnumNumber(number) => Role::from_contract(number),
        _ => None,
    });
    role.map_or(Rule::Nobody, Rule::Role)
}

/// The guard before a service.
#[derive(Clone)]
pub struct Guard<S> {
    inner: S,
    rules: Arc<Rules>,
    authenticator: Arc<Authenticator>,
}

impl<S> Guard<S> {
    /// Before a service.
    pub fn new(inner: S, rules: Arc<Rules>, authenticator: Arc<Authenticator>) -> Self {
        Self { inner, rules, authenticator }
    }
}

impl<S: Send + Sync> Door for Guard<S> {
    /// Judged again when the call is made: this only keeps strangers from sending more than a login needs.
    async fn knock(&self, path: &str, parts: &http::request::Parts) -> Result<usize, Status> {
        let Some(Rule::Role(least)) = self.rules.of(path) else { return Ok(STRANGERS_BODY) };
        let client = parts.extensions.get::<Client>().cloned();
        let client = client.unwrap_or_else(|| Client::of(None, &parts.headers, &[]));
        let caller = self.authenticator.identify(&parts.headers, &client).await?;
        caller.needs(least).map(|()| usize::MAX)
    }
}

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The one that was polled ready is the one to call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let (rules, authenticator) = (Arc::clone(&self.rules), Arc::clone(&self.authenticator));
        Box::pin(async move {
            match admit(&rules, &authenticator, &mut request).await {
                Ok(()) => inner.call(request).await,
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

async fn admit(
    rules: &Rules,
    authenticator: &Authenticator,
    request: &mut Request<Body>,
) -> Result<(), Status> {
    let path = request.uri().path().to_owned();
    let Some(rule) = rules.of(&path) else {
        let service = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let open = OPEN.contains(&service);
        return if open { Ok(()) } else { Err(Status::new(Code::Unimplemented, "there is no such method")) };
    };
    let client = request.extensions().get::<Client>().cloned();
    let client = client.unwrap_or_else(|| Client::of(None, request.headers(), &[]));
    // Nothing that a caller sent may pass for what is decided here.
    request.extensions_mut().remove::<Caller>();
    let least = match rule {
        Rule::Nobody => {
            return Err(convert::refusal(Code::PermissionDenied, "FORBIDDEN", "not on this port"));
        }
        Rule::Public => {
            authenticator.allow_stranger(&client)?;
            return Ok(());
        }
        Rule::Role(least) => least,
    };
    let mut caller = authenticator.identify(request.headers(), &client).await?;
    caller.needs(least)?;
    caller.action = action(&path);
    request.extensions_mut().insert(caller);
    Ok(())
}

/// `/crs.admin.v1.KeyService/CreateKey` as `KeyService.CreateKey`.
fn action(path: &str) -> String {
    let (service, method) = path.trim_start_matches('/').rsplit_once('/').unwrap_or_default();
    let service = service.rsplit('.').next().unwrap_or_default();
    format!("{service}.{method}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_this_port_has_a_rule_and_node_methods_are_nobodys() {
        let rules = Rules::of_contract();
        for method in contract::methods() {
            assert_ne!(rules.of(&contract::path(&method)), Some(Rule::Nobody), "{}", method.full_name());
        }
        assert_eq!(rules.of("/crs.node.v1.ConfigService/Watch"), Some(Rule::Nobody));
        assert_eq!(rules.of("/crs.admin.v1.KeyService/Nothing"), None);
        assert_eq!(rules.of("/crs.admin.v1.AuthService/AdminLogin"), Some(Rule::Public));
        assert_eq!(rules.of("/crs.admin.v1.KeyService/CreateKey"), Some(Rule::Role(Role::Admin)));
    }

    #[test]
    fn an_action_is_named_by_service_and_method() {
        assert_eq!(action("/crs.admin.v1.KeyService/CreateKey"), "KeyService.CreateKey");
    }
}
