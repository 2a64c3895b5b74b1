//! Controls, hardening, compliance.

use super::*;

role! {
    /// Has evidence for every control: policies, access, secrets; and after the rollout, that what runs is what was approved.
    ///
    /// Rows: M150, M223.
    SecurityArchitect is SecurityArchitect {
        /// Its seat in phase 4: hardening.
        hardening: 4,
        /// Its seat in phase 6: what runs.
        validation: 6,
    }
}

fn duties(seat: Seat) -> Option<Duty> {
    match seat.phase {
        4 => Some(Duty::new(seat, VerifiedStep::of_row(150)?).makes::<HardeningReport>().makes::<ComplianceReport>()),
        6 => {
            let step =
                VerifiedStep::new(42, "security-architect", 6, Standard, &[&[kind::KUBERNETES]], &["runtime-security"]);
            Some(Duty::new(seat, step).makes::<SecurityVerification>())
        }
        _ => None,
    }
}
