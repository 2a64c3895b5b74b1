//! A policy in CEL as a check. Feature `cel`.

use deploy_core::evidence::Refusal;
use deploy_core::name::NameError;

use super::assessment::Assessment;
use super::catalogue::CatalogueCheck;
use super::document::file_of;
use super::shipping::compliance;
use crate::evidence::cel::Policy;
use crate::evidence::{Place, Pointer, Source};

/// A check of this name that holds where the policy is kept by every piece of evidence of these kinds, each a JSON document; with none of them it
/// does not hold. The policy is evaluated when the check is run, over the bytes that were read back: nobody's word on its result is taken.
///
/// ```
/// use deploy_agents::checks::{Catalogue, policy_check};
/// use deploy_agents::evidence::cel::Policy;
///
/// let policy = Policy::compile("two-replicas", "input.spec.replicas >= 2")?;
/// let catalogue = Catalogue::new().with(policy_check("two-replicas", policy, &["deployment"])?);
/// assert_eq!(catalogue.check("two-replicas").expect("it is there").kinds(), ["deployment"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`NameError`] if the name is not one.
///
/// Rows: M14, M150.
pub fn policy_check(name: &str, policy: Policy, kinds: &'static [&'static str]) -> Result<CatalogueCheck, NameError> {
    let passes = format!("a policy in CEL is kept, by its text of {}", policy.digest().short());
    let check = CatalogueCheck::new(name, passes, move |reading, thresholds| {
        let mut results = Vec::new();
        for kind in kinds {
            for (evidence, bytes) in reading.pieces(kind) {
                let file = file_of(evidence);
                match policy.evaluate(&Source::new(&file, bytes)) {
                    Ok(facts) => results.push((Pointer::new(file.as_str(), Place::Whole), facts)),
                    Err(error) => return Assessment::refused(error),
                }
            }
        }
        if results.is_empty() {
            return Assessment::refused(Refusal::Missing(format!(
                "there is no evidence of kind {}",
                kinds.join(" or ")
            )));
        }
        // What else must be evaluated is another check's business.
        let mut own = thresholds.clone();
        own.required_policies.clear();
        compliance(&results, &own)
    })?;
    Ok(check.reads(kinds).rows(&[14, 150]))
}
