//! Span records for tests, those of the other crates included.
#![expect(
    missing_docs,
    clippy::must_use_candidate,
    clippy::unwrap_used,
    reason = "for tests only, which end where something is wrong"
)]

use super::{EventTime, event_head};
use crate::codec::msgpack::{array_header, bool, ext, f64, int, map_header, str, uint};

/// A log event with this time, metadata and body.
pub fn log_event(
    unix_nanos: u64,
    metadata: &serde_json::Value,
    body: &serde_json::Value,
) -> Vec<u8> {
    let mut out = Vec::new();
    event_head(&mut out, EventTime::from_unix_nanos(unix_nanos));
    out.extend(rmp_serde::to_vec(metadata).unwrap());
    out.extend(rmp_serde::to_vec(body).unwrap());
    out
}

/// An attribute's value.
#[derive(Clone)]
pub enum Value {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// A span record under construction.
#[derive(Clone)]
pub struct SpanRecord {
    pub trace: u64,
    pub span: u64,
    parent: u64,
    start: u64,
    end: u64,
    error: bool,
    trace_state: String,
    service: String,
    kind: &'static str,
    flags: u32,
    position: Option<(u64, u32)>,
    attributes: Vec<(String, Value)>,
}

impl SpanRecord {
    /// A span of one millisecond. The last 8 bytes of the trace id are `trace`.
    pub fn new(trace: u64, span: u64) -> Self {
        Self {
            trace,
            span,
            parent: 0,
            start: 1_000_000_000,
            end: 1_001_000_000,
            error: false,
            trace_state: String::new(),
            service: "shop".to_owned(),
            kind: "",
            flags: 0,
            position: None,
            attributes: Vec::new(),
        }
    }

    pub fn parent(mut self, parent: u64) -> Self {
        self.parent = parent;
        self
    }

    pub fn times(mut self, start_ms: u64, end_ms: u64) -> Self {
        (self.start, self.end) = (start_ms * 1_000_000, end_ms * 1_000_000);
        self
    }

    /// The same by a clock that is so much ahead.
    pub fn ahead(mut self, millis: i64) -> Self {
        let nanos = millis * 1_000_000;
        self.start = self.start.saturating_add_signed(nanos);
        self.end = self.end.saturating_add_signed(nanos);
        self
    }

    pub fn times_nanos(mut self, start: u64, end: u64) -> Self {
        (self.start, self.end) = (start, end);
        self
    }

    pub fn error(mut self) -> Self {
        self.error = true;
        self
    }

    pub fn state(mut self, trace_state: &str) -> Self {
        trace_state.clone_into(&mut self.trace_state);
        self
    }

    pub fn service(mut self, service: &str) -> Self {
        service.clone_into(&mut self.service);
        self
    }

    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// Says whether its parent is in another process.
    pub fn remote(mut self, is_remote: bool) -> Self {
        self.flags = if is_remote { 0x300 } else { 0x100 };
        self
    }

    pub fn flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }

    pub fn from(mut self, run: u64, position: u32) -> Self {
        self.position = Some((run, position));
        self
    }

    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.attributes.push((key.to_owned(), value.into()));
        self
    }

    fn metadata(&self, out: &mut Vec<u8>) {
        map_header(out, 1);
        str(out, "otlp");
        map_header(out, 4 + u32::from(self.position.is_some()));
        str(out, "v");
        int(out, 1);
        str(out, "signal");
        str(out, "span");
        str(out, "resource");
        map_header(out, 1);
        str(out, "attributes");
        map_header(out, 1);
        str(out, "service.name");
        str(out, &self.service);
        str(out, "scope");
        map_header(out, 1);
        str(out, "name");
        str(out, "tests");
        if let Some((run, position)) = self.position {
            str(out, "from");
            array_header(out, 2);
            uint(out, run);
            uint(out, u64::from(position));
        }
    }

    /// The log event.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        array_header(&mut out, 2);
        array_header(&mut out, 2);
        let time = EventTime::from_unix_nanos(self.start);
        let bytes = (u64::from(time.seconds) << 32) | u64::from(time.nanos);
        ext(&mut out, 0, &bytes.to_be_bytes());
        self.metadata(&mut out);
        let mut body = Vec::new();
        let mut pairs = 5;
        str(&mut body, "trace_id");
        str(&mut body, &format!("0af7651916cd43dd{:016x}", self.trace));
        str(&mut body, "span_id");
        str(&mut body, &format!("{:016x}", self.span));
        if self.parent > 0 {
            pairs += 1;
            str(&mut body, "parent_span_id");
            str(&mut body, &format!("{:016x}", self.parent));
        }
        if !self.trace_state.is_empty() {
            pairs += 1;
            str(&mut body, "trace_state");
            str(&mut body, &self.trace_state);
        }
        str(&mut body, "name");
        str(&mut body, "chat");
        str(&mut body, "start_time_unix_nano");
        uint(&mut body, self.start);
        str(&mut body, "end_time_unix_nano");
        uint(&mut body, self.end);
        if !self.kind.is_empty() {
            pairs += 1;
            str(&mut body, "kind");
            str(&mut body, self.kind);
        }
        if self.flags > 0 {
            pairs += 1;
            str(&mut body, "flags");
            uint(&mut body, self.flags.into());
        }
        if self.error {
            pairs += 1;
            str(&mut body, "status");
            map_header(&mut body, 1);
            str(&mut body, "code");
            str(&mut body, "error");
        }
        if !self.attributes.is_empty() {
            pairs += 1;
            self.encode_attributes(&mut body);
        }
        map_header(&mut out, pairs);
        out.extend_from_slice(&body);
        out
    }

    fn encode_attributes(&self, out: &mut Vec<u8>) {
        str(out, "attributes");
        map_header(out, u32::try_from(self.attributes.len()).unwrap());
        for (key, value) in &self.attributes {
            str(out, key);
            match value {
                Value::Text(text) => str(out, text),
                Value::Int(value) => int(out, *value),
                Value::Float(value) => f64(out, *value),
                Value::Bool(value) => bool(out, *value),
            }
        }
    }
}

/// A chunk of these spans.
pub fn chunk(spans: &[SpanRecord]) -> Vec<u8> {
    spans.iter().flat_map(SpanRecord::encode).collect()
}
