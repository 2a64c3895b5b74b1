//! A call of the writing thread: what it is to do, and the place where its caller waits for the answer.
//!
//! Caller and thread share one allocation, and the caller lets go of it last: what the caller's thread has allocated is freed
//! there too, and not by the writing thread, which would contend for the allocator with everyone who waits for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::fault::{Refusal, Trouble, fault, leaves_unknown};
use super::store::Store;
use crate::name::RunId;

/// One call, of whatever type its answer is.
trait Job: Send + Sync {
    /// Does the work within a transaction; an error rolls the whole transaction back.
    fn run(&self, store: &mut Store<'_>) -> rusqlite::Result<()>;
    /// Gives the answer of a transaction that is committed. Only the first answer counts.
    fn settle(&self) -> Option<Waker>;
    /// Gives the answer that nothing is known: whatever the work has said, nobody saw it committed.
    fn abandon(&self) -> Option<Waker>;
    /// Gives the reason why the transaction is not committed.
    fn fail(&self, error: &Arc<rusqlite::Error>, committing: bool) -> Option<Waker>;
}

/// A call in the hands of the writing thread. Dropped without an answer it tells its caller that the outcome is unknown.
pub(super) struct Ticket(Option<Arc<dyn Job>>);

impl Ticket {
    pub(super) fn run(&self, store: &mut Store<'_>) -> rusqlite::Result<()> {
        self.0.as_ref().map_or(Ok(()), |job| job.run(store))
    }

    /// Sends the answer, after the transaction is committed.
    pub(super) fn settle(self) {
        self.close(|job| job.settle());
    }

    /// Sends the reason why the transaction is not committed.
    pub(super) fn fail(self, error: &Arc<rusqlite::Error>, committing: bool) {
        self.close(|job| job.fail(error, committing));
    }

    fn close(mut self, answer: impl FnOnce(&dyn Job) -> Option<Waker>) {
        if let Some(job) = self.0.take() {
            let waiting = answer(&*job);
            drop(job);
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(job) = self.0.take() {
            job.abandon().into_iter().for_each(Waker::wake);
        }
    }
}

struct Call<T, E, W> {
    run: Option<RunId>,
    /// Only the writing thread takes this lock: nobody waits for work that is under way.
    work: Mutex<Work<T, E, W>>,
    answer: Mutex<Answer<T, E>>,
}

struct Work<T, E, W> {
    work: W,
    done: Option<Result<T, E>>,
}

struct Answer<T, E> {
    state: State<T, E>,
    waiting: Option<Waker>,
}

enum State<T, E> {
    Open,
    Given(Result<T, E>),
    Taken,
}

/// What a panic of the work left behind is still whole: every change here is one assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T, E, W> Call<T, E, W> {
    fn give(&self, result: impl FnOnce() -> Result<T, E>) -> Option<Waker> {
        let mut answer = locked(&self.answer);
        if let State::Open = answer.state {
            answer.state = State::Given(result());
        }
        answer.waiting.take()
    }
}

impl<T, E, W> Job for Call<T, E, W>
where
    T: Send,
    E: Refusal,
    W: FnMut(&mut Store<'_>) -> Result<T, Trouble<E>> + Send,
{
    fn run(&self, store: &mut Store<'_>) -> rusqlite::Result<()> {
        let mut guard = locked(&self.work);
        let before = store.sql.total_changes();
        guard.done = Some(match (guard.work)(store) {
            Ok(done) => Ok(done),
            Err(Trouble::Refused(error)) => {
                debug_assert_eq!(store.sql.total_changes(), before, "a refused call has written something");
                Err(error)
            }
            Err(Trouble::Failed(error)) => return Err(error),
        });
        Ok(())
    }

    fn settle(&self) -> Option<Waker> {
        let done = locked(&self.work).done.take();
        self.give(|| done.unwrap_or_else(|| Err(E::unknown(self.run.as_ref(), None))))
    }

    fn abandon(&self) -> Option<Waker> {
        self.give(|| Err(E::unknown(self.run.as_ref(), None)))
    }

    fn fail(&self, error: &Arc<rusqlite::Error>, committing: bool) -> Option<Waker> {
        self.give(|| {
            Err(if committing && leaves_unknown(error) {
                E::unknown(self.run.as_ref(), Some(Box::new(Arc::clone(error))))
            } else {
                E::from(fault("writing to the journal", error))
            })
        })
    }
}

/// The caller's side: resolves when the transaction is committed or known not to be.
pub(super) struct Outcome<T, E, W>(Arc<Call<T, E, W>>);

/// A call of `work`, and where its outcome will be told.
pub(super) fn call<T, E, W>(run: Option<&RunId>, work: W) -> (Ticket, Outcome<T, E, W>)
where
    T: Send + 'static,
    E: Refusal,
    W: FnMut(&mut Store<'_>) -> Result<T, Trouble<E>> + Send + 'static,
{
    let call = Arc::new(Call {
        run: run.cloned(),
        work: Mutex::new(Work { work, done: None }),
        answer: Mutex::new(Answer { state: State::Open, waiting: None }),
    });
    (Ticket(Some(Arc::clone(&call) as Arc<dyn Job>)), Outcome(call))
}

impl<T, E, W> Future for Outcome<T, E, W>
where
    E: Refusal,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = locked(&self.0.answer);
        match std::mem::replace(&mut answer.state, State::Taken) {
            State::Given(result) => Poll::Ready(result),
            State::Open => {
                answer.state = State::Open;
                match &mut answer.waiting {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            State::Taken => Poll::Ready(Err(E::unknown(self.0.run.as_ref(), None))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures::FutureExt as _;
    use rusqlite::Connection;

    use super::*;
    use crate::journal::JournalError;
    use crate::journal::sqlite::heads::Heads;
    use crate::time::SystemClock;

    type Seven = fn(&mut Store<'_>) -> Result<u8, Trouble<JournalError>>;

    fn seven() -> (Ticket, Outcome<u8, JournalError, Seven>) {
        call(None, |_| Ok(7))
    }

    fn run(ticket: &Ticket) {
        let sql = Connection::open_in_memory().expect("a database");
        let mut heads = Heads::default();
        ticket.run(&mut Store { sql: &sql, heads: &mut heads, clock: &SystemClock::new() }).expect("done");
    }

    #[test]
    fn the_answer_comes_with_the_commit() {
        let (ticket, mut outcome) = seven();
        run(&ticket);
        assert!(outcome.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
        ticket.settle();
        assert!(matches!(outcome.poll_unpin(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(7))));
    }

    #[test]
    fn work_that_was_done_and_never_committed_is_unknown() {
        let (ticket, outcome) = seven();
        run(&ticket);
        drop(ticket);
        assert!(matches!(outcome.now_or_never(), Some(Err(_))));
    }

    #[test]
    fn a_call_that_nobody_took_is_unknown() {
        let (ticket, outcome) = seven();
        drop(ticket);
        assert!(matches!(outcome.now_or_never(), Some(Err(_))));
    }
}
