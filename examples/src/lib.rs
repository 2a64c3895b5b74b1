//! Examples, each of which answers one question. `README.md` beside this package lists them by question.
