//! Options of `ai_otlp` that limit what clients may cost.

use std::time::Duration;

use super::stock;
use crate::config::read::{self, Read};
use crate::config::{Parser, options, parse_duration, parse_size};
use crate::plugin::{OpenError, OptionSpec};
use crate::receive::{ClientLimits, UnixSocket};

options! {
    /// What is configured.
    struct Given in pub(super) OPTIONS {
        socket_path: Option<String> = read::trimmed,
            Str "unix_socket",
            "Path of a Unix socket that takes OTLP/gRPC and OTLP/HTTP too.";
        socket_permissions: Option<u32> = permissions,
            Str "unix_perm",
            "Permissions of the Unix socket in octal, for example 0660; without it the umask decides.";
        queue_timeout: Duration = time,
            Time "queue_timeout" = "5s",
            "How long a request may wait for the pipeline before its sender is told to send it again; less than senders wait for an answer.";
        max_connections: Option<usize> = stock::aliased(connections),
            Int "max_connections" = "1024",
            "Open connections at most; 0 is no limit. At the limit a new connection takes the place of the one that has been without a request for longest.";
        max_concurrent_streams: u32 = streams,
            Int "max_concurrent_streams" = "256",
            "Calls at a time on one HTTP/2 connection.";
        max_header_size: u32 = header_size,
            Size "max_header_size" = "16384",
            "Largest headers of a request; larger ones are answered 431.";
        header_timeout: Duration = time,
            Time "header_timeout" = "30s",
            "How long a new connection may take to the end of its first request's headers.";
        read_timeout: Duration = time,
            Time "read_timeout" = "30s",
            "How long a request's body may take to arrive.";
        idle_timeout: Option<Duration> = stock::aliased(time_or_none),
            Time "idle_timeout" = "5m",
            "How long a connection may stay without a request; 0 is no limit.";
        keepalive_time: Option<Duration> = time_or_none,
            Time "keepalive_time" = "30s",
            "How often an HTTP/2 client is asked for a sign of life; 0 is never.";
        keepalive_timeout: Duration = time,
            Time "keepalive_timeout" = "20s",
            "How long that sign of life may take until the connection is closed.";
        max_connection_age: Option<Duration> = time_or_none,
            Time "max_connection_age" = "0",
            "After how long, 10% more or less, a client is asked to connect anew, so that load balancers can spread connections; 0 is never.";
        max_connection_age_grace: Duration = time,
            Time "max_connection_age_grace" = "30s",
            "How long the requests of such a connection may still take.";
    }
}

/// No time is longer: durations of this kind can still be added to a clock.
const MAX_TIME: Duration = Duration::from_secs(365 * 86_400);
/// Below this a time would close connections that do nothing wrong.
const MIN_TIME: Duration = Duration::from_millis(10);

/// Reads the options: the limits, and the socket if there is one.
pub(super) fn read(
    parser: &mut Parser<'_>,
    http2: bool,
) -> Result<(ClientLimits, Option<UnixSocket>), OpenError> {
    let given = Given::read(parser)?;
    let permissions = given.socket_permissions;
    if given.socket_path.is_none() && permissions.is_some() {
        parser.problem("option 'unix_perm' needs the option 'unix_socket'");
    }
    let socket = given.socket_path.map(|path| UnixSocket { path: path.into(), permissions });
    let limits = ClientLimits {
        http2,
        max_connections: given.max_connections,
        max_concurrent_streams: given.max_concurrent_streams,
        max_header_size: given.max_header_size,
        header_timeout: given.header_timeout,
        read_timeout: given.read_timeout,
        idle_timeout: given.idle_timeout,
        keepalive_time: given.keepalive_time,
        keepalive_timeout: given.keepalive_timeout,
        max_connection_age: given.max_connection_age,
        max_connection_age_grace: given.max_connection_age_grace,
        queue_timeout: given.queue_timeout,
    };
    Ok((limits, socket))
}

