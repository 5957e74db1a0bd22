//! Status page: what a run takes in, decides and sends, for a browser, a script and probes.
//!
//! A page of this module answers from counters and tables that are there anyway. Nothing in it is of the
//! content of messages. What comes from telemetry (names of models, services, endpoints) is escaped where it
//! is written: by JSON here, and by the browser's text nodes in the page.

mod document;
mod health;
mod host_header;
mod metrics;
mod page;
mod verdict;

pub use document::seconds;
pub use health::Health;
pub use page::StatusPage;

#[cfg(test)]
mod prometheus_tests;
#[cfg(test)]
mod tests;
