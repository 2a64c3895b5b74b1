//! Examples, each of which answers one question. `README.md` beside this package lists them by question.

/// Has the code of the front page compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;
