//! Ends of streams. A stream to a node ends when its token ends or this process stops, so that neither a revoked node
//! nor a drain waits for it.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// What a streaming method answers with.
pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Messages until the cut, then the reason.
pub(crate) fn until_cut<T: Send + 'static>(
    messages: impl Stream<Item = Result<T, Status>> + Send + 'static,
    cut: CancellationToken,
) -> Answers<T> {
    let ended = cut.clone();
    let last = stream::once(async move {
        ended.is_cancelled().then(|| Err(Status::unavailable("this stream has ended: open another")))
    });
    let messages = messages.take_until(async move { cut.cancelled().await });
    Box::pin(messages.chain(last.filter_map(|end| async move { end })))
}

/// Messages that a task sends.
pub(crate) fn from_task<T: Send + 'static>(
    messages: mpsc::Receiver<Result<T, Status>>,
    cut: CancellationToken,
) -> Answers<T> {
    until_cut(ReceiverStream::new(messages), cut)
}
