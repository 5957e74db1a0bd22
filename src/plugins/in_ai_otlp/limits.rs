//! The options that say what clients may cost.

use std::time::Duration;

use super::stock;
use crate::config::{Parser, parse_duration};
use crate::plugin::{OptionKind, OptionSpec};
use crate::receive::{Limits, UnixSocket};

pub(super) const MAX_CONNECTIONS: OptionSpec = OptionSpec::new(
    "max_connections",
    OptionKind::Int,
    Some("1024"),
    "Open connections at most; 0 is no limit. At the limit a new connection takes the place of the one that has been without a request for longest.",
);
pub(super) const MAX_CONCURRENT_STREAMS: OptionSpec = OptionSpec::new(
    "max_concurrent_streams",
    OptionKind::Int,
    Some("256"),
    "Calls at a time on one HTTP/2 connection.",
);
pub(super) const MAX_HEADER_SIZE: OptionSpec = OptionSpec::new(
    "max_header_size",
    OptionKind::Size,
    Some("16384"),
    "Largest headers of a request; larger ones are answered 431.",
);
pub(super) const HEADER_TIMEOUT: OptionSpec = OptionSpec::new(
    "header_timeout",
    OptionKind::Time,
    Some("30s"),
    "How long a new connection may take to the end of its first request's headers.",
);
pub(super) const READ_TIMEOUT: OptionSpec = OptionSpec::new(
    "read_timeout",
    OptionKind::Time,
    Some("30s"),
    "How long a request's body may take to arrive.",
);
pub(super) const IDLE_TIMEOUT: OptionSpec = OptionSpec::new(
    "idle_timeout",
    OptionKind::Time,
    Some("5m"),
    "How long a connection may stay without a request; 0 is no limit.",
);
pub(super) const KEEPALIVE_TIME: OptionSpec = OptionSpec::new(
    "keepalive_time",
    OptionKind::Time,
    Some("30s"),
    "How often an HTTP/2 client is asked for a sign of life; 0 is never.",
);
pub(super) const KEEPALIVE_TIMEOUT: OptionSpec = OptionSpec::new(
    "keepalive_timeout",
    OptionKind::Time,
    Some("20s"),
    "How long that sign of life may take until the connection is closed.",
);
pub(super) const MAX_CONNECTION_AGE: OptionSpec = OptionSpec::new(
    "max_connection_age",
    OptionKind::Time,
    Some("0"),
    "After how long, 10% more or less, a client is asked to connect anew, so that load balancers can spread connections; 0 is never.",
);
pub(super) const MAX_CONNECTION_AGE_GRACE: OptionSpec = OptionSpec::new(
    "max_connection_age_grace",
    OptionKind::Time,
    Some("30s"),
    "How long the requests of such a connection may still take.",
);
pub(super) const QUEUE_TIMEOUT: OptionSpec = OptionSpec::new(
    "queue_timeout",
    OptionKind::Time,
    Some("5s"),
    "How long a request may wait for the pipeline before its sender is told to send it again; less than senders wait for an answer.",
);
pub(super) const UNIX_SOCKET: OptionSpec = OptionSpec::new(
    "unix_socket",
    OptionKind::Str,
    None,
    "Path of a Unix socket that takes OTLP/gRPC and OTLP/HTTP too.",
);
pub(super) const UNIX_PERM: OptionSpec = OptionSpec::new(
    "unix_perm",
    OptionKind::Str,
    None,
    "Permissions of the Unix socket in octal, for example 0660; without it the umask decides.",
);

/// The longest time that an option may say: more is a mistake.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
const LEAST: Duration = Duration::from_millis(10);

pub(super) fn read(parser: &mut Parser<'_>) -> Limits {
    let standard = Limits::default();
    let max_connections = stock::name(parser, "max_connections");
    let idle_timeout = stock::name(parser, "idle_timeout");
    let max_connections = parser.parsed(
        max_connections,
        standard.max_connections,
        "allowed: a whole number from 0",
        |text| text.parse::<usize>().ok().map(|count| Some(count).filter(|count| *count > 0)),
    );
    let max_concurrent_streams = parser.parsed(
        "max_concurrent_streams",
        standard.max_concurrent_streams,
        "allowed: a whole number from 1 to 1000000",
        |text| text.parse().ok().filter(|count| (1..=1_000_000).contains(count)),
    );
    Limits {
        http2: stock::http2(parser),
        max_connections,
        max_concurrent_streams,
        max_header_size: header_size(parser, standard.max_header_size),
        header_timeout: time(parser, "header_timeout", standard.header_timeout),
        read_timeout: time(parser, "read_timeout", standard.read_timeout),
        idle_timeout: optional(parser, idle_timeout, standard.idle_timeout),
        keepalive_time: optional(parser, "keepalive_time", standard.keepalive_time),
        keepalive_timeout: time(parser, "keepalive_timeout", standard.keepalive_timeout),
        max_connection_age: optional(parser, "max_connection_age", standard.max_connection_age),
        max_connection_age_grace: time(
            parser,
            "max_connection_age_grace",
            standard.max_connection_age_grace,
        ),
        queue_timeout: time(parser, "queue_timeout", standard.queue_timeout),
    }
}

/// A port, or nothing for `off`.
pub(super) fn port(parser: &mut Parser<'_>, option: &str, default: u16) -> Option<u16> {
    let allowed = "allowed: a port from 0 to 65535 (0 lets the system choose), off";
    parser.parsed(option, Some(default), allowed, |text| {
        if text.eq_ignore_ascii_case("off") { Some(None) } else { text.parse().ok().map(Some) }
    })
}

