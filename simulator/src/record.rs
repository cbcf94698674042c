//! What was asked, for tests that care how the exporter asks.

use std::time::SystemTime;

/// One recorded request.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it arrived.
    pub at: SystemTime,
    /// The name of the call, as in [`crate::Vendor::endpoints`]; `other` for anything else.
    pub endpoint: &'static str,
    /// The method.
    pub method: String,
    /// The path without the instance's prefix.
    pub path: String,
    /// The decoded query parameters in their order.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, bytes that are not UTF-8 replaced.
    pub body: String,
    /// Not one of the read calls the exporter may use, or one used so that it writes.
    pub forbidden: bool,
    /// The HTTP status sent; 0 if no answer was begun.
    pub status: u16,
}

impl Request {
    /// The first query parameter of that name.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first header of that name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
