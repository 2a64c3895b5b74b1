//! When a question was asked before, so that the windows of its answers follow each other.

use std::collections::VecDeque;
use std::time::Duration;

use deploy_core::monitor::MeasureRequest;

/// How many askings are remembered: sixteen questions, each asked every second about the last minute. One more, and the oldest is
/// forgotten; its next answer is about the lookback alone then.
const MOST: usize = 1_024;

/// Which questions were asked lately, and where the windows of their answers ended.
///
/// Whoever asks each minute about the last minute asks some milliseconds early or late. A window that reached back exactly a
/// minute would count some events twice then, and others never. So an answer goes on where that one ended which the same question got
/// one lookback ago, give or take a tenth of it. Questions that differ (another lookback, other metrics, another revision) know
/// nothing of each other; of several who ask the same, each is taken for the one whose turn it is by the clock.
#[derive(Debug)]
pub(super) struct Askings<T>(VecDeque<Asking<T>>);

#[derive(Debug)]
struct Asking<T> {
    request: MeasureRequest,
    at: Duration,
    end: T,
}

impl<T> Default for Askings<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Copy> Askings<T> {
    /// When the same question was asked one lookback ago, and where the answer ended.
    pub(super) fn before(&self, request: &MeasureRequest, now: Duration) -> Option<(Duration, T)> {
        let off = |asking: &Asking<T>| now.saturating_sub(asking.at).abs_diff(request.lookback);
        let same = self.0.iter().filter(|asking| asking.request == *request && off(asking) <= slack(request));
        same.min_by_key(|asking| off(asking)).map(|asking| (asking.at, asking.end))
    }

    /// A question was answered up to `end`.
    pub(super) fn answered(&mut self, request: &MeasureRequest, at: Duration, end: T) {
        let over = |asking: &Asking<T>| {
            at.saturating_sub(asking.at) > asking.request.lookback.saturating_add(slack(&asking.request))
        };
        self.0.retain(|asking| !over(asking));
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(Asking { request: request.clone(), at, end });
    }
}

/// How early or late a question may be asked again.
fn slack(request: &MeasureRequest) -> Duration {
    request.lookback / 10
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deploy_core::monitor::MeasureRequest;
    use deploy_core::name::{BlockName, RevisionName};

    use super::{Askings, MOST};

    fn about(revision: &str, seconds: u64) -> MeasureRequest {
        MeasureRequest {
            monitor: BlockName::new("monitor").expect("a name"),
            metrics: Vec::new(),
            candidate: RevisionName::new(revision).expect("a name"),
            baseline: None,
            lookback: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn an_answer_goes_on_where_its_own_question_left_off() {
        let (mut askings, seconds) = (Askings::default(), Duration::from_secs);
        askings.answered(&about("v2", 60), seconds(100), 'a');
        askings.answered(&about("v2", 60), seconds(103), 'b');
        askings.answered(&about("v2", 30), seconds(130), 'c');
        let before =
            |revision, lookback, at| askings.before(&about(revision, lookback), seconds(at)).map(|(_, end)| end);
        assert_eq!(["a", "b"], [160, 163].map(|at| if before("v2", 60, at) == Some('a') { "a" } else { "b" }));
        assert_eq!(
            (before("v2", 60, 154), before("v2", 60, 169)),
            (Some('a'), Some('b')),
            "a tenth early, a tenth late"
        );
        assert_eq!((before("v2", 60, 153), before("v2", 60, 170)), (None, None));
        assert_eq!((before("v2", 30, 160), before("v1", 60, 160)), (Some('c'), None));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgets_what_nobody_can_go_on_from() {
        let mut askings = Askings::default();
        for _ in 0..2 * MOST {
            askings.answered(&about("v2", 60), Duration::from_secs(1), ());
        }
        assert_eq!(askings.0.len(), MOST);
        askings.answered(&about("v2", 60), Duration::from_secs(68), ());
        assert_eq!(askings.0.len(), 1);
    }
}
