// SPDX-License-Identifier: Apache-2.0
//! How many rooms or conferences have a setting on.

use crate::model::{Measure, Observation};

/// How many rooms have a setting on. Absent where no room carries the key (older firmware); 0
/// where there is no room at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting {
    carried: bool,
    on: u64,
}

impl Setting {
    /// Adds one room's setting; `None`: the room does not carry it.
    pub fn add(&mut self, value: Option<bool>) {
        self.carried |= value.is_some();
        self.on += u64::from(value == Some(true));
    }

    /// Sets `measure` to what `rooms` rooms said.
    pub fn report(self, rooms: u64, measure: Measure, observation: &mut Observation) {
        observation.set_if_reported(measure, (self.carried || rooms == 0).then_some(self.on));
    }
}
