//! Ids of a log: in its fields and attributes, in maps in them, in its text if that is JSON, and in
//! plain text.

use xxhash_rust::xxh3::xxh3_64;

use super::decision::Service;
use super::ids::{Id, IdKeys};
use crate::codec::fluentbit::{TextFields, log_texts};
use crate::codec::json::scan::{JsonMembers, plain_string};
use crate::codec::msgpack::{MapView, Reader, Token};
use crate::codec::records::layout::keys as record_keys;
use crate::codec::records::{Item, LogView};

/// Ids of one log or span; more are not looked at.
const MAX_IDS: usize = 8;
/// Longer texts are not read as JSON; container runtimes cut lines at 16 KiB.
const MAX_JSON: usize = 64 * 1024;
/// Members that are looked at, at the top and in each map below.
const MAX_MEMBERS: usize = 256;

/// Ids that were found, those of calls first.
#[derive(Debug, Default)]
pub(super) struct FoundIds {
    pub(super) ids: Vec<Id>,
    pub(super) service: Option<Service>,
}

impl FoundIds {
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.service = None;
    }

    pub(super) fn add(&mut self, id: Option<Id>) {
        if let Some(id) = id
            && self.ids.len() < MAX_IDS
            && !self.ids.contains(&id)
        {
            let at = self.ids.partition_point(|known| known.space <= id.space);
            self.ids.insert(at, id);
        }
    }

    fn note_service(&mut self, name: &[u8]) {
        self.service = self.service.or_else(|| service_named(name));
    }
}

/// The service of this name; that of an SDK that nobody told one is none.
fn service_named(name: &[u8]) -> Option<Service> {
    let known = !name.is_empty() && !name.starts_with(b"unknown_service");
    known.then(|| Service(xxh3_64(name)))
}

/// The service that an encoded resource map names.
pub(super) fn service_of(resource: &[u8]) -> Option<Service> {
    let attributes = MapView::new(resource).get(record_keys::ATTRIBUTES)?;
    let name = MapView::new(attributes).get(b"service.name")?;
    service_named(Reader::new(name).str().ok()?)
}

/// Finds the ids of a log, and its service.
pub(super) fn find(keys: &IdKeys, item: &Item<'_>, log: &LogView<'_>, found: &mut FoundIds) {
    found.clear();
    let event = &item.event;
    let of_group = || MapView::new(event.group?.body).get(record_keys::RESOURCE);
    let resource = item.telemetry.and_then(|said| said.resource).or_else(of_group);
    found.service = resource.and_then(service_of);
    for map in [log.attributes, event.body] {
        fields(keys, map, found);
    }
    for entry in MapView::new(event.metadata).filter(|entry| entry.key != record_keys::OTLP) {
        found.add(id_under(keys, b"", entry.key, entry.value));
    }
    let body_key = Reader::new(log.body_key).str().unwrap_or_default();
    for text in log_texts(event.body, body_key) {
        if text.trim_ascii_start().starts_with(b"{") && text.len() <= MAX_JSON {
            json(keys, text, found);
        } else {
            plain_text(keys, text, found);
        }
    }
}

/// Looks at a map, and one level deeper.
fn fields(keys: &IdKeys, map: &[u8], found: &mut FoundIds) {
    for entry in MapView::new(map) {
        if let Ok(Token::Map(_)) = Reader::new(entry.value).token() {
            for inner in MapView::new(entry.value) {
                found.add(id_under(keys, entry.key, inner.key, inner.value));
                if entry.key == b"service" && inner.key == b"name" {
                    found.note_service(Reader::new(inner.value).str().unwrap_or_default());
                }
            }
        } else if names_service(entry.key) {
            found.note_service(Reader::new(entry.value).str().unwrap_or_default());
        } else {
            found.add(id_under(keys, b"", entry.key, entry.value));
        }
    }
}

const fn names_service(key: &[u8]) -> bool {
    matches!(
        key,
        b"service.name" | b"service_name" | b"otelServiceName" | b"dd.service" | b"dd_service"
    )
}

fn id_under(keys: &IdKeys, outer: &[u8], key: &[u8], value: &[u8]) -> Option<Id> {
    let space = keys.space_of(outer, key)?;
    keys.id_of(space, value)
}

/// Looks at the members of a JSON text, and one level deeper.
fn json(keys: &IdKeys, text: &[u8], found: &mut FoundIds) {
    for member in JsonMembers::new(text).take(MAX_MEMBERS) {
        if member.value.starts_with(b"{") {
            for inner in JsonMembers::new(member.value).take(MAX_MEMBERS) {
                json_member(keys, member.name, inner.name, inner.value, found);
            }
        } else {
            json_member(keys, b"", member.name, member.value, found);
        }
    }
}

