//! Calls to Redis: each with a deadline, behind one breaker, over one shared connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::{
    breaker::Breaker,
    connection::{Connection, Dialer},
    scripts::Lua,
    url::Target,
};
use crate::{
    error::{Error, Result},
    store::RedisOptions,
};

/// How often a call that was never sent, or a read, is tried again on a new connection.
const RETRIES: usize = 1;

/// The link to a Redis store.
pub(super) struct Link {
    pub(super) dialer: Dialer,
    pub(super) hot: Duration,
    pub(super) cold: Duration,
    breaker: Mutex<Breaker>,
    connection: Mutex<Option<(u64, Connection)>>,
    closed: AtomicBool,
    /// Held while a connection is made, so that it is made once.
    dialing: tokio::sync::Mutex<u64>,
}

/// What a call sends.
enum Request<'r> {
    One(&'r Cmd),
    All(&'r [Cmd]),
    Masters(&'r Cmd),
}

impl Link {
    /// A link that connects when it is first used.
    pub(super) fn new(target: &Target, options: &RedisOptions) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            dialer: Dialer::new(target, options.cold)?,
            hot: options.hot,
            cold: options.cold,
            breaker: Mutex::default(),
            connection: Mutex::default(),
            closed: AtomicBool::new(false),
            dialing: tokio::sync::Mutex::new(0),
        }))
    }

    /// Reads: tried again where the connection broke.
    pub(super) async fn read(&self, deadline: Duration, command: &Cmd) -> Result<Value> {
        one(self.guarded(deadline, Request::One(command), RETRIES).await)
    }

    /// Reads many at once.
    pub(super) async fn read_all(&self, commands: &[Cmd]) -> Result<Vec<Value>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.guarded(self.cold, Request::All(commands), RETRIES).await?)
    }

    /// Writes: sent once.
    pub(super) async fn write(&self, deadline: Duration, command: &Cmd) -> Result<Value> {
        one(self.guarded(deadline, Request::One(command), 0).await)
    }

    /// Asks every master, past the breaker: this is how it learns that the store is back.
    pub(super) async fn probe(&self, command: &Cmd) -> Result<Value> {
        let answered = self.timed(self.cold, Request::Masters(command), RETRIES).await;
        one(self.judged(answered))
    }

    /// Runs a script by its digest; where the server does not know it yet, by its text.
    pub(super) async fn script(
        &self,
        deadline: Duration,
        script: &Lua,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> Result<Value> {
        let known = call("EVALSHA", &script.digest, keys, arguments);
        match self.guarded(deadline, Request::One(&known), 0).await {
            Err(Refused::NoScript) => {
                let text = call("EVAL", &script.text, keys, arguments);
                one(self.guarded(deadline, Request::One(&text), 0).await)
            }
            answered => one(answered),
        }
    }

    async fn guarded(
        &self,
        deadline: Duration,
        request: Request<'_>,
        retries: usize,
    ) -> Result<Vec<Value>, Refused> {
        if !self.breaker.lock().admits(Instant::now()) {
            return Err(Refused::Because(Error::unavailable(
                "the last calls failed, the next is made in a moment",
            )));
        }
        let answered = self.timed(deadline, request, retries).await;
        self.judged(answered)
    }

    /// Tells the breaker.
    fn judged(&self, answered: Result<Vec<Value>, Fault>) -> Result<Vec<Value>, Refused> {
        match answered {
            Ok(values) => {
                self.answers();
                Ok(values)
            }
            Err(Fault::Answered(why)) => {
                self.answers();
                Err(refusal(&why))
            }
            Err(Fault::Silent(why)) => {
                if self.breaker.lock().failed(Instant::now()) {
                    tracing::warn!(why, "redis does not answer: calls are refused for a moment");
                }
                Err(Refused::Because(Error::unavailable(why)))
            }
        }
    }

    fn answers(&self) {
        if self.breaker.lock().succeeded() {
            tracing::info!("redis answers again");
        }
    }

    async fn timed(
        &self,
        deadline: Duration,
        request: Request<'_>,
        retries: usize,
    ) -> Result<Vec<Value>, Fault> {
        // Boxed: the library's futures are large, and so would be every future that holds a call.
        let work = Box::pin(async {
            let mut left = retries;
            loop {
                match self.send(&request).await {
                    Err(Fault::Silent(_)) if left > 0 => left -= 1,
                    answered => return answered,
                }
            }
        });
        let answered = tokio::time::timeout(deadline, work).await;
        answered.unwrap_or_else(|_| {
            // A connection that is silent for long is dropped by the next probe, not by one slow call.
            Err(Fault::Silent(format!("redis did not answer within {} ms", deadline.as_millis())))
        })
    }

    async fn send(&self, request: &Request<'_>) -> Result<Vec<Value>, Fault> {
        let (number, mut connection) = self.connection().await?;
        let answered = match request {
            Request::One(command) => connection.send(command).await.map(|value| vec![value]),
            Request::All(commands) => connection.send_all(commands).await,
            Request::Masters(command) => connection.send_to_masters(command).await.map(|value| vec![value]),
        };
        answered.and_then(errors_out).map_err(|why| {
            if is_dead(&why) {
                self.forget(number);
                Fault::Silent(format!("redis: {}", words(&why)))
            } else {
                Fault::Answered(why)
            }
        })
    }

    async fn connection(&self) -> Result<(u64, Connection), Fault> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Fault::Silent("the store is closed".into()));
        }
        let held = || self.connection.lock().clone();
        if let Some(connection) = held() {
            return Ok(connection);
        }
        let mut dialing = self.dialing.lock().await;
        if let Some(connection) = held() {
            return Ok(connection);
        }
        let made = self.dialer.connect(self.cold).await;
        let connection =
            made.map_err(|why| Fault::Silent(format!("redis cannot be reached: {}", words(&why))))?;
        *dialing += 1;
        *self.connection.lock() = Some((*dialing, connection.clone()));
        Ok((*dialing, connection))
    }

    /// Drops a connection that broke, unless it has been replaced.
    fn forget(&self, number: u64) {
        let mut held = self.connection.lock();
        if held.as_ref().is_some_and(|(of, _)| *of == number) {
            *held = None;
        }
    }

    /// Drops the connection, whatever it is: it was silent for too long.
    pub(super) fn hang_up(&self) {
        *self.connection.lock() = None;
    }

    /// Refuses all calls from now on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.hang_up();
    }
}

