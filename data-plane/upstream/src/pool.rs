//! Kept connections of one worker, by route. Newest first, since the oldest is the likeliest to be dead.
//!
//! Shared by the exchange and the answers under way, which may end on another thread: hence a lock, free but for
//! that case and never held over a wait.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::target::Route;

/// By route: since when, and what.
type Idle<C> = FxHashMap<Arc<Route>, Vec<(Instant, C)>>;

/// Kept connections of kind `C`.
pub(crate) struct Pool<C> {
    idle: Mutex<Idle<C>>,
    max_idle: usize,
    idle_timeout: Duration,
}

impl<C> Pool<C> {
    pub(crate) fn new(max_idle: usize, idle_timeout: Duration) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::new(FxHashMap::default()), max_idle, idle_timeout })
    }

    /// The newest kept connection, unless it has been idle for too long (then all the others have, too).
    pub(crate) fn take(&self, route: &Route, now: Instant) -> Option<C> {
        let mut idle = self.idle.lock();
        let kept = idle.get_mut(route)?;
        let (since, connection) = kept.pop()?;
        if now.saturating_duration_since(since) < self.idle_timeout {
            return Some(connection);
        }
        let dead = idle.remove(route);
        drop(idle);
        // Closing sockets is not for under the lock.
        drop((connection, dead));
        None
    }

    /// Keeps a connection; over the cap it is closed.
    pub(crate) fn put(&self, route: &Arc<Route>, connection: C, now: Instant) {
        let mut idle = self.idle.lock();
        let kept = idle.entry(Arc::clone(route)).or_default();
        if kept.len() < self.max_idle {
            kept.push((now, connection));
        }
    }

    /// Closes what has been idle for too long; how many remain.
    pub(crate) fn sweep(&self, now: Instant) -> usize {
        let mut dead = Vec::new();
        let mut left = 0;
        let mut idle = self.idle.lock();
        idle.retain(|_, kept| {
            let alive =
                kept.partition_point(|(since, _)| now.saturating_duration_since(*since) >= self.idle_timeout);
            dead.extend(kept.drain(..alive));
            left += kept.len();
            !kept.is_empty()
        });
        drop(idle);
        drop(dead);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;

    fn route(url: &str) -> Arc<Route> {
        Arc::new(Route { target: Target::of(&url.parse().unwrap()).unwrap(), proxy: None })
    }

    #[test]
    fn newest_first_up_to_the_cap_and_never_too_old() {
        let pool = Pool::new(2, Duration::from_secs(10));
        let (a, b, start) = (route("http://a/"), route("http://b/"), Instant::now());
        for n in 1..=3 {
            pool.put(&a, n, start + Duration::from_secs(n));
        }
        assert_eq!(pool.take(&b, start), None);
        assert_eq!(pool.take(&a, start + Duration::from_secs(5)), Some(2));
        assert_eq!(pool.take(&a, start + Duration::from_secs(12)), None);
        pool.put(&a, 7, start);
        pool.put(&a, 8, start + Duration::from_secs(9));
        assert_eq!(pool.sweep(start + Duration::from_secs(11)), 1);
        assert_eq!(pool.take(&a, start + Duration::from_secs(11)), Some(8));
    }
}
