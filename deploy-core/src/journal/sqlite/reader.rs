//! The threads that read, each with its own connection. In a write-ahead log readers and the writer do not wait for each
//! other.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::fault::fault;
use crate::journal::JournalError;

/// How many questions may wait. A caller beyond that waits for room.
const QUEUE: usize = 256;

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The asking side of the threads.
pub(super) struct Readers {
    queue: Option<mpsc::Sender<Question>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(connections: Vec<Connection>) -> std::io::Result<Self> {
        let (queue, questions) = mpsc::channel::<Question>(QUEUE);
        let questions = Arc::new(Mutex::new(questions));
        let mut readers = Self { queue: Some(queue), threads: Vec::new() };
        for sql in connections {
            let questions = Arc::clone(&questions);
            let thread = std::thread::Builder::new().name("journal-reader".to_owned()).spawn(move || {
                while let Some(question) = next(&questions) {
                    question(&sql);
                }
            })?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Has a thread answer `question`, and waits for the answer.
    pub(super) async fn ask<T, Q>(&self, what: &'static str, question: Q) -> Result<T, JournalError>
    where
        T: Send + 'static,
        Q: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let stopped =
            || JournalError::Unavailable { what: "the reading threads have stopped".to_owned(), source: None };
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        let (reply, answer) = oneshot::channel();
        let asked: Question = Box::new(move |sql| {
            // Whoever asked may have gone; the answer is then nobody's.
            let _ = reply.send(question(sql));
        });
        queue.send(asked).await.map_err(|_| stopped())?;
        match answer.await {
            Ok(answer) => answer.map_err(|error| fault(what, &Arc::new(error))),
            Err(_) => Err(stopped()),
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reading thread of the journal has panicked");
            }
        }
    }
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

/// One thread waits for the next question, the others wait for their turn to wait.
fn next(questions: &Mutex<mpsc::Receiver<Question>>) -> Option<Question> {
    questions.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
}
