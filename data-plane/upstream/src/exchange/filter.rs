//! A waker that swallows what is raised during our own poll.
//!
//! hyper's connection and its body wake each other at every piece. Where both are polled by one task, each such wake
//! would schedule that task once more for nothing: a second poll for every delta of a paced stream. So the poll runs
//! until neither has woken the other, and only a wake from outside reaches the task.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU8,
            Ordering::{AcqRel, Acquire, Release},
        },
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// Nobody polls and nothing has happened since the last poll.
const QUIET: u8 = 0;
/// Nobody polls; a wake was passed on since the last poll.
const WOKEN: u8 = 1;
/// Someone polls.
const POLLING: u8 = 2;
/// Someone polls, and something was raised meanwhile: poll again before leaving.
const AGAIN: u8 = 3;

/// Rounds of one poll before the task yields; what is left is told to the task as a wake.
const ROUNDS: usize = 64;

/// What one step of a poll came to.
pub(super) enum Step<T> {
    /// It got on: step once more.
    Again,
    /// Nothing more until something is raised.
    Rest,
    /// It is done.
    Done(T),
}

struct Filter {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Wake for Filter {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let noted = |state| match state {
            QUIET => Some(WOKEN),
            POLLING => Some(AGAIN),
            _ => None,
        };
        if self.state.fetch_update(AcqRel, Acquire, noted) == Ok(QUIET) {
            self.task.wake();
        }
    }
}

/// The filter with its own waker made once.
pub(super) struct Quiet {
    filter: Arc<Filter>,
    waker: Waker,
}

impl Quiet {
    pub(super) fn new() -> Self {
        let filter = Arc::new(Filter { state: AtomicU8::new(WOKEN), task: AtomicWaker::new() });
        Self { waker: Waker::from(Arc::clone(&filter)), filter }
    }

    /// Runs `step` until it is done, or rests with nothing raised by itself; then `at_rest` says what there is to give.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut step: impl FnMut(&mut Context<'_>) -> Step<T>,
        at_rest: impl FnOnce() -> Poll<T>,
    ) -> Poll<T> {
        // First the waker, then the look: a wake between the two finds the new waker.
        self.filter.task.register(cx.waker());
        if self.filter.state.swap(POLLING, AcqRel) == QUIET {
            return self.leave();
        }
        for _ in 0..ROUNDS {
            // What was raised until now is looked at by the step that follows.
            self.filter.state.store(POLLING, Release);
            match step(&mut Context::from_waker(&self.waker)) {
                Step::Again => {}
                Step::Done(value) => {
                    // Whatever is left is looked at by the next poll.
                    self.filter.state.store(WOKEN, Release);
                    return Poll::Ready(value);
                }
                Step::Rest => {
                    if self.filter.state.compare_exchange(POLLING, QUIET, AcqRel, Acquire).is_ok() {
                        return at_rest();
                    }
                }
            }
        }
        self.filter.state.store(WOKEN, Release);
        cx.waker().wake_by_ref();
        at_rest()
    }

    /// Ends a poll that did nothing, unless something was raised meanwhile.
    fn leave<T>(&self) -> Poll<T> {
        if self.filter.state.compare_exchange(POLLING, QUIET, AcqRel, Acquire).is_err() {
            self.filter.state.store(WOKEN, Release);
            self.filter.task.wake();
        }
        Poll::Pending
    }

    /// One look from outside any task: what is raised later is noted and wakes nobody.
    pub(super) fn glance<T>(&self, step: impl FnOnce(&mut Context<'_>) -> T) -> T {
        self.filter.task.take();
        self.filter.state.store(POLLING, Release);
        let value = step(&mut Context::from_waker(&self.waker));
        self.filter.state.store(WOKEN, Release);
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn nothing() -> Poll<()> {
        Poll::Pending
    }

    #[test]
    fn own_wakes_poll_again_and_outside_wakes_reach_the_task_once() {
        let (count, quiet) = (Arc::new(Count::default()), Quiet::new());
        let task = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&task);
        let (mut polls, mut outside) = (0, None);
        let step = |inner: &mut Context<'_>| {
            polls += 1;
            outside = Some(inner.waker().clone());
            if polls < 3 {
                inner.waker().wake_by_ref();
            }
            Step::Rest
        };
        assert!(quiet.poll(&mut cx, step, nothing).is_pending());
        assert_eq!((polls, count.0.load(SeqCst)), (3, 0));
        // Nothing happened: a poll looks at nothing.
        assert!(quiet.poll(&mut cx, |_| Step::Done(()), nothing).is_pending());
        let outside = outside.unwrap();
        outside.wake_by_ref();
        outside.wake_by_ref();
        assert_eq!(count.0.load(SeqCst), 1);
        assert!(quiet.poll(&mut cx, |_| Step::Done(()), nothing).is_ready());
        // Once done, the next poll looks again, though nobody woke it.
        assert!(quiet.poll(&mut cx, |_| Step::Rest, || Poll::Ready(())).is_ready());
        // Once at rest, it does not, even if there was something to give.
        assert!(quiet.poll(&mut cx, |_| Step::Done(()), nothing).is_pending());
    }

    #[test]
    fn a_step_that_never_rests_yields_to_other_tasks() {
        let (count, quiet) = (Arc::new(Count::default()), Quiet::new());
        let task = Waker::from(Arc::clone(&count));
        let step = |inner: &mut Context<'_>| {
            inner.waker().wake_by_ref();
            Step::<()>::Rest
        };
        assert!(quiet.poll(&mut Context::from_waker(&task), step, nothing).is_pending());
        assert_eq!(count.0.load(SeqCst), 1);
    }

    #[test]
    fn a_wake_from_another_thread_is_never_lost() {
        for _ in 0..1000 {
            let (count, quiet) = (Arc::new(Count::default()), Quiet::new());
            let task = Waker::from(Arc::clone(&count));
            let flag = Arc::new(AtomicUsize::new(0));
            let mut thread = None;
            let step = |inner: &mut Context<'_>| {
                if flag.load(SeqCst) == 1 {
                    return Step::Done(());
                }
                if thread.is_none() {
                    let (waker, flag) = (inner.waker().clone(), Arc::clone(&flag));
                    thread = Some(std::thread::spawn(move || {
                        flag.store(1, SeqCst);
                        waker.wake();
                    }));
                }
                Step::Rest
            };
            let result = quiet.poll(&mut Context::from_waker(&task), step, nothing);
            thread.unwrap().join().unwrap();
            assert!(result.is_ready() || count.0.load(SeqCst) == 1);
        }
    }
}
