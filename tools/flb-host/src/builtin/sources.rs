//! Built-in inputs: `dummy` makes log events, `replay` appends a file.

use std::time::Duration;

use fluent_bit_ai::clock;
use fluent_bit_ai::codec::msgpack;

use super::only;
use crate::args::duration;
use crate::settings::Section;

/// What is appended at once.
#[derive(Debug, Clone)]
pub(crate) struct EventBatch {
    /// The event type as the host numbers it.
    pub(crate) kind: i32,
    /// The number of events; 0 lets the host count.
    pub(crate) records: usize,
    /// The events.
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug)]
enum What {
    Dummy { metadata: Vec<u8>, body: Vec<u8> },
    Replay { kind: i32, bytes: Vec<u8> },
}

/// A built-in input.
#[derive(Debug)]
pub(crate) struct BuiltinInput {
    what: What,
    period: Duration,
    left: usize,
}

const CORE: &[&str] = &["tag", "alias", "log_level", "mem_buf_limit"];

impl BuiltinInput {
    /// The built-in input that a section names, if it names one.
    ///
    /// # Errors
    /// One line that names the property that is wrong.
    pub(crate) fn new(section: &Section) -> Result<Option<Self>, String> {
        match section.get("name").as_deref() {
            Some("dummy") => Self::dummy(section).map(Some),
            Some("replay") => Self::replay(section).map(Some),
            _ => Ok(None),
        }
    }

    fn dummy(section: &Section) -> Result<Self, String> {
        only(section, CORE, &["dummy", "metadata", "rate", "samples"])?;
        let json = |key: &str, default: &str| {
            let text = section.get(key).unwrap_or_else(|| default.to_owned());
            let value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text)
                .map_err(|error| format!("dummy: '{key}' is no JSON object: {error}"))?;
            rmp_serde::to_vec_named(&value).map_err(|error| error.to_string())
        };
        let rate: f64 = number(section, "rate", 1.0)?;
        let period = Duration::try_from_secs_f64(1.0 / rate)
            .map_err(|_| "dummy: 'rate' is not positive".to_owned())?;
        Ok(Self {
            what: What::Dummy {
                metadata: json("metadata", "{}")?,
                body: json("dummy", r#"{"message":"dummy"}"#)?,
            },
            period,
            left: number(section, "samples", usize::MAX)?,
        })
    }

    fn replay(section: &Section) -> Result<Self, String> {
        only(section, CORE, &["path", "type", "interval", "times"])?;
        let path = section.get("path").ok_or("replay: 'path' is missing")?;
        let bytes = std::fs::read(&path).map_err(|error| format!("replay: {path}: {error}"))?;
        let kind = match section.get("type").as_deref() {
            None | Some("logs") => 0,
            Some("metrics") => 1,
            Some("traces") => 2,
            Some(other) => {
                return Err(format!("replay: type '{other}' is none of logs, metrics, traces"));
            }
        };
        let period = section.get("interval").map_or(Ok(Duration::from_secs(1)), |text| {
            duration(&text).map_err(|error| format!("replay: interval: {error}"))
        })?;
        Ok(Self { what: What::Replay { kind, bytes }, period, left: number(section, "times", 1)? })
    }

    /// How often it brings something in.
    pub(crate) const fn period(&self) -> Duration {
        self.period
    }

    /// What it brings in next.
    pub(crate) fn next(&self) -> Option<EventBatch> {
        if self.left == 0 {
            return None;
        }
        Some(match &self.what {
            What::Dummy { metadata, body } => {
                let now = clock::unix_nanos();
                let time = ((now / 1_000_000_000) << 32) | (now % 1_000_000_000);
                let mut bytes = Vec::new();
                msgpack::array_header(&mut bytes, 2);
                msgpack::array_header(&mut bytes, 2);
                msgpack::ext(&mut bytes, 0, &time.to_be_bytes());
                bytes.extend_from_slice(metadata);
                bytes.extend_from_slice(body);
                EventBatch { kind: 0, records: 1, bytes }
            }
            What::Replay { kind, bytes } => {
                EventBatch { kind: *kind, records: 0, bytes: bytes.clone() }
            }
        })
    }

    /// The last batch was taken in.
    pub(crate) const fn taken(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

fn number<T: std::str::FromStr>(section: &Section, key: &str, default: T) -> Result<T, String> {
    let Some(text) = section.get(key) else { return Ok(default) };
    text.parse().map_err(|_| format!("'{key}': '{text}' is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluent_bit_ai::codec::records::Events;

    #[test]
    fn dummy_makes_events_until_its_samples_are_out() {
        let given = Section::of(&[("name", "dummy"), ("dummy", r#"{"a":1}"#), ("samples", "1")]);
        let mut source = BuiltinInput::new(&given).unwrap().unwrap();
        let batch = source.next().unwrap();
        let event = Events::new(&batch.bytes).next().unwrap().unwrap();
        assert_eq!((event.metadata, event.body), (&[0x80][..], &[0x81, 0xa1, b'a', 1][..]));
        assert!(event.time.unix_nanos() > 1_600_000_000_000_000_000);
        source.taken();
        assert!(source.next().is_none());
    }

    #[test]
    fn mistakes_are_named() {
        let error = |pairs: &[(&str, &str)]| BuiltinInput::new(&Section::of(pairs)).unwrap_err();
        assert!(error(&[("name", "dummy"), ("rats", "1")]).contains("'rats'"));
        assert!(error(&[("name", "dummy"), ("dummy", "[1]")]).contains("JSON object"));
        assert!(error(&[("name", "replay")]).contains("'path' is missing"));
        assert!(error(&[("name", "replay"), ("path", "/nowhere/x")]).contains("/nowhere/x"));
    }
}
