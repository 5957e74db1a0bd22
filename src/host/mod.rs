//! Everything that knows C, and the only `unsafe` of the library.

pub mod abi;
