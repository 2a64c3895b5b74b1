//! Agents whose reports a language model reads over: what it may not do, each rule by its name, and how often it gets away with it.
#![expect(clippy::print_stdout, reason = "the figures of the evaluation are shown with --nocapture")]

mod evaluation;
mod http;
mod property;
mod rules;
mod world;