/// A port, or nothing for `off`.
pub(super) fn port(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<u16>> {
    let allowed = "allowed: a port from 0 to 65535 (0 lets the system choose), off";
    parser.value(option, allowed, |text| {
        if text.eq_ignore_ascii_case("off") { Some(None) } else { text.parse().ok().map(Some) }
    })
}

fn permissions(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<u32>> {
    read::optional("allowed: permissions in octal from 0 to 0777", |text| {
        u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777)
    })(parser, option)
}

fn connections(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<usize>> {
    parser.value(option, "allowed: a whole number from 0", |text| {
        text.parse::<usize>().ok().map(|count| Some(count).filter(|count| *count > 0))
    })
}

fn streams(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<u32> {
    parser.value(option, "allowed: a whole number from 1 to 1000000", |text| {
        text.parse().ok().filter(|count| (1..=1_000_000).contains(count))
    })
}

fn header_size(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<u32> {
    parser.value(option, "allowed: from 1k to 10m", |text| {
        let size = u32::try_from(parse_size(text)?).ok()?;
        (1000..=10_000_000).contains(&size).then_some(size)
    })
}

/// A time that cannot be without end.
fn time(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    parser.value(option, "allowed: from 10ms to 365d", |text| {
        parse_duration(text).filter(|time| (MIN_TIME..=MAX_TIME).contains(time))
    })
}

/// A time, or none for 0.
fn time_or_none(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<Duration>> {
    parser.value(option, "allowed: 0, or from 10ms to 365d", |text| match parse_duration(text)? {
        Duration::ZERO => Some(None),
        time => Some(time).filter(|time| (MIN_TIME..=MAX_TIME).contains(time)).map(Some),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{GivenOptions as Options, OptionKind};

    fn parsed(options: &[(&str, &str)]) -> Result<ClientLimits, String> {
        let given = Options::of(options);
        let mut parser = Parser::new(&given);
        let read = read(&mut parser, true).unwrap();
        parser.finish(read.0).map_err(|error| error.to_string())
    }

    #[test]
    fn tests_of_the_receiver_use_the_same_defaults() {
        assert_eq!(parsed(&[]), Ok(ClientLimits::default()));
    }

    #[test]
    fn values_are_read_and_wrong_ones_reported() {
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
            let message = parsed(&[(option, value)]).unwrap_err();
            assert!(message.contains(option) && message.contains("allowed:"), "{message}");
        }
    }

    #[test]
    fn sockets_and_ports() {
        let with = |option: &str, value: &str| Options::of(&[(option, value)]);
        let port_of = |value: &str| {
            let given = with("grpc_port", value);
            let mut parser = Parser::new(&given);
            let option = OptionSpec::new("grpc_port", OptionKind::Str, Some("4317"), "");
            let port = port(&mut parser, &option).unwrap();
            parser.finish(port).map_err(|error| error.to_string())
        };
        assert_eq!(
            (port_of("off"), port_of("0"), port_of("1")),
            (Ok(None), Ok(Some(0)), Ok(Some(1)))
        );
        assert!(port_of("none").unwrap_err().contains("off"));
        let given = with("unix_perm", "0660");
        let mut parser = Parser::new(&given);
        assert_eq!(read(&mut parser, true).unwrap().1, None);
        assert!(parser.finish(()).unwrap_err().to_string().contains("needs the option"));
        for wrong in ["0999", "1777", "rw"] {
            let given = with("unix_perm", wrong);
            let mut parser = Parser::new(&given);
            read(&mut parser, true).unwrap();
            assert!(parser.finish(()).unwrap_err().to_string().contains("octal"));
        }
        let options = [("unix_socket", "/run/otlp.sock"), ("unix_perm", "660")];
        let given = Options::of(&options);
        let mut parser = Parser::new(&given);
        let socket = read(&mut parser, true).unwrap().1.unwrap();
        assert_eq!(socket.path.to_str(), Some("/run/otlp.sock"));
        assert_eq!(socket.permissions, Some(0o660));
    }
}
