//! The input `ai_otlp`: OTLP/gRPC and OTLP/HTTP into the pipeline.
//!
//! It also drains what our filters derived: see [`hub`](crate::hub).

mod security;

use std::time::Duration;

use crate::config::Parser;
use crate::plugin::{
    Environment, Input, OpenError, OptionKind, OptionSpec, Options, Pause, Sink, Spec, Waker,
};
use crate::plugins::emitter::{self, Emitter};
use crate::receive::{Receiver, Settings};

const MIB: u64 = 1024 * 1024;
const DEFAULT_SIZE: u64 = 64 * MIB;
/// The same in plain bytes, because the host's suffixes are powers of 1000.
const DEFAULT_SIZE_TEXT: &str = "67108864";

const OWN_OPTIONS: [OptionSpec; 5] = [
    OptionSpec::new("grpc_port", OptionKind::Int, Some("4317"), "Port for OTLP/gRPC."),
    OptionSpec::new("http_port", OptionKind::Int, Some("4318"), "Port for OTLP/HTTP."),
    OptionSpec::new(
        "format",
        OptionKind::Str,
        Some("records"),
        "How traces and metrics enter the pipeline: 'records', as log records that filters see.",
    ),
    OptionSpec::new(
        "max_request_size",
        OptionKind::Size,
        Some(DEFAULT_SIZE_TEXT),
        "Largest request, before and after decompression.",
    ),
    OptionSpec::new(
        "max_queue_size",
        OptionKind::Size,
        Some(DEFAULT_SIZE_TEXT),
        "How much may be read or wait for the pipeline before senders are told to wait.",
    ),
];

/// Ours and those of [`security`], as one table.
const OPTIONS: &[OptionSpec] = {
    const COUNT: usize = OWN_OPTIONS.len() + security::OPTIONS.len();
    const ALL: [OptionSpec; COUNT] = joined(&OWN_OPTIONS, &security::OPTIONS);
    &ALL
};

/// Two tables as one of `N` options.
const fn joined<const N: usize>(
    mut first: &[OptionSpec],
    mut second: &[OptionSpec],
) -> [OptionSpec; N] {
    let mut all = [OWN_OPTIONS[0]; N];
    let mut rest: &mut [OptionSpec] = &mut all;
    while let [place, more @ ..] = rest {
        if let [option, left @ ..] = first {
            *place = *option;
            first = left;
        } else if let [option, left @ ..] = second {
            *place = *option;
            second = left;
        }
        rest = more;
    }
    all
}

/// The plugin.
#[derive(Debug)]
pub struct AiOtlp {
    receiver: Receiver,
    emitter: Emitter,
}

impl Input for AiOtlp {
    const SPEC: Spec = Spec {
        name: "ai_otlp",
        about: "OTLP/gRPC and OTLP/HTTP receiver for logs, metrics and traces",
        options: OPTIONS,
    };

    const TLS: bool = true;

    const TICK: Duration = emitter::TICK;

    fn open(
        options: &dyn Options,
        environment: Environment,
        waker: Waker,
    ) -> Result<Self, OpenError> {
        let settings = settings(options, environment.log_groups)?;
        let receiver = Receiver::open(&settings, waker, &environment.counters, environment.log)?;
        let emitter = Emitter::new(environment.hub, &environment.counters);
        Ok(Self { receiver, emitter })
    }

    fn on_wake(&mut self, sink: &mut dyn Sink) {
        self.receiver.append(sink);
    }

    fn on_tick(&mut self, sink: &mut dyn Sink) {
        self.receiver.append(sink);
        self.emitter.tick(sink);
    }

    fn on_pause(&mut self, why: Pause, sink: &mut dyn Sink) {
        match why {
            Pause::Pressure => self.receiver.pause(),
            Pause::Shutdown => {
                self.receiver.close(sink);
                // What was received just now may never be sent otherwise.
                sink.flush_now();
            }
        }
        // Last, because what was just appended may have made the filters derive more.
        self.emitter.pause(why, sink);
    }

    fn on_resume(&mut self) {
        self.receiver.resume();
        self.emitter.resume();
    }
}

fn settings(options: &dyn Options, log_groups: bool) -> Result<Settings, OpenError> {
    let mut parser = Parser::new(options);
    let grpc_port = parser.port("grpc_port", 4317);
    let http_port = parser.port("http_port", 4318);
    check_format(&mut parser);
    let max_request_size = size(&mut parser, "max_request_size");
    let max_queue_size = size(&mut parser, "max_queue_size");
    let security = security::settings(&mut parser);
    let listen = parser
        .host_value("listen")
        .map(|listen| listen.trim().to_owned())
        .filter(|listen| !listen.is_empty())
        .unwrap_or_else(|| "127.0.0.1".to_owned());
    parser.finish(Settings {
        listen,
        grpc_port,
        http_port,
        max_request_size,
        max_queue_size,
        log_groups,
        security,
    })
}

fn check_format(parser: &mut Parser<'_>) {
    match parser.text("format").map(str::trim) {
        Some(format) if format.eq_ignore_ascii_case("native") => {
            parser.refuse("format", format, "it comes in a later release; allowed: records");
        }
        _ => parser.choice("format", (), &[("records", ())]),
    }
}

/// A size of at least a kilobyte: with less, hardly any request would get through.
fn size(parser: &mut Parser<'_>, option: &str) -> usize {
    let size = parser.size(option, DEFAULT_SIZE);
    if size < 1000 {
        parser.refuse(option, &size.to_string(), "allowed: at least 1k");
    }
    usize::try_from(size).unwrap_or(usize::MAX)
}

crate::export_input!("in_ai_otlp", AiOtlp);

#[cfg(test)]
mod tests;
