//! Reads the manifests of other systems. What cannot be carried over is refused by its place, never dropped in silence.

pub mod argo;