fn json_member(keys: &IdKeys, outer: &[u8], name: &[u8], value: &[u8], found: &mut FoundIds) {
    // A number stands as it is; a text with escapes is no id.
    let number = Some(value).filter(|value| value.first().is_some_and(u8::is_ascii_digit));
    let Some(text) = plain_string(value).or(number) else { return };
    if names_service(name) || (outer == b"service" && name == b"name") {
        found.note_service(text);
    } else if let Some(space) = keys.space_of(outer, name) {
        found.add(keys.id(space, text));
    }
}

fn plain_text(keys: &IdKeys, text: &[u8], found: &mut FoundIds) {
    for field in TextFields::new(text) {
        if let Some(space) = keys.space_of(b"", field.key) {
            found.add(keys.id(space, field.value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ids::{IdKind, IdSpace};
    use super::*;
    use crate::codec::records::testing::log_event;
    use crate::codec::records::{ItemReader, ItemStep};
    use serde_json::{Value, json};

    fn find_in(metadata: &Value, body: &Value) -> FoundIds {
        let keys = IdKeys::new(&IdKind::ALL, &[], 7);
        let chunk = log_event(5, metadata, body);
        let Some(ItemStep::Item(item)) = ItemReader::new(&chunk).step(&mut ()) else { panic!() };
        let log = item.event.otlp().map(LogView::new).unwrap_or_default();
        let mut found = FoundIds::default();
        find(&keys, &item, &log, &mut found);
        found
    }

    /// Scenario: one id in each place where logs have ids. Guarantees: it is found in each, and what
    /// stands beside it is not.
    #[test]
    fn ids_are_found_in_every_place() {
        let keys = IdKeys::new(&IdKind::ALL, &[], 7);
        let expected = [keys.id(IdSpace::Call, b"req_12345").unwrap()];
        let none = json!({});
        for (metadata, body) in [
            (&none, json!({ "log": "x", "request_id": "req_12345" })),
            (&none, json!({ "log": "x", "mdc": { "requestId": "req_12345" } })),
            (&none, json!({ "log": "x", "request": { "id": "req_12345" } })),
            (&none, json!({ "log": "x", "headers": { "X-Request-Id": "req_12345" } })),
            (&none, json!({ "log": r#"{"msg":"x","request_id":"req_12345"}"# })),
            (&none, json!({ "message": r#" {"ctx":{"requestId":"req_12345"},"n":1}"# })),
            (&none, json!({ "log": "level=info request_id=req_12345 took=5" })),
            (&none, json!({ "message": "done [requestId=req_12345]" })),
            (&none, json!({ "log": "got x-request-id: req_12345, ok" })),
            (&json!({ "request_id": "req_12345" }), json!({ "log": "x" })),
            (
                &json!({ "otlp": { "attributes": { "http.request.header.x-request-id": ["req_12345"] } } }),
                json!({ "log": "x" }),
            ),
            (
                &json!({ "otlp": { "attributes": { "gen_ai.response.id": "req_12345" } } }),
                json!({ "log": "x" }),
            ),
        ] {
            assert_eq!(find_in(metadata, &body).ids, expected, "{metadata} {body}");
        }
        for body in [
            json!({ "log": "x", "id": "req_12345" }),
            json!({ "log": "request_id is req_12345" }),
            json!({ "log": r#"{"request_id":"req_123\u00345"}"# }),
            json!({ "log": r#"{"request_id":{"a":"req_12345"}}"# }),
            json!({ "log": r#"{"request_id":"req_12345"# }),
            json!("request_id=req_12345"),
        ] {
            assert_eq!(find_in(&none, &body).ids, [], "{body}");
        }
    }

    #[test]
    fn ids_of_calls_come_first() {
        let body = json!({
            "session_id": "session-1", "conversation_id": "conv-12345",
            "log": r#"{"response_id":"resp-12345"}"#,
        });
        let spaces: Vec<IdSpace> =
            find_in(&json!({}), &body).ids.iter().map(|id| id.space).collect();
        assert_eq!(spaces, [IdSpace::Call, IdSpace::Conversation, IdSpace::Session]);
    }

    #[test]
    fn the_service_is_that_of_the_resource_or_said_in_the_log() {
        let resource = |name: &str| json!({ "otlp": { "resource": { "attributes": { "service.name": name } } } });
        let body = json!({ "log": "x" });
        let shop = find_in(&resource("shop"), &body).service;
        assert!(shop.is_some());
        for body in [
            json!({ "service.name": "shop" }),
            json!({ "service": { "name": "shop" } }),
            json!({ "log": r#"{"service.name":"shop"}"# }),
            json!({ "log": r#"{"service":{"name":"shop"}}"# }),
        ] {
            assert_eq!(find_in(&json!({}), &body).service, shop, "{body}");
            assert_ne!(find_in(&resource("other"), &body).service, shop, "the resource wins");
        }
        assert_eq!(find_in(&resource("unknown_service:python"), &body).service, None);
    }
}
