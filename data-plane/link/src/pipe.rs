//! One bidirectional stream while it lives.

use std::future::Future;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

/// Messages that may wait to be sent before a sender has to.
const QUEUE: usize = 16;

/// A stream that is open both ways.
#[derive(Debug)]
pub struct Live<Up, Down> {
    up: mpsc::Sender<Up>,
    down: Streaming<Down>,
}

impl<Up, Down> Live<Up, Down> {
    /// Opens a stream, with a first message that goes out with the call itself. Errors as the server's, or that there
    /// is none.
    pub async fn open<C, F>(first: Up, call: C) -> Result<Self, Status>
    where
        C: FnOnce(ReceiverStream<Up>) -> F,
        F: Future<Output = Result<Response<Streaming<Down>>, Status>>,
    {
        let (up, receiver) = mpsc::channel(QUEUE);
        up.try_send(first).map_err(|_| Status::internal("a new queue is full"))?;
        let down = call(ReceiverStream::new(receiver)).await?.into_inner();
        Ok(Self { up, down })
    }

    /// Sends a message; waits while the queue is full. Error: the stream has ended.
    pub async fn send(&self, message: Up) -> Result<(), Status> {
        self.up.send(message).await.map_err(|_| Status::unavailable("the stream has ended"))
    }

    /// A handle that sends from elsewhere.
    pub fn sender(&self) -> mpsc::Sender<Up> {
        self.up.clone()
    }

    /// The next message. Error: the stream broke or ended. Safe to drop and call again.
    pub async fn receive(&mut self) -> Result<Down, Status> {
        match self.down.message().await? {
            Some(message) => Ok(message),
            None => Err(Status::unavailable("the stream has ended")),
        }
    }
}
