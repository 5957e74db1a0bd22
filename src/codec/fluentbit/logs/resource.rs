//! Resource detection: where a log comes from.
//!
//! The attributes are those of the OpenTelemetry semantic conventions for resources: `service`,
//! `host`, `k8s` and `container`.

use super::super::{fields, values};
use super::text::{same, text};
use crate::codec::msgpack::{self, Entry, MapView, Token};
use crate::codec::records::Event;
use crate::codec::records::edit::Pairs;
use crate::codec::records::layout::keys;
use crate::codec::wire;

/// What names a service, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    ServiceName,
    Service,
    Label,
    SyslogIdentifier,
}

/// What a log says about its origin.
#[derive(Debug, Default)]
pub(super) struct LogOrigin<'a> {
    service: Option<(Rank, &'a [u8])>,
    /// The encoded value of the pair that names the service; empty if it is a label.
    service_value: &'a [u8],
    /// Encoded values, empty if they are not there.
    host: &'a [u8],
    unit: &'a [u8],
    kubernetes: &'a [u8],
}

impl<'a> LogOrigin<'a> {
    /// Takes what a key says; the first of a kind counts.
    pub(super) fn read(&mut self, entry: &Entry<'a>) {
        let value = entry.value;
        match entry.key {
            b"service.name" | b"service_name" => {
                self.name_service(Rank::ServiceName, text(value), value);
            }
            b"service" => {
                if fields::is_map(value) {
                    let name = MapView::new(value).get(b"name").map(text).unwrap_or_default();
                    self.name_service(Rank::Service, name, &[]);
                } else {
                    self.name_service(Rank::Service, text(value), value);
                }
            }
            b"SYSLOG_IDENTIFIER" | b"syslog_identifier" => {
                self.name_service(Rank::SyslogIdentifier, text(value), value);
            }
            b"_HOSTNAME" | b"_hostname" if self.host.is_empty() && !text(value).is_empty() => {
                self.host = value;
            }
            b"_SYSTEMD_UNIT" | b"_systemd_unit"
                if self.unit.is_empty() && !text(value).is_empty() =>
            {
                self.unit = value;
            }
            b"kubernetes" if self.kubernetes.is_empty() && fields::is_map(value) => {
                self.kubernetes = value;
                let labels = MapView::new(value).get(b"labels").unwrap_or_default();
                let label = |key: &[u8]| MapView::new(labels).get(key).map(text);
                let name = label(b"app.kubernetes.io/name")
                    .filter(|name| !name.is_empty())
                    .or_else(|| label(b"app"));
                self.name_service(Rank::Label, name.unwrap_or_default(), &[]);
            }
            _ => {}
        }
    }

    fn name_service(&mut self, rank: Rank, name: &'a [u8], value: &'a [u8]) {
        if !name.is_empty() && self.service.is_none_or(|(best, _)| rank < best) {
            (self.service, self.service_value) = (Some((rank, name)), value);
        }
    }

    /// Whether the pair moved to the resource.
    pub(super) fn has(&self, entry: &Entry<'_>) -> bool {
        [self.service_value, self.host, self.unit, self.kubernetes]
            .iter()
            .any(|value| !value.is_empty() && same(value, entry.value))
    }

    /// Leaves out what the resource says otherwise; the log's own word for it stays with the log.
    pub(super) fn yield_to_resource(&mut self, event: &Event<'_>) {
        let known = resource_attributes(event);
        let differs = |key: &[u8], word: &[u8]| {
            MapView::new(known).get(key).is_some_and(|value| text(value) != word)
        };
        if let Some((_, name)) = self.service
            && differs(b"service.name", name)
        {
            (self.service, self.service_value) = (None, &[]);
        }
        if differs(b"host.name", text(self.host)) {
            self.host = &[];
        }
        if differs(b"systemd.unit", text(self.unit)) {
            self.unit = &[];
        }
    }

    /// Writes the `Resource`: what the event's resource says, then what the log says.
    pub(super) fn write(&self, out: &mut Vec<u8>, event: &Event<'_>) {
        let known = resource_attributes(event);
        let is_known = |key: &[u8]| MapView::new(known).get(key).is_some();
        MapView::new(known).for_each(|entry| values::attribute(out, 1, &entry));
        if let Some((_, name)) = self.service.filter(|_| !is_known(b"service.name")) {
            values::text_attribute(out, 1, b"service.name", name);
        }
        for (key, value) in [(&b"host.name"[..], self.host), (b"systemd.unit", self.unit)] {
            if !value.is_empty() && !is_known(key) {
                values::named(out, 1, key, value);
            }
        }
        let mut add = |key: &[u8], value: &[u8]| {
            let empty = matches!(fields::token(value), Token::Nil | Token::Str([]));
            if !empty && MapView::new(known).get(key).is_none() {
                values::named(out, 1, key, value);
            }
        };
        for entry in MapView::new(self.kubernetes) {
            kubernetes(&mut add, &entry);
        }
        let image = MapView::new(self.kubernetes).get(b"container_image").map(text);
        if !is_known(b"container.image.name") {
            write_image(out, image.unwrap_or_default());
        }
    }

    /// The same as a map of attributes, without what the event's resource says.
    fn attributes(&self) -> Pairs {
        let mut pairs = Pairs::new();
        if let Some((_, name)) = self.service {
            msgpack::str_bytes(pairs.key("service.name"), name);
        }
        for (key, value) in [("host.name", self.host), ("systemd.unit", self.unit)] {
            if !value.is_empty() {
                pairs.push(key, value);
            }
        }
        kubernetes_attributes(self.kubernetes, |key, value| pairs.push(key, value));
        pairs
    }
}

