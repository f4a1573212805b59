//! One way to speak to one server, to the master behind Sentinels, and to a cluster: made anew when it breaks, never
//! retried behind the caller's back.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, Pipeline, RedisError, RedisResult, TlsMode, Value,
    aio::{ConnectionLike as _, MultiplexedConnection, PubSub},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo},
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::sync::Mutex;

use super::url::Target;
use crate::error::{Error, Result};

/// How long a connection may take to be made. Longer means that callers wait in vain during an outage.
const CONNECT: Duration = Duration::from_millis(300);

/// Commands under way at once on a cluster, of one call.
const AT_ONCE: usize = 128;

/// Makes connections.
pub(super) enum Dialer {
    Single(Box<Client>),
    Sentinel(Box<Mutex<SentinelClient>>),
    Cluster {
        client: Box<ClusterClient>,
        /// Each node by itself: any of them hands out what is published.
        nodes: Vec<Client>,
    },
}

/// A connection; clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Dialer {
    /// A dialer for a target. `patience` bounds every answer, beyond the deadlines of the calls.
    pub(super) fn new(target: &Target, patience: Duration) -> Result<Self> {
        match target {
            Target::Single(url) => {
                Client::open(url.as_str()).map(Box::new).map(Self::Single).map_err(|why| refused(&why))
            }
            Target::Cluster(urls) => {
                let builder = ClusterClientBuilder::new(urls.iter().map(String::as_str));
                let client = builder.retries(1).connection_timeout(CONNECT).response_timeout(patience);
                let client = client.overall_response_timeout(Some(patience)).build();
                let nodes: RedisResult<_> = urls.iter().map(|url| Client::open(url.as_str())).collect();
                Ok(Self::Cluster {
                    client: Box::new(client.map_err(|why| refused(&why))?),
                    nodes: nodes.map_err(|why| refused(&why))?,
                })
            }
            Target::Sentinel { sentinels, service, login } => {
                let addresses = sentinels.iter().map(|(host, port)| address(host, *port, login.tls));
                let mut builder = SentinelClientBuilder::new(addresses, service, SentinelServerType::Master)
                    .map_err(|why| refused(&why))?
                    .set_client_to_redis_db(login.database);
                if login.tls {
                    builder = builder
                        .set_client_to_redis_tls_mode(TlsMode::Secure)
                        .set_client_to_sentinel_tls_mode(TlsMode::Secure);
                }
                if let Some(user) = &login.user {
                    builder = builder.set_client_to_redis_username(user);
                }
                if let Some(password) = &login.password {
                    builder = builder.set_client_to_redis_password(password);
                }
                let client = builder.build().map_err(|why| refused(&why))?;
                Ok(Self::Sentinel(Box::new(Mutex::new(client))))
            }
        }
    }

    /// Whether it reaches a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }

    /// A new connection.
    pub(super) async fn connect(&self, patience: Duration) -> RedisResult<Connection> {
        match self {
            Self::Cluster { client, .. } => client.get_async_connection().await.map(Connection::Cluster),
            server => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT))
                    .set_response_timeout(Some(patience));
                let client = server.server().await?;
                client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::Server)
            }
        }
    }

    /// A connection that is told what is published; `turn` picks among a cluster's nodes.
    pub(super) async fn subscribe(&self, turn: usize) -> RedisResult<PubSub> {
        match self {
            Self::Cluster { nodes, .. } => nodes[turn % nodes.len()].get_async_pubsub().await,
            server => server.server().await?.get_async_pubsub().await,
        }
    }

    async fn server(&self) -> RedisResult<Client> {
        match self {
            Self::Single(client) => Ok(Client::clone(client)),
            Self::Sentinel(client) => client.lock().await.async_get_client().await,
            Self::Cluster { nodes, .. } => Ok(nodes[0].clone()),
        }
    }
}

impl Connection {
    /// Sends a command where its keys lie.
    pub(super) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        }
    }

    /// Sends commands at once; the answers come in their order.
    pub(super) async fn send_all(&mut self, commands: &[Cmd]) -> RedisResult<Vec<Value>> {
        match self {
            Self::Server(connection) => {
                let mut pipeline = Pipeline::with_capacity(commands.len());
                commands.iter().for_each(|command| {
                    pipeline.add_command(command.clone());
                });
                connection.req_packed_commands(&pipeline, 0, commands.len()).await
            }
            // A cluster's pipeline ends at the slot's border: each command finds its own way.
            Self::Cluster(connection) => {
                let sent: Vec<_> = commands.iter().map(|command| alone(connection, command)).collect();
                stream::iter(sent).buffered(AT_ONCE).try_collect().await
            }
        }
    }

    /// Sends a command to every master.
    pub(super) async fn send_to_masters(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => {
                let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                connection.route_command(command.clone(), masters).await
            }
        }
    }
}

/// One command of several, owning all that it needs.
fn alone(connection: &ClusterConnection, command: &Cmd) -> BoxFuture<'static, RedisResult<Value>> {
    let (mut connection, command) = (connection.clone(), command.clone());
    Box::pin(async move { connection.req_packed_command(&command).await })
}

fn address(host: &str, port: u16, tls: bool) -> ConnectionAddr {
    match tls {
        false => ConnectionAddr::Tcp(host.to_owned(), port),
        true => ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None },
    }
}

/// The library's words about a URL tell no credentials: it names the kind of fault only.
fn refused(why: &RedisError) -> Error {
    Error::Unfit { why: format!("the store's URL is refused: {}", why.category()) }
}
