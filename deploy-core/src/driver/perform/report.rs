//! What came of a command, as it is recorded, and the bytes that go beside it.

use std::collections::BTreeMap;

use crate::agent::{Certainty, Performed, Report};
use crate::deliverable::{LONGEST_INLINE, Payload};
use crate::digest::Digest;
use crate::machine::{Answer, Fault, Progress, Reported};

/// The longest handle that is recorded, in bytes.
const LONGEST_HANDLE: usize = 4 * 1024;
/// How many bytes of evidence and deliverables one report may carry.
const LARGEST_REPORT: usize = 64 * 1024 * 1024;

/// What came of a command: its answer, and bytes that the answer cites.
#[derive(Debug)]
pub(in crate::driver) struct Performance {
    pub(in crate::driver) answer: Answer,
    pub(in crate::driver) blobs: Blobs,
}

impl From<Answer> for Performance {
    fn from(answer: Answer) -> Self {
        Self { answer, blobs: Vec::new() }
    }
}

/// What an agent said of its work, as it is recorded.
pub(super) fn performance(performed: Result<Performed, Fault>) -> Performance {
    let answer = |result| Performance::from(Answer::Performed(result));
    match performed {
        Err(fault) => answer(Err(fault)),
        Ok(Performed::Running { handle, .. }) if handle.0.len() > LONGEST_HANDLE => {
            let text = format!("the handle has {} bytes; at most {LONGEST_HANDLE} are kept", handle.0.len());
            answer(Err(Fault::new(Certainty::Unknown, text)))
        }
        Ok(Performed::Running { handle, poll_after }) => answer(Ok(Progress::Running { handle, poll_after })),
        Ok(Performed::Done(report)) => match recorded(report) {
            Ok((report, blobs)) => Performance { answer: Answer::Performed(Ok(Progress::Done(report))), blobs },
            Err(fault) => answer(Err(fault)),
        },
    }
}

/// Bytes with their digests, on their way into the blobs.
type Blobs = Vec<(Digest, Vec<u8>)>;

/// A report as it is recorded, and the bytes that go beside it.
pub(super) fn recorded(report: Report) -> Result<(Reported, Blobs), Fault> {
    let size: usize = report.evidence.iter().map(|e| e.bytes.len()).sum::<usize>()
        + report.deliverables.iter().map(|d| d.json.len()).sum::<usize>();
    if size > LARGEST_REPORT {
        let text = format!("the report carries {size} bytes; at most {LARGEST_REPORT} are kept");
        return Err(Fault::new(Certainty::Definitive, text));
    }
    let mut blobs = Vec::new();
    let mut evidence = Vec::new();
    for mut piece in report.evidence {
        // The digest is of the bytes, whatever the agent says it is: a claim that cites another one finds nothing.
        piece.evidence.digest = Digest::of(&piece.bytes);
        blobs.push((piece.evidence.digest, piece.bytes));
        evidence.push(piece.evidence);
    }
    let mut outputs = BTreeMap::new();
    for delivered in report.deliverables {
        let payload = if delivered.json.len() <= LONGEST_INLINE {
            Payload::Inline(delivered.json)
        } else {
            let bytes = delivered.json.into_bytes();
            let digest = Digest::of(&bytes);
            blobs.push((digest, bytes));
            Payload::Blob(digest)
        };
        outputs.insert(delivered.key.name, payload);
    }
    Ok((Reported { findings: report.findings, claims: report.claims, evidence, outputs }, blobs))
}
