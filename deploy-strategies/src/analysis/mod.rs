//! Judges: pure functions from numbers to what they mean.

pub mod evidence;
pub mod kayenta;
pub mod means;
pub mod proportion;
pub mod rank;
pub mod sample;
pub mod sequential;
pub mod shift;
mod special;
#[cfg(test)]
mod tables;
pub mod verdict;
