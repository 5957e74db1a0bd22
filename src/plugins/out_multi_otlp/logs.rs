//! The options `logs_*`: where ordinary logs have what OTLP has fields for.

use crate::codec::msgpack::Accessor;
use crate::codec::native::{LogAccessors, Places};
use crate::config::Parser;
use crate::plugin::{OptionKind, OptionSpec};

const ALLOWED: &str = "allowed: a record accessor, as in $log, $a['b']['c'] or $list[0], of 16 keys and numbers at most";

/// The option that may be repeated.
pub(super) const BODY_KEY: OptionSpec = OptionSpec::new(
    "logs_body_key",
    OptionKind::Str,
    None,
    "Record accessor, such as $log or $a['b'], to the body of ordinary logs; of several the first \
     that is there counts, whatever its type. By default text under log, message, msg, body.",
)
.repeated();

/// The switch for what is beside the body.
pub(super) const BODY_KEY_ATTRIBUTES: OptionSpec = OptionSpec::new(
    "logs_body_key_attributes",
    OptionKind::Bool,
    Some("on"),
    "Whether what is beside the body of an ordinary log becomes attributes; off drops it, as Fluent \
     Bit's own output does unless told otherwise. It is on because else those keys would be lost.",
);

/// An option that names a key of the metadata.
pub(super) const fn metadata(
    name: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> OptionSpec {
    OptionSpec::new(name, OptionKind::Str, default, help)
}

/// An option that names a key of the record itself.
pub(super) const fn message(name: &'static str) -> OptionSpec {
    OptionSpec::new(
        name,
        OptionKind::Str,
        None,
        "The same in the record itself, which is asked after its metadata.",
    )
}

pub(super) fn parse(parser: &mut Parser<'_>) -> LogAccessors {
    let defaults = LogAccessors::default();
    let body: Vec<_> = parser.texts(BODY_KEY.name);
    LogAccessors {
        body: body.into_iter().filter_map(|text| accessor(parser, BODY_KEY.name, text)).collect(),
        body_attributes: parser.bool(BODY_KEY_ATTRIBUTES.name, defaults.body_attributes),
        timestamp: places(parser, "timestamp", defaults.timestamp),
        observed_timestamp: places(parser, "observed_timestamp", defaults.observed_timestamp),
        severity_text: places(parser, "severity_text", defaults.severity_text),
        severity_number: places(parser, "severity_number", defaults.severity_number),
        trace_id: places(parser, "trace_id", defaults.trace_id),
        span_id: places(parser, "span_id", defaults.span_id),
        trace_flags: places(parser, "trace_flags", defaults.trace_flags),
        attributes: given(parser, "logs_attributes_metadata_key").or(defaults.attributes),
    }
}

fn places(parser: &mut Parser<'_>, field: &str, defaults: Places) -> Places {
    Places {
        metadata: given(parser, &format!("logs_{field}_metadata_key")).or(defaults.metadata),
        message: given(parser, &format!("logs_{field}_message_key")).or(defaults.message),
    }
}

fn given(parser: &mut Parser<'_>, option: &str) -> Option<Accessor> {
    parser.text(option).and_then(|text| accessor(parser, option, text))
}

fn accessor(parser: &mut Parser<'_>, option: &str, text: &str) -> Option<Accessor> {
    match Accessor::parse(text) {
        Ok(accessor) => Some(accessor),
        Err(error) => {
            parser.refuse(option, text, &format!("{error}; {ALLOWED}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MultiOtlp, tests};
    use super::*;
    use crate::plugin::{OpenError, Output as _};

    fn read(given: &[(&str, &str)]) -> Result<LogAccessors, OpenError> {
        let given = [&[("endpoint.a.url", "http://a")], given].concat();
        tests::read(&given).map(|settings| settings.logs)
    }

    fn of(text: &str) -> Option<Accessor> {
        Some(Accessor::parse(text).unwrap())
    }

    #[test]
    fn without_options_the_defaults_are_used_and_shown() {
        let logs = read(&[]).unwrap();
        assert_eq!(logs, LogAccessors::default());
        for (name, accessor) in [
            ("logs_timestamp_metadata_key", &logs.timestamp.metadata),
            ("logs_observed_timestamp_metadata_key", &logs.observed_timestamp.metadata),
            ("logs_attributes_metadata_key", &logs.attributes),
        ] {
            let spec = MultiOtlp::SPEC.options.iter().find(|spec| spec.name == name).unwrap();
            assert_eq!(spec.default.and_then(of), *accessor, "{name}");
        }
    }

    #[test]
    fn every_option_is_read_and_declared() {
        let fields = [
            "timestamp",
            "observed_timestamp",
            "severity_text",
            "severity_number",
            "trace_id",
            "span_id",
            "trace_flags",
        ];
        let mut given = vec![
            ("logs_body_key".to_owned(), "$a['b']".to_owned()),
            ("logs_body_key".to_owned(), "text".to_owned()),
            ("logs_body_key_attributes".to_owned(), "off".to_owned()),
            ("logs_attributes_metadata_key".to_owned(), "$more".to_owned()),
        ];
        for field in fields {
            given.push((format!("logs_{field}_metadata_key"), format!("$m['{field}']")));
            given.push((format!("logs_{field}_message_key"), format!("$r['{field}']")));
        }
        for (name, _) in &given {
            assert!(MultiOtlp::SPEC.options.iter().any(|spec| spec.name == name), "{name}");
        }
        let given: Vec<_> = given.iter().map(|(key, value)| (&**key, &**value)).collect();
        let logs = read(&given).unwrap();
        assert_eq!(
            logs.body.iter().cloned().map(Some).collect::<Vec<_>>(),
            [of("$a['b']"), of("$text")]
        );
        assert!(!logs.body_attributes);
        assert_eq!(logs.attributes, of("$more"));
        let read = [
            &logs.timestamp,
            &logs.observed_timestamp,
            &logs.severity_text,
            &logs.severity_number,
            &logs.trace_id,
            &logs.span_id,
            &logs.trace_flags,
        ];
        for (field, places) in fields.iter().zip(read) {
            assert_eq!(places.metadata, of(&format!("$m['{field}']")), "{field}");
            assert_eq!(places.message, of(&format!("$r['{field}']")), "{field}");
        }
    }

    #[test]
    fn a_file_may_list_several_bodies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs.yaml");
        std::fs::write(&path, "logs_body_key: [$a, \"$b['c']\"]\nlogs_body_key_attributes: off\n")
            .unwrap();
        let logs = read(&[("config_file", &path.display().to_string())]).unwrap();
        assert_eq!((logs.body.len(), logs.body_attributes), (2, false));
        assert_eq!(logs.body.last().cloned(), of("$b['c']"));
    }

    #[test]
    fn what_is_no_accessor_is_refused_in_words() {
        let problems = read(&[
            ("logs_body_key", "$log"),
            ("logs_body_key", "$log["),
            ("logs_body_key_attributes", "some"),
            ("logs_trace_id_message_key", ""),
            ("logs_severity_text_metadata_key", "$TAG"),
            ("logs_attributes_metadata_key", "$a[b]"),
        ])
        .unwrap_err()
        .0;
        for expected in [
            "option 'logs_body_key': '$log[' is not allowed; a bracket is not closed; allowed: a \
             record accessor, as in $log, $a['b']['c']",
            "option 'logs_body_key_attributes': 'some' is not allowed; allowed: on, off",
            "option 'logs_trace_id_message_key': '' is not allowed; it names no key; allowed",
            "option 'logs_severity_text_metadata_key': '$TAG' is not allowed; the tag is no part",
            "option 'logs_attributes_metadata_key': '$a[b]' is not allowed; between brackets",
        ] {
            assert!(problems.iter().any(|p| p.contains(expected)), "{expected}: {problems:#?}");
        }
        assert_eq!(problems.len(), 5);
    }
}
