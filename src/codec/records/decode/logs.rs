//! Log transcoder: log records are laid out as Fluent Bit's own OpenTelemetry input does it.

use super::envelope::{ItemCount, RecordSink, ScopeStart, common_pairs, put_beside, transcode};
use super::message::MessageScan;
use super::raw::{RawValuesFound, ValueForm, unmark};
use super::transcoded::Transcoded;
use super::value::element;
use crate::codec::msgpack;
use crate::codec::records::error::{DecodeError, DecodeResult};
use crate::codec::records::layout::{GROUP_END, GROUP_START, Nesting, keys};
use crate::codec::records::record::{EventTime, event_head};
use crate::codec::records::schema::LOG;
use crate::model::Signal;

/// How log records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// Whether group markers are written; hosts before 3.2.9 do not know them, or take them for records.
    pub groups: bool,
    /// The first id for resources and scopes that nothing else has had.
    pub first_group: u32,
    /// The time of arrival, for records that have no time.
    pub now_unix_nanos: u64,
}

/// Appends the records of an `ExportLogsServiceRequest` to `out`.
///
/// A log record that is not valid is left out and counted; those beside it are kept. A scope that
/// has no record left makes no group, because hosts lose data at empty groups.
///
/// # Errors
/// The request itself, a `ResourceLogs` or a `ScopeLogs` is not valid; nothing is appended.
pub fn logs_to_records(
    request: &[u8],
    out: &mut Vec<u8>,
    options: LogOptions,
) -> Result<Transcoded, DecodeError> {
    logs(request, out, options, Layout::default())
}

/// The same, with every body of any value under `body_key`, maps too, as Fluent Bit's own input does
/// it with `logs_body_key`. The records say so, and come back as they were.
///
/// # Errors
/// As [`logs_to_records`].
pub fn logs_to_records_under(
    request: &[u8],
    out: &mut Vec<u8>,
    options: LogOptions,
    body_key: &str,
) -> Result<Transcoded, DecodeError> {
    logs(request, out, options, Layout { plain: false, body_key: Some(body_key) })
}

/// Appends the records of an `ExportLogsServiceRequest` to `out` exactly as Fluent Bit's own
/// OpenTelemetry input does: with groups alone, and without what telemetry records add. With
/// `body_key` all bodies stand under that key.
///
/// # Errors
/// The request itself, a `ResourceLogs` or a `ScopeLogs` is not valid; nothing is appended.
pub fn logs_to_groups(
    request: &[u8],
    out: &mut Vec<u8>,
    options: LogOptions,
    body_key: Option<&str>,
) -> Result<Transcoded, DecodeError> {
    logs(request, out, LogOptions { groups: true, ..options }, Layout { plain: true, body_key })
}

/// How records are laid out.
#[derive(Debug, Clone, Copy, Default)]
struct Layout<'a> {
    /// Nothing is added to what Fluent Bit's own input writes.
    plain: bool,
    /// The key of all bodies; without one, maps are the bodies of records, and other values stand
    /// under `log`.
    body_key: Option<&'a str>,
}

fn logs(
    request: &[u8],
    out: &mut Vec<u8>,
    options: LogOptions,
    layout: Layout<'_>,
) -> Result<Transcoded, DecodeError> {
    let mut prefix = Vec::new();
    msgpack::map_header(&mut prefix, 1);
    msgpack::str(&mut prefix, layout.body_key.unwrap_or("log"));
    let mut logs = Logs {
        options,
        layout,
        prefix,
        tail: Vec::new(),
        tail_pairs: 0,
        body: Vec::new(),
        group_start: 0,
        resource_id: 0,
        used: 0,
        groups: 0,
    };
    let mut done = transcode(request, out, &mut logs)?;
    done.events += 2 * logs.groups;
    done.groups = logs.used;
    Ok(done)
}

struct Logs<'a> {
    options: LogOptions,
    layout: Layout<'a>,
    /// A map of one pair up to its value: what stands before a body under a key.
    prefix: Vec<u8>,
    /// The pairs of the `otlp` map that all records of a scope have.
    tail: Vec<u8>,
    tail_pairs: u32,
    body: Vec<u8>,
    /// Where the group began that is being written.
    group_start: usize,
    resource_id: u32,
    used: u32,
    groups: usize,
}

