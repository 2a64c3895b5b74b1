//! What every notifier must hold to.

use std::fmt;
use std::sync::Arc;

use deploy_core::evidence::Severity;

use crate::notifiers::{Notice, NoticeKey, Notifier, Party};
use crate::secret::Secret;

/// How many notices of a key have arrived at the other end.
type Arrived = dyn Fn(&NoticeKey) -> usize + Send + Sync;

/// A party that can be reached, one that cannot, and a way to see what arrived: run it on your own notifier.
#[derive(Clone)]
pub struct NotifierSuite {
    reachable: Party,
    unreachable: Option<Party>,
    secrets: Vec<Secret>,
    arrived: Arc<Arrived>,
}

impl fmt::Debug for NotifierSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifierSuite").field("reachable", &self.reachable).finish_non_exhaustive()
    }
}

/// Stands in each text that is sent, so that it is found wherever it must not be.
const CANARY: &str = "the-text-of-the-notice";

impl NotifierSuite {
    /// A suite around a party that can be reached. `arrived` looks at the other end.
    #[must_use]
    pub fn new(reachable: Party, arrived: impl Fn(&NoticeKey) -> usize + Send + Sync + 'static) -> Self {
        Self { reachable, unreachable: None, secrets: Vec::new(), arrived: Arc::new(arrived) }
    }

    /// The same, with a party to whom nothing can be delivered.
    #[must_use]
    pub fn unreachable(mut self, party: Party) -> Self {
        self.unreachable = Some(party);
        self
    }

    /// The same, with something that must never be shown: a token, or the secret part of a URL.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Runs every check. Returns the names of the checks that were run.
    ///
    /// # Panics
    ///
    /// When a check is not met.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave notices delivered.
    pub async fn run(&self, notifier: &dyn Notifier) -> Vec<&'static str> {
        let mut run = vec!["a delivery names party, channel and the remote's id"];
        let first = notice("suite/first", &self.reachable);
        let delivery = self.delivered(notifier, &first).await;
        assert_eq!(delivery.party, self.reachable.name, "the receipt is of somebody else");
        assert_eq!(delivery.channel, notifier.channel(&self.reachable), "the receipt is of another channel");
        assert!(!delivery.id.trim().is_empty(), "the receipt has no name");
        assert_eq!((self.arrived)(first.key()), 1, "a delivered notice did not arrive");

        run.push("the same key again gives one delivery");
        let again = self.delivered(notifier, &first).await;
        assert_eq!(again.id, delivery.id, "the same notice was delivered under two names");
        assert_eq!((self.arrived)(first.key()), 1, "the same notice arrived more than once");

        run.push("two at once under one key give one delivery");
        let pair = notice("suite/pair", &self.reachable);
        let (one, other) = futures::join!(notifier.notify(&pair), notifier.notify(&pair));
        let ids: Vec<String> = [one, other].into_iter().flatten().map(|delivery| delivery.id).collect();
        assert!(!ids.is_empty() && ids.iter().all(|id| *id == ids[0]), "two names for one notice: {ids:?}");
        assert_eq!((self.arrived)(pair.key()), 1, "the same notice, sent twice at once, arrived more than once");

        run.push("another key is another delivery");
        let second = notice("suite/second", &self.reachable);
        let other = self.delivered(notifier, &second).await;
        assert_ne!(other.id, delivery.id, "two notices under one name");
        assert_eq!((self.arrived)(second.key()), 1, "the second notice did not arrive");

        run.push("nobody has acknowledged what was just sent");
        let acknowledged = notifier.acknowledged(second.key(), &other).await;
        assert!(matches!(acknowledged, Ok(None)), "it answers {acknowledged:?}");

        run.push("what it shows of itself is not secret");
        self.holds_nothing_secret(&format!("{notifier:?} {}", notifier.channel(&self.reachable)));

        if let Some(party) = &self.unreachable {
            run.push("an undelivered notice is an error that names the party, and nothing secret");
            let lost = notice("suite/lost", party);
            let answer = notifier.notify(&lost).await;
            let Err(error) = answer else { panic!("{party} cannot be reached, and got a receipt: {answer:?}") };
            assert_eq!(error.party(), party.name, "the error names somebody else");
            let chain = deploy_core::report::chain(&error);
            assert!(chain.contains(&party.name), "the error does not name {party}: {chain}");
            self.holds_nothing_secret(&format!("{error:?} {chain}"));
            assert_eq!((self.arrived)(lost.key()), 0, "what failed arrived all the same");
        }
        run
    }

    async fn delivered(&self, notifier: &dyn Notifier, notice: &Notice) -> crate::notifiers::Delivery {
        match notifier.notify(notice).await {
            Ok(delivery) => delivery,
            Err(error) => {
                panic!("{} can be reached, and was not: {}", notice.party(), deploy_core::report::chain(&error))
            }
        }
    }

    fn holds_nothing_secret(&self, text: &str) {
        assert!(!text.contains(CANARY), "the text of a notice is shown: {text}");
        for secret in &self.secrets {
            assert!(!text.contains(secret.expose()), "a secret is shown");
        }
    }
}

fn notice(key: &str, party: &Party) -> Notice {
    let key = NoticeKey::new(key).expect("a key of the suite");
    let notice = Notice::new(key, party.clone(), "a test of the suite", CANARY).expect("a notice of the suite");
    notice.severity(Severity::Warning)
}
