//! What makes the key of a trace: the values of some fields.

use xxhash_rust::xxh3::xxh3_64;

use crate::sampling::policy::{Field, SpanParts};

/// The most values that a key is made of.
const MAX_VALUES: usize = 100;

/// The fields whose values make the key of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyFields {
    /// Those of any span, and then those of the root alone.
    fields: Vec<Field>,
    /// Whether the number of spans is part of the key.
    with_span_count: bool,
}

impl KeyFields {
    /// These fields; their order does not matter.
    #[must_use]
    pub fn new(mut fields: Vec<Field>, with_span_count: bool) -> Self {
        fields.sort_unstable_by(|a, b| (a.is_of_root(), a.text()).cmp(&(b.is_of_root(), b.text())));
        Self { fields, with_span_count }
    }

    /// The hash of the key of a trace.
    #[must_use]
    pub fn hash(&self, spans: &[SpanParts<'_>]) -> u64 {
        xxh3_64(&self.text(spans))
    }

    /// Shows the values of all fields in all spans as texts, with the place of the field.
    pub(in crate::sampling) fn values(
        &self,
        spans: &[SpanParts<'_>],
        show: &mut dyn FnMut(u64, &[u8]),
    ) {
        let mut text = Vec::new();
        for (field, place) in self.fields.iter().zip(0_u64..) {
            for span in spans.iter().filter(|span| span.is_root() || !field.is_of_root()) {
                field.values(span, &mut |value| {
                    text.clear();
                    value.write(&mut text);
                    show(place, &text);
                });
            }
        }
    }

    /// The key in the form of Refinery: of each field the distinct values of all spans in order, and then
    /// those of the root, and the number of spans.
    fn text(&self, spans: &[SpanParts<'_>]) -> Vec<u8> {
        let mut key = Vec::new();
        let mut room = MAX_VALUES;
        for field in &self.fields {
            let mut values: Vec<Vec<u8>> = Vec::new();
            for span in spans.iter().filter(|span| span.is_root() || !field.is_of_root()) {
                field.values(span, &mut |value| {
                    let mut text = Vec::new();
                    value.write(&mut text);
                    if room > 0 && !values.contains(&text) {
                        values.push(text);
                        room -= 1;
                    }
                });
            }
            values.sort_unstable();
            if field.is_of_root() {
                values.truncate(1);
            }
            for value in &values {
                key.extend_from_slice(value);
                if !field.is_of_root() {
                    key.extend_from_slice("•".as_bytes());
                }
            }
            if !values.is_empty() {
                key.push(b',');
            }
        }
        if self.with_span_count {
            key.extend_from_slice(spans.len().to_string().as_bytes());
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::records::Events;
    use crate::codec::records::testing::{SpanRecord, chunk};

    fn key(fields: &[&str], count: bool, spans: &[SpanRecord]) -> String {
        let chunk = chunk(spans);
        let events: Vec<_> = Events::new(&chunk).map(Result::unwrap).collect();
        let parts: Vec<_> = events.iter().map(SpanParts::of_event).collect();
        let fields = fields.iter().map(|field| Field::parse(field).unwrap()).collect();
        String::from_utf8(KeyFields::new(fields, count).text(&parts)).unwrap()
    }

    /// Cases: Refinery, `TestKeyGeneration`.
    #[test]
    fn keys_are_those_of_the_published_tests() {
        let fields = ["http.status_code", "request.path", "app.team.id", "important_field"];
        let span = |id| SpanRecord::new(1, id).parent(9);
        let whole = span(1)
            .with("http.status_code", 200)
            .with("request.path", "/{slug}/home")
            .with("app.team.id", 2.0)
            .with("important_field", true);
        assert_eq!(key(&fields, true, &[whole]), "2•,200•,true•,/{slug}/home•,1");
        let apart = [
            span(1).with("http.status_code", 200),
            span(2).with("request.path", "/{slug}/home"),
            span(3).with("app.team.id", 2.0),
            span(4).with("important_field", true),
        ];
        assert_eq!(key(&fields, true, &apart), "2•,200•,true•,/{slug}/home•,4");
        let codes = [200, 200, 404, 404].map(|code| span(1).with("http.status_code", code));
        assert_eq!(key(&fields[..1], true, &codes), "200•404•,4");
        let of_root = ["http.status_code", "root.service_name", "root.another_field"];
        let spans = [
            span(1).with("http.status_code", 404),
            span(2).with("http.status_code", 200).with("service_name", "another"),
            SpanRecord::new(1, 3).with("service_name", "test"),
        ];
        assert_eq!(key(&of_root, true, &spans), "200•404•,test,3");
        let none = [span(1).with("app.team.id", 2), SpanRecord::new(1, 2).with("x", true)];
        assert_eq!(key(&fields[..2], true, &none), "2");
    }

    /// Cases: the Collector, `TestExtractKey_ScopedSelectors` and its likes, whose values are joined as Refinery's
    /// are.
    #[test]
    fn selectors_look_where_the_published_tests_do() {
        let spans = [
            SpanRecord::new(1, 1).service("api").with("http.route", "/users"),
            SpanRecord::new(1, 2).service("api").parent(1).with("http.route", "/users/id"),
        ];
        let leaking = [spans[0].clone().with("service.name", "span-level"), spans[1].clone()];
        for (selector, want) in [
            ("resource.attributes[\"service.name\"]", "api•,"),
            ("resource.attributes[\"http.route\"]", ""),
            ("span.attributes[\"http.route\"]", "/users•/users/id•,"),
            ("root.attributes[\"http.route\"]", "/users,"),
            ("any.attributes[\"service.name\"]", "api•span-level•,"),
            ("any.attributes[\"missing\"]", ""),
        ] {
            assert_eq!(key(&[selector], false, &leaking), want, "{selector}");
        }
        for wrong in ["spans.attributes[\"k\"]", "span.attributes[k]", "span.attributes[\"\"]"] {
            assert!(Field::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// Case: Refinery, `TestKeyLimits`.
    #[test]
    fn a_key_has_so_many_values_and_no_more() {
        let span = |index: i64| {
            let text = format!("value{index}");
            SpanRecord::new(1, 1).with("a", text.as_str()).with("b", index)
        };
        let spans: Vec<_> = (0..160).map(span).collect();
        assert_eq!(key(&["a", "b"], false, &spans).matches('•').count(), MAX_VALUES);
    }

    #[test]
    fn the_order_of_fields_does_not_matter() {
        let span = [SpanRecord::new(1, 1).with("a", "x").with("b", "y")];
        let wanted = key(&["a", "b", "root.c"], false, &span);
        assert_eq!(key(&["root.c", "b", "a"], false, &span), wanted);
        assert_ne!(key(&["a"], false, &span), key(&["b"], false, &span));
    }
}
