//! Evidence that may be looked at any number of times.
//!
//! Each of these is an *e-process*: a number that starts at one and, as long as the hypothesis in its name holds, is
//! expected to stay there, whatever the number of looks and whatever made one look. By Ville's inequality the chance
//! that it ever reaches 1/α is at most α. All are kept as natural logarithms.
//!
//! | module | what it is about | source |
//! |---|---|---|
//! | [`stratified`] | bad events of two arms, batch by batch: the core | Cochran 1954; Fisher's conditional distribution |
//! | [`assignment`] | whose event comes next, at a known share of traffic | Lindon and Malek 2022 |
//! | [`mixture`] | boundaries for sums | Howard, Ramdas, McAuliffe, Sekhon 2021 |
//! | [`ratio`] | a ratio of bad events with bounds that hold at every look | the same |
//! | [`quantile`] | a quantile of two samples | Howard and Ramdas 2022 |
//! | [`bounded`] | means of numbers between 0 and 1, by betting | Waudby-Smith and Ramdas 2024 |
//! | [`combine`] | several of them together | Vovk and Wang 2021; Wang and Ramdas 2022 |
//! | [`asymptotic`] | for comparison with other tools only | Waudby-Smith et al. 2024; Johari et al. 2022; Turner, Ly, Grünwald 2024 |

pub mod assignment;
pub mod asymptotic;
pub mod bounded;
pub mod combine;
pub mod effects;

pub mod hypergeometric;
pub mod mixture;
pub mod quantile;
pub mod ratio;
pub mod stratified;
