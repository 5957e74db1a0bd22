//! The msgpack format, read without copying and written without a tree.
//!
//! The msgpack specification: <https://github.com/msgpack/msgpack/blob/master/spec.md>.

mod accessor;
mod map;
mod read;
mod write;

pub use accessor::{Accessor, AccessorError};
pub use map::{Entry, MapView, elements, int_of, text_of};
pub use read::{ReadError, Reader, Token, before};
pub use write::{
    array_header, bin, bool, ext, f64, int, map_header, nil, str, str_bytes, str_of, uint,
};
