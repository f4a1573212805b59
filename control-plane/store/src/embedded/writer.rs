//! The one thread that writes: it takes all operations that wait, runs them in one transaction, makes that durable, and
//! only then answers them. So the price of durability is paid once for many.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use redb::WriteTransaction;
use tokio::sync::oneshot;

use super::file::File;
use crate::error::{Error, Result};

/// Operations in one transaction, at most.
const GROUP: usize = 256;

/// What an operation left behind.
pub(super) struct Ran<T> {
    /// Whether it wrote anything.
    pub(super) wrote: bool,
    /// Its answer.
    pub(super) answer: T,
}

impl<T> Ran<T> {
    /// It wrote.
    pub(super) fn wrote(answer: T) -> Self {
        Self { wrote: true, answer }
    }

    /// It only looked.
    pub(super) fn looked(answer: T) -> Self {
        Self { wrote: false, answer }
    }
}

/// The writer's thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(file: Arc<File>) -> Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(&file, &jobs))
            .map_err(Error::unavailable)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Hands an operation over. It may run more than once, each time in a transaction of its own of which the last
    /// one counts, and must not write once it has decided to answer with an error.
    pub(super) fn submit<T, F>(&self, operation: F) -> oneshot::Receiver<Result<T>>
    where
        T: Send + 'static,
        F: FnMut(&WriteTransaction) -> Result<Ran<T>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job = Operation { operation, ran: None, sender: Some(sender) };
        if let Some(queue) = &self.queue {
            // A closed queue drops the job, and with it the sender: the receiver learns of it.
            let _ = queue.send(Box::new(job));
        }
        receiver
    }

    /// Takes no more, and gives the thread to wait for.
    pub(super) fn stop(&mut self) -> Option<JoinHandle<()>> {
        self.queue = None;
        self.thread.take()
    }
}

/// An operation, its answer's type forgotten.
trait Job: Send {
    /// Runs it; whether it wrote.
    fn run(&mut self, transaction: &WriteTransaction) -> Result<bool>;
    /// Answers it.
    fn finish(self: Box<Self>, outcome: Result<()>);
}

struct Operation<T, F> {
    operation: F,
    ran: Option<T>,
    sender: Option<oneshot::Sender<Result<T>>>,
}

impl<T, F> Job for Operation<T, F>
where
    T: Send,
    F: FnMut(&WriteTransaction) -> Result<Ran<T>> + Send,
{
    fn run(&mut self, transaction: &WriteTransaction) -> Result<bool> {
        let caught = catch_unwind(AssertUnwindSafe(|| (self.operation)(transaction)));
        let ran = caught.map_err(|_| Error::Invalid { why: "a store operation panicked".into() })??;
        self.ran = Some(ran.answer);
        Ok(ran.wrote)
    }

    fn finish(mut self: Box<Self>, outcome: Result<()>) {
        let answer =
            outcome.and_then(|()| self.ran.take().ok_or_else(|| Error::unavailable("it did not run")));
        if let Some(sender) = self.sender.take() {
            // Nobody waits any more: the caller gave up.
            let _ = sender.send(answer);
        }
    }
}

fn run(file: &File, jobs: &mpsc::Receiver<Box<dyn Job>>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
        match together(file, &mut group) {
            Ok(()) => group.into_iter().for_each(|job| job.finish(Ok(()))),
            // One of them failed and took the transaction along: each by itself, so that only that one fails.
            Err(_) => {
                for mut job in group {
                    let outcome = together(file, std::slice::from_mut(&mut job));
                    if let Err(why @ Error::Unavailable { .. }) = &outcome {
                        tracing::error!(%why, "a write to the embedded store failed");
                        file.reopen();
                    }
                    job.finish(outcome);
                }
            }
        }
    }
    file.close();
}

/// Runs operations in one transaction and makes it durable. On an error nothing of them was written.
fn together(file: &File, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    let database = file.database()?;
    let transaction = database.begin_write().map_err(Error::unavailable)?;
    let mut wrote = false;
    for job in jobs {
        match job.run(&transaction) {
            Ok(more) => wrote |= more,
            Err(why) => {
                transaction.abort().map_err(Error::unavailable)?;
                return Err(why);
            }
        }
    }
    if wrote {
        transaction.commit().map_err(Error::unavailable)
    } else {
        transaction.abort().map_err(Error::unavailable)
    }
}
