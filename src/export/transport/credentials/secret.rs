//! Redacted values: header values that no log shows.

use http::HeaderValue;

/// A header's value that is never shown.
pub(super) fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
