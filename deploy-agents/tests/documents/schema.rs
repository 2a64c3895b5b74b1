//! The schema says what the reader accepts.
