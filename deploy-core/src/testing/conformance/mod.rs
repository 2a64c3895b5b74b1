//! One suite per trait: run it on your own implementation, and it tells which clause of the contract it breaks.

pub mod journal;
