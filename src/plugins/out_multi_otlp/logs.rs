//! Options `logs_*`: where ordinary logs have what OTLP has fields for.

use crate::codec::fluentbit::{FieldAccessors, LogAccessors};
use crate::codec::msgpack::Accessor;
use crate::config::read::{self, Read};
use crate::config::{Parser, options};
use crate::plugin::{OpenError, OptionSpec};

const ALLOWED: &str = "allowed: a record accessor, as in $log, $a['b']['c'] or $list[0], of 16 keys and numbers at most";

/// The help of options that name a key of the record itself.
const MESSAGE: &str = "The same in the record itself, which is asked after its metadata.";

options! {
    /// What is configured.
    struct Given in pub(super) OPTIONS {
        body: Vec<Accessor> = accessors,
            Str "logs_body_key" [repeated],
            "Record accessor, such as $log or $a['b'], to the body of ordinary logs; of several the first \
             that is there counts, whatever its type. By default text under log, message, msg, body.";
        body_attributes: bool = read::bool,
            Bool "logs_body_key_attributes" = "on",
            "Whether what is beside the body of an ordinary log becomes attributes; off drops it, as Fluent \
             Bit's own output does unless told otherwise. It is on because else those keys would be lost.";
        timestamp_metadata: Option<Accessor> = accessor,
            Str "logs_timestamp_metadata_key" = "$Timestamp",
            "Record accessor to the time in the metadata of ordinary logs, in nanoseconds.";
        timestamp_message: Option<Accessor> = accessor,
            Str "logs_timestamp_message_key",
            MESSAGE;
        observed_timestamp_metadata: Option<Accessor> = accessor,
            Str "logs_observed_timestamp_metadata_key" = "$ObservedTimestamp",
            "Record accessor to the time of observation in the metadata, in nanoseconds.";
        observed_timestamp_message: Option<Accessor> = accessor,
            Str "logs_observed_timestamp_message_key",
            MESSAGE;
        severity_text_metadata: Option<Accessor> = accessor,
            Str "logs_severity_text_metadata_key",
            "Record accessor to the severity text in the metadata, before the common keys.";
        severity_text_message: Option<Accessor> = accessor,
            Str "logs_severity_text_message_key",
            MESSAGE;
        severity_number_metadata: Option<Accessor> = accessor,
            Str "logs_severity_number_metadata_key",
            "Record accessor to the severity number (1 to 24) in the metadata, before the common \
             keys.";
        severity_number_message: Option<Accessor> = accessor,
            Str "logs_severity_number_message_key",
            MESSAGE;
        trace_id_metadata: Option<Accessor> = accessor,
            Str "logs_trace_id_metadata_key",
            "Record accessor to the trace id (32 hex digits or 16 bytes) in the metadata, before \
             the common keys.";
        trace_id_message: Option<Accessor> = accessor,
            Str "logs_trace_id_message_key",
            MESSAGE;
        span_id_metadata: Option<Accessor> = accessor,
            Str "logs_span_id_metadata_key",
            "Record accessor to the span id (16 hex digits or 8 bytes) in the metadata, before \
             the common keys.";
        span_id_message: Option<Accessor> = accessor,
            Str "logs_span_id_message_key",
            MESSAGE;
        trace_flags_metadata: Option<Accessor> = accessor,
            Str "logs_trace_flags_metadata_key",
            "Record accessor to the trace flags, an integer, in the metadata, before the common \
             keys.";
        trace_flags_message: Option<Accessor> = accessor,
            Str "logs_trace_flags_message_key",
            MESSAGE;
        attributes: Option<Accessor> = accessor,
            Str "logs_attributes_metadata_key" = "$Attributes",
            "Record accessor to a map in the metadata whose pairs become attributes.";
    }
}

pub(super) fn parse(parser: &mut Parser<'_>) -> Result<LogAccessors, OpenError> {
    let given = Given::read(parser)?;
    let pair = |metadata, message| FieldAccessors { metadata, message };
    Ok(LogAccessors {
        body: given.body,
        body_attributes: given.body_attributes,
        timestamp: pair(given.timestamp_metadata, given.timestamp_message),
        observed_timestamp: pair(
            given.observed_timestamp_metadata,
            given.observed_timestamp_message,
        ),
        severity_text: pair(given.severity_text_metadata, given.severity_text_message),
        severity_number: pair(given.severity_number_metadata, given.severity_number_message),
        trace_id: pair(given.trace_id_metadata, given.trace_id_message),
        span_id: pair(given.span_id_metadata, given.span_id_message),
        trace_flags: pair(given.trace_flags_metadata, given.trace_flags_message),
        attributes: given.attributes,
    })
}

/// A record accessor, if there is one.
fn accessor(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<Accessor>> {
    let given = parser.text(option.name).and_then(|text| parsed(parser, option, text));
    Some(given.or_else(|| Accessor::parse(option.default?).ok()))
}

fn accessors(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<Accessor>> {
    let texts = parser.texts(option.name);
    Some(texts.into_iter().filter_map(|text| parsed(parser, option, text)).collect())
}

fn parsed(parser: &mut Parser<'_>, option: &OptionSpec, text: &str) -> Option<Accessor> {
    match Accessor::parse(text) {
        Ok(accessor) => Some(accessor),
        Err(error) => {
            parser.refuse(option.name, text, &format!("{error}; {ALLOWED}"));
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
        for (field, accessors) in fields.iter().zip(read) {
            assert_eq!(accessors.metadata, of(&format!("$m['{field}']")), "{field}");
            assert_eq!(accessors.message, of(&format!("$r['{field}']")), "{field}");
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
    fn what_is_no_accessor_is_refused_with_a_message() {
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