pub(super) fn unix_socket(parser: &mut Parser<'_>) -> Option<UnixSocket> {
    let allowed = "allowed: permissions in octal from 0 to 0777";
    let permissions = parser.parsed("unix_perm", None, allowed, |text| {
        u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).map(Some)
    });
    let path = parser.text("unix_socket").map(str::trim).filter(|path| !path.is_empty());
    if path.is_none() && permissions.is_some() {
        parser.problem("option 'unix_perm' needs the option 'unix_socket'");
    }
    path.map(|path| UnixSocket { path: path.into(), permissions })
}

fn header_size(parser: &mut Parser<'_>, default: u32) -> u32 {
    let size = parser.size("max_header_size", u64::from(default));
    match u32::try_from(size) {
        Ok(size) if (1000..=10_000_000).contains(&size) => size,
        _ => {
            parser.refuse("max_header_size", &size.to_string(), "allowed: from 1k to 10m");
            default
        }
    }
}

/// A time that cannot be without end.
fn time(parser: &mut Parser<'_>, option: &str, default: Duration) -> Duration {
    parser.parsed(option, default, "allowed: from 10ms to 365d", |text| {
        parse_duration(text).filter(|time| (LEAST..=LONGEST).contains(time))
    })
}

fn optional(parser: &mut Parser<'_>, option: &str, default: Option<Duration>) -> Option<Duration> {
    parser.parsed(option, default, "allowed: 0, or from 10ms to 365d", |text| match parse_duration(
        text,
    )? {
        Duration::ZERO => Some(None),
        time => Some(time).filter(|time| (LEAST..=LONGEST).contains(time)).map(Some),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Given;

    const ALL: [OptionSpec; 11] = [
        MAX_CONNECTIONS,
        MAX_CONCURRENT_STREAMS,
        MAX_HEADER_SIZE,
        HEADER_TIMEOUT,
        READ_TIMEOUT,
        IDLE_TIMEOUT,
        KEEPALIVE_TIME,
        KEEPALIVE_TIMEOUT,
        MAX_CONNECTION_AGE,
        MAX_CONNECTION_AGE_GRACE,
        QUEUE_TIMEOUT,
    ];

    fn parsed(options: &[(&str, &str)]) -> Result<Limits, String> {
        let given = Given::of(options);
        let mut parser = Parser::new(&given);
        let limits = read(&mut parser);
        parser.finish(limits).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_shown_are_the_defaults() {
        let shown: Vec<_> = ALL.iter().map(|spec| (spec.name, spec.default.unwrap())).collect();
        assert_eq!(parsed(&shown), Ok(Limits::default()));
        assert_eq!(parsed(&[]), Ok(Limits::default()));
    }

    #[test]
    fn values_are_read_and_wrong_ones_told() {
        let limits = parsed(&[
            ("max_connections", "0"),
            ("idle_timeout", "0"),
            ("keepalive_time", "0s"),
            ("max_connection_age", "1h"),
            ("queue_timeout", "250ms"),
            ("max_header_size", "64k"),
        ])
        .unwrap();
        assert_eq!((limits.max_connections, limits.idle_timeout), (None, None));
        assert_eq!(limits.max_connection_age, Some(Duration::from_secs(3600)));
        assert_eq!(limits.queue_timeout, Duration::from_millis(250));
        assert_eq!((limits.keepalive_time, limits.max_header_size), (None, 64_000));
        for (option, value) in [
            ("max_connections", "-1"),
            ("max_concurrent_streams", "0"),
            ("max_header_size", "10"),
            ("max_header_size", "5g"),
            ("header_timeout", "0"),
            ("read_timeout", "9999d"),
            ("idle_timeout", "1ms"),
            ("keepalive_timeout", "soon"),
            ("queue_timeout", "0"),
        ] {
            let words = parsed(&[(option, value)]).unwrap_err();
            assert!(words.contains(option) && words.contains("allowed:"), "{words}");
        }
    }

    #[test]
    fn sockets_and_ports() {
        let with = |option: &str, value: &str| Given::of(&[(option, value)]);
        let port_of = |value: &str| {
            let given = with("grpc_port", value);
            let mut parser = Parser::new(&given);
            let port = port(&mut parser, "grpc_port", 4317);
            parser.finish(port).map_err(|error| error.to_string())
        };
        assert_eq!(
            (port_of("off"), port_of("0"), port_of("1")),
            (Ok(None), Ok(Some(0)), Ok(Some(1)))
        );
        assert!(port_of("none").unwrap_err().contains("off"));
        let given = with("unix_perm", "0660");
        let mut parser = Parser::new(&given);
        assert_eq!(unix_socket(&mut parser), None);
        assert!(parser.finish(()).unwrap_err().to_string().contains("needs the option"));
        for wrong in ["0999", "1777", "rw"] {
            let given = with("unix_perm", wrong);
            let mut parser = Parser::new(&given);
            unix_socket(&mut parser);
            assert!(parser.finish(()).unwrap_err().to_string().contains("octal"));
        }
        let options = [("unix_socket", "/run/otlp.sock"), ("unix_perm", "660")];
        let given = Given::of(&options);
        let mut parser = Parser::new(&given);
        let socket = unix_socket(&mut parser).unwrap();
        assert_eq!(socket.path.to_str(), Some("/run/otlp.sock"));
        assert_eq!(socket.permissions, Some(0o660));
    }
}
