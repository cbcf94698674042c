//! Every source at once, each in its own budget; one collection of a source at a time; young
//! snapshots served again.

mod budget;
mod engine;
mod rows;
mod source;
mod thread;

pub use budget::Budget;
pub use engine::{Engine, EngineError, Selected, Selection};
pub use rows::{Row, Rows};
pub use source::{LastFailure, Report, Snapshot, Source, SourceStatus};
pub use thread::CollectorThread;
