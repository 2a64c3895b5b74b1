//! What several stories need.

use deploy_core::digest::Digest;
use deploy_core::operator::Principal;
use deploy_core::release::{Change, Release};
use deploy_core::time::Timestamp;

/// The commit that is released.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Now, in every story: a Monday, 09:00 in Berlin.
pub(crate) const NOW: &str = "2026-11-23T08:00:00Z";

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

pub(crate) fn now() -> Timestamp {
    at(NOW)
}

pub(crate) fn artifact() -> Digest {
    Digest::of(b"the image")
}

pub(crate) fn release() -> Release {
    let change = Change { commit: Some(COMMIT.to_owned()), authors: vec!["ada".to_owned()], ..Change::default() };
    Release::new(
        "shop".try_into().expect("a name"),
        "production".try_into().expect("a name"),
        "v2".try_into().expect("a name"),
    )
    .artifact("registry.example.org/shop:v2", artifact())
    .change(change)
}

pub(crate) fn person(name: &str) -> Principal {
    Principal::new(name, "example.org")
}
