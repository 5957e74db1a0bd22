//! The protobuf wire format, read without copying and written without a tree.
//!
//! The encoding: <https://protobuf.dev/programming-guides/encoding/>.

mod nested;
mod read;
mod typed;
mod write;

pub use nested::nested;
pub use read::{WireError, WireField, WireFields, WireValue, each, varint_count};
pub use typed::{
    double, int, length, message, nonempty, nonzero, nonzero32, nonzero64, packed64, sint, text,
    try_message,
};
pub use write::{NestedMessage, bytes, fixed32, fixed64, key, uint, varint, varint_len, zigzag};
