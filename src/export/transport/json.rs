//! OTLP/JSON answers.

use serde_json::Value;

use super::partial_success::PartialSuccess;

/// An `Export*ServiceResponse`; `None` if it is none. Keys that it does not have do not make it
/// another message, by the specification of OTLP/JSON, but what reports an error is no success.
pub(in crate::export) fn response(body: &[u8]) -> Option<PartialSuccess> {
    let response: Value = serde_json::from_slice(body).ok()?;
    let is_said = |name: &str| match response.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
    };
    let partial = field(&response, &["partialSuccess", "partial_success"]);
    if !response.is_object() || (partial.is_null() && (is_said("error") || is_said("errors"))) {
        return None;
    }
    let rejected = field(
        partial,
        &[
            "rejectedSpans",
            "rejectedDataPoints",
            "rejectedLogRecords",
            "rejected_spans",
            "rejected_data_points",
            "rejected_log_records",
        ],
    );
    let reason = field(partial, &["errorMessage", "error_message"]).as_str().unwrap_or_default();
    Some(PartialSuccess {
        // A number of 64 bits is text in proto3 JSON, but not every server writes it so.
        rejected: rejected
            .as_u64()
            .or_else(|| rejected.as_str().and_then(|text| text.parse().ok()))
            .unwrap_or(0),
        message: reason.to_owned(),
    })
}

/// The message of a `google.rpc.Status`.
pub(in crate::export) fn status_message(body: &[u8]) -> Option<String> {
    let status: Value = serde_json::from_slice(body).ok()?;
    status.get("message")?.as_str().map(str::to_owned)
}

/// The first field of these names that is there.
fn field<'a>(object: &'a Value, names: &[&str]) -> &'a Value {
    names.iter().find_map(|name| object.get(name)).unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_rubbish_is_none() {
        for body in [
            r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"bad"}}"#,
            r#"{"partial_success":{"rejected_log_records":3,"error_message":"bad"},"error":"x"}"#,
        ] {
            let expected = PartialSuccess { rejected: 3, message: "bad".to_owned() };
            assert_eq!(response(body.as_bytes()), Some(expected));
        }
        for body in ["{}", "{\"partialSuccess\":7}", "{\"errors\":[],\"error\":null}"] {
            assert_eq!(response(body.as_bytes()), Some(PartialSuccess::default()), "{body}");
        }
        for body in ["", "[1]", "\u{0}", "null", "{\"error\":\"x\"}", "{\"errors\":[1]}"] {
            assert_eq!(response(body.as_bytes()), None, "{body}");
        }
        let status = br#"{"code":3,"message":"no"}"#;
        assert_eq!(status_message(status).as_deref(), Some("no"));
        assert_eq!(status_message(b"{}"), None);
    }
}
