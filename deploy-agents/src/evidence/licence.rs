//! What is said about licences, and whether a list permits it.

use std::collections::BTreeSet;

use spdx::{Expression, ParseMode};

use super::facts::{BomComponent, LicenceAnswer, LicenceStatement};
use super::json::{LONGEST_NAME, clip};

/// The longest expression that is parsed, in bytes.
const LONGEST_EXPRESSION: usize = 1_024;

impl LicenceStatement {
    /// What a text says: an SPDX expression, one of SPDX's two words for nothing, or a name.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        match text {
            "NOASSERTION" | "" => Self::NoAssertion,
            "NONE" => Self::None,
            _ if text.len() <= LONGEST_EXPRESSION && parse(text).is_some() => Self::Expression(text.to_owned()),
            _ => Self::Name(clip(text, LONGEST_NAME)),
        }
    }
}

fn parse(text: &str) -> Option<Expression> {
    // `GPL-2.0` and `GPL-2.0+` are deprecated spellings that many packages still have.
    Expression::parse_mode(
        text,
        ParseMode { allow_deprecated: true, allow_postfix_plus_on_gpl: true, ..ParseMode::STRICT },
    )
    .ok()
}

impl BomComponent {
    /// Whether it may be used under a list of SPDX licences, for example `MIT` and `Apache-2.0 WITH LLVM-exception`.
    ///
    /// Of an `OR` one side must be permitted, of an `AND` both. A licence with an exception is permitted if the whole of it,
    /// or the licence alone, is on the list: an exception only adds permissions.
    ///
    /// ```
    /// use deploy_agents::evidence::facts::{BomComponent, LicenceAnswer, LicenceStatement};
    ///
    /// let mut component = BomComponent::default();
    /// component.licences = vec![LicenceStatement::of("GPL-3.0-only OR MIT")];
    /// assert_eq!(component.licence_answer(["MIT"]), LicenceAnswer::Permitted);
    /// assert!(matches!(component.licence_answer(["Apache-2.0"]), LicenceAnswer::Refused(_)));
    /// ```
    #[must_use]
    pub fn licence_answer<'a>(&self, permitted: impl IntoIterator<Item = &'a str>) -> LicenceAnswer {
        let permitted: BTreeSet<&str> = permitted.into_iter().collect();
        let mut unknown = None;
        for statement in &self.licences {
            match statement {
                LicenceStatement::Expression(text) => {
                    let Some(expression) = parse(text) else {
                        unknown = Some(text.clone());
                        continue;
                    };
                    let allowed = |requirement: &spdx::LicenseReq| {
                        permitted.contains(requirement.to_string().as_str())
                            || permitted.contains(requirement.license.to_string().as_str())
                    };
                    if !expression.evaluate(allowed) {
                        return LicenceAnswer::Refused(text.clone());
                    }
                }
                LicenceStatement::Name(name) => unknown = Some(name.clone()),
                LicenceStatement::NoAssertion => unknown = Some("NOASSERTION".to_owned()),
                LicenceStatement::None => return LicenceAnswer::Refused("NONE".to_owned()),
            }
        }
        match unknown {
            Some(text) => LicenceAnswer::Unknown(text),
            None if self.licences.is_empty() => LicenceAnswer::Unknown("nothing is said about a licence".to_owned()),
            None => LicenceAnswer::Permitted,
        }
    }
}
