//! What every journal does alike when a run is created: its content as one digest, and the word to those it supersedes.

use super::NewRun;
use crate::digest::Digest;
use crate::name::{InputId, RunId};
use crate::operator::{Act, OperatorInput, Principal};

impl NewRun {
    /// The digest of what the run is: its lock, its queue, and kind, version and body of each first record.
    ///
    /// When the records were written is left out, so that the same start tried again an hour later is the same content.
    #[must_use]
    pub fn content(&self) -> Digest {
        let place = format!("{}\n{}\n{}", self.service, self.environment, self.queue.name());
        self.records.iter().fold(Digest::of(place.as_bytes()), |content, record| {
            content.then(record.kind.as_bytes()).then(&record.version.to_be_bytes()).then(record.body.get().as_bytes())
        })
    }

    /// The abort that a waiting run finds in its inbox when this one takes its place in the queue.
    ///
    /// Its id follows from the two runs, so that it is the same however often the transaction is tried.
    #[must_use]
    pub fn supersedes(&self, waiting: &RunId) -> OperatorInput {
        let pair = Digest::of(format!("{waiting}\n{}", self.run).as_bytes()).to_string();
        let id = format!("superseded:{}", pair.trim_start_matches("sha256:"));
        OperatorInput {
            id: InputId::new(id).unwrap_or_else(|_| InputId::generate()),
            who: Principal::new("engine", "deploy-core"),
            why: format!(
                "superseded by run {}, which is newer and waits for {} in {} instead",
                self.run, self.service, self.environment
            ),
            act: Act::Abort,
        }
    }
}
