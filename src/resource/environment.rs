//! `env`: what the user says in OpenTelemetry's own variables.
//!
//! Resource SDK, "Specifying resource information via an environment variable": a list `key=value,...`
//! with percent-encoded keys and values; with any error in it the whole value is not used, and the
//! error is told. SDK environment variables: `OTEL_SERVICE_NAME` comes before a `service.name` there.

use super::attribute::ResourceAttributes;
use super::facts::Facts;

/// Reads both variables. What is wrong is noted in words that do not show the value.
pub(super) fn detect(facts: &Facts, found: &mut ResourceAttributes, notes: &mut Vec<String>) {
    if let Some(name) = facts.variable("OTEL_SERVICE_NAME") {
        found.text("service.name", name);
    }
    let Some(list) = facts.variable("OTEL_RESOURCE_ATTRIBUTES") else { return };
    match parse(list) {
        Ok(pairs) => pairs.iter().for_each(|(key, value)| found.text(key, value)),
        Err(wrong) => notes.push(format!(
            "OTEL_RESOURCE_ATTRIBUTES is not used: {wrong}; allowed: key=value,key=value, with ',', '=' \
             and '%' as %2C, %3D and %25"
        )),
    }
}

fn parse(list: &str) -> Result<Vec<(String, String)>, String> {
    let parse = |(index, member): (usize, &str)| {
        let number = index.saturating_add(1);
        let (key, value) = member.split_once('=').ok_or(format!("part {number} has no '='"))?;
        let wrong = || format!("part {number} cannot be decoded");
        let key = decode(key.trim()).ok_or_else(wrong)?;
        let value = decode(value.trim()).ok_or_else(wrong)?;
        if key.is_empty() { Err(format!("part {number} has no key")) } else { Ok((key, value)) }
    };
    list.split(',').enumerate().map(parse).collect()
}

/// The text with its percent-encoded bytes; `None` if an encoding is broken, a '=' stands there in
/// the open, or the bytes are no UTF-8.
fn decode(text: &str) -> Option<String> {
    let broken = text.split('%').skip(1).any(|rest| {
        let mut digits = rest.bytes().take(2).filter(u8::is_ascii_hexdigit);
        digits.next().and(digits.next()).is_none()
    });
    if broken || text.contains('=') {
        return None;
    }
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(variables: &[(&str, &str)]) -> (ResourceAttributes, Vec<String>) {
        let variables = variables.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        let facts = Facts { variables: variables.collect(), ..Facts::default() };
        let (mut found, mut notes) = (ResourceAttributes::default(), Vec::new());
        detect(&facts, &mut found, &mut notes);
        (found, notes)
    }

    #[test]
    fn lists_are_decoded_and_the_service_name_has_its_own_variable() {
        let (found, notes) = detected(&[
            ("OTEL_RESOURCE_ATTRIBUTES", " service.name=a , team%3Dx=b%2Cc%20d%25,m=%E2%82%AC,e="),
            ("OTEL_SERVICE_NAME", " shop "),
        ]);
        assert_eq!(notes, [""; 0]);
        assert_eq!(found.text_of("service.name"), Some("shop"));
        assert_eq!(found.text_of("team=x"), Some("b,c d%"));
        assert_eq!(found.text_of("m"), Some("\u{20ac}"));
        assert_eq!(found.len(), 3, "an empty value says nothing");
    }

    #[test]
    fn any_error_drops_the_whole_list_and_shows_no_value() {
        for list in ["a=1,secret", "a=1,=secret", "a=1,b=%2", "a=1,b=%zz", "a=%ff", "a=b=c", "a=1,"]
        {
            let (found, notes) = detected(&[("OTEL_RESOURCE_ATTRIBUTES", list)]);
            assert!(found.is_empty(), "{list}");
            assert_eq!(notes.len(), 1, "{list}");
            assert!(notes[0].contains("part ") && !notes[0].contains("secret"), "{notes:?}");
        }
        assert_eq!(detected(&[]), (ResourceAttributes::default(), Vec::new()));
    }
}
