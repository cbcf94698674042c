//! The documents say what the code does, and name tests that exist.

mod layers;
mod pages;
mod readme;
mod reliability;
mod runbooks;
mod systems;
