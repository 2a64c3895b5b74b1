//! The samples that the guide shows.
