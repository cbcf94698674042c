//! The five vendors' HTTP APIs in one process.
