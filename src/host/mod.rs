//! Everything that knows C, and the only `unsafe` of the library.
//!
//! The host loads a shared object, copies a structure from a symbol, and calls the functions in
//! it. This module makes that structure for whichever release is running and turns the calls into
//! calls of the traits in [`crate::plugin`]. It knows nothing of telemetry.
//!
//! Invariants:
//!
//! - no offset of a host structure is written anywhere but in [`abi`];
//! - no panic leaves it (`barrier`), nothing of ours runs deep on a small stack (`stack`);
//! - nothing is owned by a frame that the host abandons (`coro`);
//! - host functions are found by name and called only on threads of the host.
//!
//! Start reading at `descriptor`, then at `filter`, the simplest of the three kinds.
#![expect(unsafe_code, reason = "the one module that talks to C")]

pub mod abi;
mod allocator;
mod barrier;
mod config_map;
mod coro;
mod counters;
mod descriptor;
mod duplicate_load;
mod engine_run;
mod export;
#[cfg(test)]
mod fake;
mod filter;
mod host_struct;
mod input;
mod instance;
mod kind;
mod lend;
mod loaded_objects;
mod log;
mod options;
mod output;
mod poller;
#[cfg(feature = "probe-plugins")]
mod probe;
mod processors;
mod proof;
mod prove;
mod publisher;
mod release_pages;
mod reporter;
mod setup;
mod sink;
mod stack;
mod support;
mod symbols;
mod thread_timer;

use abi::detect;
pub use descriptor::{Descriptor, fill_filter, fill_input, fill_output};
pub use support::{HostSupport, LOADED_TWICE, announced, release_of_program, support_of};
