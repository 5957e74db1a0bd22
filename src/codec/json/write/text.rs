//! Scalar writer: JSON's forms of text, numbers, ids and bytes.

use std::io::Write as _;

use crate::model::write_hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Writes text with the escapes that JSON needs.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    // A vector takes everything, and text has no form that JSON lacks.
    serde_json::to_writer(out, text).unwrap_or_default();
}

/// Writes a number as it is.
pub(super) fn number(out: &mut Vec<u8>, value: i64) {
    write!(out, "{value}").unwrap_or_default();
}

/// Writes a number of 64 bits in text.
pub(super) fn quoted(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    write!(out, "\"{value}\"").unwrap_or_default();
}

/// Writes a double: what JSON's numbers cannot say is text.
pub(super) fn double(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        serde_json::to_writer(out, &value).unwrap_or_default();
    } else if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value > 0.0 {
        out.extend_from_slice(b"\"Infinity\"");
    } else {
        out.extend_from_slice(b"\"-Infinity\"");
    }
}

/// Writes bytes as lower-case hex.
pub(super) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len() * 2, 0);
    write_hex(bytes, out.get_mut(start..).unwrap_or_default());
    out.push(b'"');
}

/// Writes bytes as base64.
pub(super) fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
}
