//! Error chain: what caused an error, as text.

use std::error::Error;

use crate::export::transport::reply::printable;

/// Layers of libraries that say only that something below them failed.
const HOLLOW: [&str; 8] = [
    "error sending request",
    "client error (Connect)",
    "client error (SendRequest)",
    "client error (Canceled)",
    "connection error",
    "operation was canceled",
    "http2 error",
    "request or response body error",
];

/// What caused an error, from its top to its bottom, each once. What says nothing by itself is
/// left out where anything else is said.
pub(in crate::export) fn causes(error: &dyn Error) -> String {
    let mut all = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        all.push(cause.to_string());
        source = cause.source();
    }
    let mut text = String::new();
    let meaningful = all.iter().filter(|cause| !HOLLOW.contains(&cause.as_str()));
    for cause in meaningful {
        if text.is_empty() {
            text.push_str(cause);
        } else if !text.contains(cause.as_str()) {
            text.push_str(": ");
            text.push_str(cause);
        }
    }
    if text.is_empty() {
        text = all.pop().unwrap_or_default();
    }
    printable(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_that_say_nothing_are_left_out() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Layer(&'static str, #[source] Option<Box<Layer>>);
        let of = |text: &[&'static str]| {
            let layers =
                text.iter().rev().fold(None, |below, text| Some(Box::new(Layer(text, below))));
            causes(&*layers.unwrap())
        };
        let canceled =
            ["error sending request", "client error (SendRequest)", "operation was canceled"];
        assert_eq!(of(&canceled), "operation was canceled");
        assert_eq!(
            of(&["error sending request", "tcp connect error", "refused"]),
            "tcp connect error: refused"
        );
        assert_eq!(of(&["http2 error", "a: b", "b"]), "a: b");
    }
}