/// Why a call has no answer.
enum Fault {
    /// Redis did not answer, or is not able to.
    Silent(String),
    /// Redis answered with an error.
    Answered(RedisError),
}

/// What a caller of a script may do something about.
enum Refused {
    NoScript,
    Because(Error),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoScript => Self::unavailable("redis forgot a script"),
            Refused::Because(why) => why,
        }
    }
}

fn one(answered: Result<Vec<Value>, Refused>) -> Result<Value> {
    Ok(answered?.pop().unwrap_or(Value::Nil))
}

fn refusal(why: &RedisError) -> Refused {
    match why.kind() {
        ErrorKind::Server(ServerErrorKind::NoScript) => Refused::NoScript,
        _ => Refused::Because(Error::unavailable(format!("redis: {}", words(why)))),
    }
}

/// Whether the connection, or the server behind it, is of no use any more.
fn is_dead(why: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly};
    why.is_io_error()
        || why.is_unrecoverable_error()
        || matches!(
            why.kind(),
            ErrorKind::ClusterConnectionNotFound
                | ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | ReadOnly)
        )
}

/// An error's words, of which none are ours: no argument of a command is repeated.
fn words(why: &RedisError) -> String {
    match why.code() {
        Some(code) => format!("{code} {}", why.detail().unwrap_or_default()),
        None => {
            format!("{}: {}", why.category(), why.detail().map_or_else(|| why.to_string(), str::to_owned))
        }
    }
}

/// An error among several answers is an error.
fn errors_out(values: Vec<Value>) -> RedisResult<Vec<Value>> {
    values.into_iter().map(Value::extract_error).collect()
}

fn call(verb: &str, script: &str, keys: &[String], arguments: &[Vec<u8>]) -> Cmd {
    let mut command = redis::cmd(verb);
    command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    command
}
