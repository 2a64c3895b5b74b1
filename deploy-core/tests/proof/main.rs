//! Proofs that the engine keeps what it promises: real kills, crashes at every record, faults of the store, two hosts on one
//! run, and planted faults that the proofs must find.
//!
//! | invariant | test |
//! |---|---|
//! | D1, D2, D7, D8, D9, D19 | [`crash`], [`kills`]: the judge of every run that ended |
//! | D10, D11, D13, I5, I6 | [`hosts`] |
//! | D14 | [`leases`], [`hosts`] |
//! | D15 | [`leases`] |
//! | D17 | [`crash`], [`kills`] |
//! | D18 | [`crash`], [`kills`] |
//! | D3, D4, D5 | [`crash`] |
//! | D20, D22, D23 | [`versions`] |
//! | D24, D25 | [`crash`] |
//! | D26 | [`streams`] |
//! | D27, D28 | [`times`] |
//! | I16 | [`spans`] |
//!
//! [`coverage`] sees to it that each of them is named by some test.

#![expect(clippy::print_stdout, reason = "the counts are half of what a proof has to say")]

mod coverage;
mod crash;
mod faults;
mod hosts;
mod judge;
mod kills;
mod leases;
mod ledger;
mod mutants;
mod processes;
mod roll_backs;
mod scripted;
mod spans;
mod streams;
mod times;
mod versions;
mod world;
