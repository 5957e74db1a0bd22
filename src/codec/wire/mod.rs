//! The protobuf wire format, read without copying and written without a tree.
//!
//! The encoding: <https://protobuf.dev/programming-guides/encoding/>.

mod read;
mod write;

pub use read::{Fields, WireError, WireField, WireValue, each, varint_count};
pub use write::{Nested, bytes, fixed32, fixed64, key, uint, varint, varint_len, zigzag};
