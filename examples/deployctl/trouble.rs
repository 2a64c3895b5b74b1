//! What went wrong, and what the exit code says about it.

use std::error::Error;

use deploy_core::journal::JournalError;
use deploy_core::report::chain;

use crate::Failure;
use crate::code::Code;

/// Something that ends a command, in words that say what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Trouble {
    code: Code,
    text: String,
}

impl Trouble {
    /// The command line, or what it names, is wrong.
    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Self::ends(Code::Usage, text)
    }

    /// Ends with this code.
    pub(crate) fn ends(code: Code, text: impl Into<String>) -> Failure {
        Box::new(Self { code, text: text.into() })
    }

    /// A part that could not be used, with why.
    pub(crate) fn because(text: &str, cause: &(dyn Error + 'static)) -> Failure {
        Self::ends(Code::Unavailable, format!("{text}: {}", chain(cause)))
    }

    /// The code and the text of any failure. What nobody gave a code to is a part that could not be used.
    pub(crate) fn read(failure: &Failure) -> (Code, String) {
        let code = match failure.downcast_ref::<Self>() {
            Some(trouble) => trouble.code,
            None => match failure.downcast_ref::<JournalError>() {
                Some(JournalError::NoSuchRun(_) | JournalError::NotAJournal(_)) => Code::Usage,
                Some(JournalError::Damaged { .. }) => Code::Failed,
                _ => Code::Unavailable,
            },
        };
        (code, chain(failure.as_ref()))
    }
}
