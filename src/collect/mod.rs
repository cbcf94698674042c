//! Every source at once, each in its own budget; one collection a source at a time; young
//! snapshots served again.

mod budget;
mod engine;
mod rows;
mod source;
mod turns;
mod worker;

pub use budget::Budget;
pub use engine::{Engine, EngineError, Selection};
pub use rows::{Row, Rows};
pub use source::{LastFailure, Report, Snapshot, Source, SourceStatus};
pub use turns::MOST_TURNS;
pub use worker::Workers;
