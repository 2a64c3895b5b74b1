//! The virtual-time driver and the simulated world.
