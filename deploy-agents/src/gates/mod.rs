//! Gates that read what was reported and verified.

mod go_no_go;

pub use self::go_no_go::{GoNoGo, VetoMatrix, VetoRow};