/// What an ordinary log says of where it comes from, as a map of resource attributes.
#[must_use]
pub fn log_origin(event: &Event<'_>) -> Pairs {
    let mut origin = LogOrigin::default();
    let entries = MapView::new(event.metadata).filter(|entry| entry.key != keys::OTLP);
    entries.chain(MapView::new(event.body)).for_each(|entry| origin.read(&entry));
    origin.attributes()
}

/// The resource attributes, keys and encoded values, of the map that Fluent Bit's filter `kubernetes` adds.
pub fn kubernetes_attributes(map: &[u8], mut add: impl FnMut(&[u8], &[u8])) {
    let mut add_text = |key: &[u8], value: &[u8]| {
        if !matches!(fields::token(value), Token::Nil | Token::Str([])) {
            add(key, value);
        }
    };
    MapView::new(map).for_each(|entry| kubernetes(&mut add_text, &entry));
    let reference = MapView::new(map).get(b"container_image").map(text).unwrap_or_default();
    let (name, tag) = image(reference);
    let mut value = Vec::new();
    if !name.is_empty() {
        msgpack::str_bytes(&mut value, name);
        add(b"container.image.name", &value);
    }
    if !tag.is_empty() {
        value.clear();
        msgpack::array_header(&mut value, 1);
        msgpack::str_bytes(&mut value, tag);
        add(b"container.image.tags", &value);
    }
}

/// The encoded attributes of the event's resource: that of its group, or the one that a filter of ours has
/// given it.
fn resource_attributes<'a>(event: &Event<'a>) -> &'a [u8] {
    let holder = match event.group {
        Some(group) => group.body,
        None => MapView::new(event.metadata).get(keys::OTLP).unwrap_or_default(),
    };
    let resource = MapView::new(holder).get(keys::RESOURCE).unwrap_or_default();
    MapView::new(resource).get(keys::ATTRIBUTES).unwrap_or_default()
}

/// The attribute for a key of the `kubernetes` map whose value is one text.
fn kubernetes_key(key: &[u8]) -> Option<&'static [u8]> {
    Some(match key {
        b"pod_name" => b"k8s.pod.name",
        b"namespace_name" => b"k8s.namespace.name",
        b"pod_id" => b"k8s.pod.uid",
        b"pod_ip" => b"k8s.pod.ip",
        b"host" => b"k8s.node.name",
        b"container_name" => b"k8s.container.name",
        b"docker_id" => b"container.id",
        _ => return None,
    })
}

/// The prefix of the attributes for a key whose value is a map of texts.
fn kubernetes_prefix(key: &[u8]) -> Option<&'static [u8]> {
    Some(match key {
        b"labels" => b"k8s.pod.label.",
        b"annotations" => b"k8s.pod.annotation.",
        b"namespace_labels" => b"k8s.namespace.label.",
        b"namespace_annotations" => b"k8s.namespace.annotation.",
        _ => return None,
    })
}

/// Adds what a key of the `kubernetes` map says; keys that the conventions do not know become
/// `kubernetes.KEY`.
fn kubernetes(add: &mut impl FnMut(&[u8], &[u8]), entry: &Entry<'_>) {
    if let Some(key) = kubernetes_key(entry.key) {
        add(key, entry.value);
    } else if let Some(prefix) = kubernetes_prefix(entry.key)
        && fields::is_map(entry.value)
    {
        for pair in MapView::new(entry.value) {
            add(&[prefix, pair.key].concat(), pair.value);
        }
    } else if entry.key != b"container_image" {
        add(&[b"kubernetes.", entry.key].concat(), entry.value);
    }
}

/// Writes an image's name, and its tag, which is a list by the conventions.
fn write_image(out: &mut Vec<u8>, reference: &[u8]) {
    let (name, tag) = image(reference);
    if !name.is_empty() {
        values::text_attribute(out, 1, b"container.image.name", name);
    }
    if !tag.is_empty() {
        wire::message(out, 1, |out| {
            wire::text(out, 1, b"container.image.tags");
            wire::message(out, 2, |out| {
                wire::message(out, 5, |out| {
                    wire::message(out, 1, |out| wire::text(out, 1, tag));
                });
            });
        });
    }
}

/// The name and the tag of an image reference `[REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]`.
fn image(reference: &[u8]) -> (&[u8], &[u8]) {
    let named = reference.split(|&byte| byte == b'@').next().unwrap_or_default();
    let after_slash =
        named.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash.saturating_add(1));
    let colon = named.iter().rposition(|&byte| byte == b':').filter(|at| *at >= after_slash);
    match colon.and_then(|colon| named.split_at_checked(colon)) {
        Some((name, tag)) => (name, tag.strip_prefix(b":").unwrap_or(tag)),
        None => (named, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_a_name_and_perhaps_a_tag() {
        for (reference, name, tag) in [
            ("nginx", "nginx", ""),
            ("nginx:1.27", "nginx", "1.27"),
            ("r.example:5000/a/b", "r.example:5000/a/b", ""),
            ("r.example:5000/a/b:v1@sha256:00ff", "r.example:5000/a/b", "v1"),
            ("", "", ""),
        ] {
            let (name, tag) = (name.as_bytes(), tag.as_bytes());
            assert_eq!(image(reference.as_bytes()), (name, tag), "{reference}");
        }
    }
}