impl Logs<'_> {
    fn next_id(&mut self) -> u32 {
        let id = self.options.first_group.wrapping_add(self.used);
        self.used = self.used.wrapping_add(1);
        id
    }

    /// Writes the event's body, and returns what `otlp.body` has to say about it, and what of it
    /// msgpack cannot.
    fn write_body(
        &mut self,
        log: &MessageScan<'_>,
    ) -> DecodeResult<(Option<&'static str>, Option<Box<RawValuesFound>>)> {
        let out = &mut self.body;
        let Some(body) = log.merged(5) else {
            msgpack::map_header(out, 0);
            return Ok((Some("none"), None));
        };
        out.extend_from_slice(&self.prefix);
        let start = out.len();
        let marked = element(&body, out, Nesting::within(1))? != ValueForm::Whole;
        let found = marked.then(|| Box::new(unmark(out, start)));
        let is_map = matches!(out.get(start), Some(0x80..=0x8f | 0xde | 0xdf));
        if !is_map || self.layout.body_key.is_some() {
            return Ok((None, found));
        }
        out.drain(..start);
        Ok((out.starts_with(&self.prefix).then_some("kvlist"), found))
    }
}

impl RecordSink for Logs<'_> {
    const SIGNAL: Signal = Signal::Logs;

    fn begin(&mut self, scope: ScopeStart<'_>, out: &mut Vec<u8>) {
        self.tail.clear();
        if !self.layout.plain {
            self.tail_pairs = common_pairs(Signal::Logs, &scope, &mut self.tail);
            if let Some(key) = self.layout.body_key {
                msgpack::str_bytes(&mut self.tail, keys::BODY_KEY);
                msgpack::str(&mut self.tail, key);
                self.tail_pairs += 1;
            }
        }
        self.group_start = out.len();
        if !self.options.groups {
            return;
        }
        if scope.new_resource {
            self.resource_id = self.next_id();
        }
        let scope_id = self.next_id();
        if !self.layout.plain {
            // So that a reader knows whether the group around a record is the record's own.
            msgpack::str_bytes(&mut self.tail, keys::SCOPE_ID);
            msgpack::uint(&mut self.tail, u64::from(scope_id));
            self.tail_pairs += 1;
        }
        event_head(out, EventTime { seconds: GROUP_START, nanos: 0 });
        let body_key = self.layout.body_key.filter(|_| self.layout.plain);
        msgpack::map_header(out, if body_key.is_some() { 4 } else { 3 });
        msgpack::str(out, "schema");
        msgpack::str(out, "otlp");
        msgpack::str_bytes(out, keys::RESOURCE_ID);
        msgpack::uint(out, u64::from(self.resource_id));
        msgpack::str_bytes(out, keys::SCOPE_ID);
        msgpack::uint(out, u64::from(scope_id));
        if let Some(key) = body_key {
            // The records themselves do not say it.
            msgpack::str_bytes(out, keys::BODY_KEY);
            msgpack::str(out, key);
        }
        msgpack::map_header(out, 2);
        for (key, map) in [(keys::RESOURCE, scope.resource), (keys::SCOPE, scope.scope)] {
            msgpack::str_bytes(out, key);
            out.extend_from_slice(if map.is_empty() { &[0x80] } else { map });
        }
    }

    #[inline]
    fn item(&mut self, item: &[u8], out: &mut Vec<u8>) -> DecodeResult<ItemCount> {
        let mut log = MessageScan::new(&LOG, item);
        log.read()?;
        let time = [1, 11]
            .into_iter()
            .find_map(|number| log.slot(number))
            .map_or(self.options.now_unix_nanos, |slot| slot.value);
        self.body.clear();
        let (form, found) = self.write_body(&log).map_err(|fault| fault.within("body"))?;
        let form = form.filter(|form| {
            if self.layout.plain && *form == "none" {
                self.body.clear();
                self.body.extend_from_slice(&self.prefix);
                msgpack::nil(&mut self.body);
            }
            !self.layout.plain
        });
        log.leave_out(5);
        event_head(out, EventTime::from_unix_nanos(time));
        let start = out.len();
        msgpack::map_header(out, 1);
        msgpack::str_bytes(out, keys::OTLP);
        msgpack::map_header(out, log.pairs() + self.tail_pairs + u32::from(form.is_some()));
        let fields = log.write_pairs(out)?;
        out.extend_from_slice(&self.tail);
        if let Some(form) = form {
            msgpack::str_bytes(out, keys::BODY);
            msgpack::str(out, form);
        }
        if fields != ValueForm::Whole || found.is_some() {
            let mut all = unmark(out, start);
            if let Some(found) = found {
                all.add_root("body", &found);
            }
            let end = out.len();
            put_beside(out, [start, end], &all);
        }
        out.extend_from_slice(&self.body);
        Ok(1)
    }

    fn end(&mut self, records: usize, out: &mut Vec<u8>) {
        if !self.options.groups {
            return;
        }
        if records == 0 {
            out.truncate(self.group_start);
            return;
        }
        event_head(out, EventTime { seconds: GROUP_END, nanos: 0 });
        out.extend_from_slice(&[0x80, 0x80]);
        self.groups += 1;
    }
}
