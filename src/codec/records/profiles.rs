//! Profiles: whole requests, carried as they came.
//!
//! The signal is in development (`v1development`), its messages still change, and what a profile
//! says stands in a dictionary that all profiles of a request share. So one record carries one
//! request, byte by byte.

use super::decode::Transcoded;
use super::error::{DecodeError, DecodeKind};
use super::layout::{VERSION, keys};
use super::record::{Event, EventTime, event_head};
use crate::codec::msgpack::{self, MapView, Reader, Token};
use crate::codec::wire::{WireError, each};
use crate::model::Signal;

/// The key of the request in a record's body.
const KEY: &str = "profiles";

/// Appends the record of an `ExportProfilesServiceRequest` to `out`; none for a request without
/// profiles. `now` is Unix time in nanoseconds.
///
/// # Errors
/// The request is not protobuf down to its profiles; nothing is appended.
pub fn profiles_to_records(
    request: &[u8],
    out: &mut Vec<u8>,
    now: u64,
) -> Result<Transcoded, DecodeError> {
    let items = profile_count(request).map_err(|error| DecodeError {
        kind: DecodeKind::Wire(error),
        path: "resource_profiles".to_owned(),
        offset: 0,
    })?;
    if items == 0 {
        return Ok(Transcoded::default());
    }
    out.reserve(request.len().saturating_add(64));
    event_head(out, EventTime::from_unix_nanos(now));
    msgpack::map_header(out, 1);
    msgpack::str_bytes(out, keys::OTLP);
    msgpack::map_header(out, 2);
    msgpack::str_bytes(out, keys::VERSION);
    msgpack::uint(out, VERSION);
    msgpack::str_bytes(out, keys::SIGNAL);
    msgpack::str(out, Signal::Profiles.item());
    msgpack::map_header(out, 1);
    msgpack::str(out, KEY);
    msgpack::bin(out, request);
    Ok(Transcoded { events: 1, records: 1, items, ..Transcoded::default() })
}

/// The request that a record of profiles carries; text stands for bytes, because some filters make
/// it so.
#[must_use]
pub fn profiles_of<'a>(event: &Event<'a>) -> Option<&'a [u8]> {
    let encoded = MapView::new(event.body).get(KEY.as_bytes())?;
    match Reader::new(encoded).token().ok()? {
        Token::Bin(request) | Token::Str(request) => Some(request),
        _ => None,
    }
}

/// How many profiles a request has.
///
/// # Errors
/// The request is not protobuf down to its profiles.
pub fn profile_count(request: &[u8]) -> Result<usize, WireError> {
    let mut count = 0_usize;
    each(request, 1, |resource| {
        each(resource, 2, |scope| {
            each(scope, 2, |profile| {
                count = count.saturating_add(1);
                each(profile, 0, |_| Ok(()))
            })
        })
    })?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::records::Events;
    use crate::codec::wire;

    /// Two resources with three profiles, a dictionary, and an unknown field.
    fn request() -> Vec<u8> {
        let mut profile = Vec::new();
        wire::fixed64(&mut profile, 3, 7);
        let mut request = Vec::new();
        for profiles in [1, 2] {
            let mut scope = Vec::new();
            for _ in 0..profiles {
                wire::bytes(&mut scope, 2, &profile);
            }
            let mut resource = Vec::new();
            wire::bytes(&mut resource, 2, &scope);
            wire::bytes(&mut request, 1, &resource);
        }
        wire::bytes(&mut request, 2, b"\x2a\x03cpu");
        wire::bytes(&mut request, 77, b"later");
        request
    }

    #[test]
    fn a_request_comes_back_as_it_was() {
        let request = request();
        let mut out = Vec::new();
        let done = profiles_to_records(&request, &mut out, 5_000_000_007).unwrap();
        assert_eq!((done.events, done.records, done.items), (1, 1, 3));
        let event = Events::new(&out).next().unwrap().unwrap();
        assert_eq!((event.time.seconds, event.time.nanos), (5, 7));
        let telemetry = event.telemetry().unwrap();
        assert_eq!((telemetry.signal, telemetry.version), (Some(Signal::Profiles), Some(1)));
        assert_eq!(profiles_of(&event), Some(&request[..]));
        assert_eq!(profiles_of(&Event { body: &[0x80], ..event }), None);
    }

    #[test]
    fn what_is_empty_or_broken_makes_no_record() {
        let mut out = Vec::new();
        assert_eq!(profiles_to_records(b"", &mut out, 1).unwrap(), Transcoded::default());
        let mut broken = request();
        broken.truncate(9);
        assert!(profiles_to_records(&broken, &mut out, 1).is_err());
        assert!(out.is_empty());
    }
}
