//! The documents say what the code does, and name tests that exist.

mod readme;
mod reliability;
