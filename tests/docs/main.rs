// SPDX-License-Identifier: Apache-2.0
//! The documents say what the code does, and name tests that exist.

mod layers;
mod links;
mod packages;
mod pages;
mod reference;
mod reliability;
mod runbooks;
mod systems;
