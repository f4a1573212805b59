//! A proxy that speaks the node contract of the release before this one: what passes through it is decoded by the pinned
//! descriptors (`fixtures/contract/previous.bin`), stripped of all that the release before did not know, and encoded
//! again; methods that it did not have are not implemented. Either side sees the other as that release. To what passes it
//! also adds fields that nobody knows, as the release after this one may.

use std::{net::SocketAddr, pin::Pin, str::FromStr as _, sync::Arc};

use anyhow::{Context as _, Result};
use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost_reflect::{
    DescriptorPool, DynamicMessage, MapKey, MessageDescriptor, MethodDescriptor, ReflectMessage as _, Value,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::StreamingService,
    transport::{Channel, Endpoint},
};

/// The descriptors of the release before.
const PINNED: &[u8] = include_bytes!("../../fixtures/contract/previous.bin");
/// A number that no field has, and never will: a varint field of it is added to every message.
const UNKNOWN_FIELD: &[u8] = &[0xc0, 0xde, 0x1f, 0x2a];

/// A running proxy.
#[derive(Debug)]
pub struct Previous {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Previous {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The pinned contract.
pub fn pinned() -> Result<DescriptorPool> {
    DescriptorPool::decode(PINNED).context("the pinned descriptors")
}

impl Previous {
    /// Starts one in front of a replica's port for nodes.
    pub async fn start(replica: SocketAddr) -> Result<Self> {
        let pool = Arc::new(pinned()?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let channel = Endpoint::from_shared(format!("http://{replica}"))?.connect_lazy();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (pool, channel) = (pool.clone(), channel.clone());
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request: http::Request<_>| {
                        let (pool, channel) = (pool.clone(), channel.clone());
                        async move {
                            Ok::<_, std::convert::Infallible>(
                                answer(&pool, channel, request.map(Body::new)).await,
                            )
                        }
                    });
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { address, task })
    }
}

async fn answer(
    pool: &DescriptorPool,
    channel: Channel,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let path = request.uri().path().to_owned();
    let Some(method) = method(pool, &path) else {
        return Status::unimplemented("the release before has no such method").into_http();
    };
    let Ok(path) = PathAndQuery::from_str(&path) else {
        return Status::invalid_argument("no path").into_http();
    };
    tonic::server::Grpc::new(Raw).streaming(Carry { method, path, channel }, request).await
}

fn method(pool: &DescriptorPool, path: &str) -> Option<MethodDescriptor> {
    let (service, method) = path.trim_start_matches('/').split_once('/')?;
    pool.get_service_by_name(service)?.methods().find(|known| known.name() == method)
}

/// One call.
struct Carry {
    method: MethodDescriptor,
    path: PathAndQuery,
    channel: Channel,
}

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl StreamingService<Bytes> for Carry {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Messages>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let (method, path) = (self.method.clone(), self.path.clone());
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        Box::pin(async move {
            client.ready().await.map_err(|why| Status::unavailable(why.to_string()))?;
            let input = method.input();
            // What breaks off ends: gRPC has no errors upwards.
            let request =
                request.map(|said| said.map_while(Result::ok).map(move |bytes| past(&input, &bytes)));
            let answer = client.streaming(request, path, Raw).await?;
            let output = method.output();
            Ok(answer.map(|said| {
                Box::pin(said.map(move |bytes| bytes.map(|bytes| past(&output, &bytes)))) as Messages
            }))
        })
    }
}

/// A message as the release before would have written it, and one field more that nobody knows.
fn past(descriptor: &MessageDescriptor, bytes: &[u8]) -> Bytes {
    let Ok(message) = DynamicMessage::decode(descriptor.clone(), bytes) else {
        return Bytes::copy_from_slice(bytes);
    };
    let mut encoded = prost::Message::encode_to_vec(&stripped(&message));
    encoded.extend_from_slice(UNKNOWN_FIELD);
    encoded.into()
}

fn stripped(message: &DynamicMessage) -> DynamicMessage {
    let mut kept = DynamicMessage::new(message.descriptor());
    for (field, value) in message.fields() {
        kept.set_field(&field, value_of(value));
    }
    // A record lies in it encoded.
    if kept.descriptor().full_name() == "crs.node.v1.SpooledRecord"
        && let Some(record) = kept.descriptor().parent_pool().get_message_by_name("crs.types.v1.UsageRecord")
        && let Some(bytes) = kept.get_field_by_name("record").and_then(|value| value.as_bytes().cloned())
    {
        kept.set_field_by_name("record", Value::Bytes(past(&record, &bytes)));
    }
    kept
}

fn value_of(value: &Value) -> Value {
    match value {
        Value::Message(message) => Value::Message(stripped(message)),
        Value::List(list) => Value::List(list.iter().map(value_of).collect()),
        Value::Map(map) => {
            let entry = |(key, value): (&MapKey, &Value)| (key.clone(), value_of(value));
            Value::Map(map.iter().map(entry).collect())
        }
        other => other.clone(),
    }
}

/// Messages as they are on the wire.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
