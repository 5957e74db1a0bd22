//! The input `ai_otlp`: OTLP/gRPC and OTLP/HTTP into the pipeline.
//!
//! It also drains what our filters derived: see [`hub`](crate::hub).

mod limits;
mod security;
mod stock;
mod tags;

use std::sync::Arc;
use std::time::Duration;

use crate::codec::native::write::Forms;
use crate::config::Parser;
use crate::hub::Hub;
use crate::plugin::{
    Environment, Input, OpenError, OptionKind, OptionSpec, Options, Pause, Sink, Spec, Waker,
};
use crate::plugins::emitter::{self, Emitter};
use crate::plugins::max_memory;
use crate::receive::{NativeSettings, Receiver, Settings};
use crate::stats::Log;

const MIB: u64 = 1024 * 1024;
const DEFAULT_SIZE: u64 = 64 * MIB;
/// The same in plain bytes, because the host's suffixes are powers of 1000.
const DEFAULT_SIZE_TEXT: &str = "67108864";

const OWN_OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "grpc_port",
        OptionKind::Str,
        Some("4317"),
        "Port for OTLP/gRPC, or 'off'; it may be the same as http_port.",
    ),
    OptionSpec::new("http_port", OptionKind::Str, Some("4318"), "Port for OTLP/HTTP, or 'off'."),
    limits::UNIX_SOCKET,
    limits::UNIX_PERM,
    OptionSpec::new(
        "format",
        OptionKind::Str,
        Some("records"),
        "How telemetry enters the pipeline: 'records', as log records that filters see; or \
         'native', as Fluent Bit's own traces, metrics and log groups, which filters do not see.",
    ),
    FORMAT_TRACES,
    FORMAT_METRICS,
    FORMAT_LOGS,
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
    OptionSpec::new(
        max_memory::NAME,
        OptionKind::Size,
        Some(max_memory::DEFAULT_TEXT),
        "How much may wait in memory for the outputs, in the host's chunks and in the queue, before \
         senders are told to wait; 0 is no limit. Not in force beside 'mem_buf_limit' or a \
         'storage.type' other than memory, by which the host bounds it.",
    ),
    limits::QUEUE_TIMEOUT,
    limits::MAX_CONNECTIONS,
    limits::MAX_CONCURRENT_STREAMS,
    limits::MAX_HEADER_SIZE,
    limits::HEADER_TIMEOUT,
    limits::READ_TIMEOUT,
    limits::IDLE_TIMEOUT,
    limits::KEEPALIVE_TIME,
    limits::KEEPALIVE_TIMEOUT,
    limits::MAX_CONNECTION_AGE,
    limits::MAX_CONNECTION_AGE_GRACE,
    tags::TAG_TRACES,
    tags::TAG_METRICS,
    tags::TAG_LOGS,
    tags::TAG_PROFILES,
    tags::PROFILES,
    tags::TAG_FROM,
    tags::TAG_PREFIX,
    tags::TAG_FALLBACK,
    tags::TAG_OVERFLOW,
    tags::MAX_TAGS,
    tags::TENANT_HEADER,
    tags::TENANT_ATTRIBUTE,
    tags::TENANT_RATE,
    tags::TENANT_BURST,
    tags::TENANT_RATES,
    tags::MAX_TENANTS,
];

const FORMAT_TRACES: OptionSpec = OptionSpec::new(
    "format_traces",
    OptionKind::Str,
    None,
    "The same for traces: 'records' or 'native'; by default what 'format' says.",
);
const FORMAT_METRICS: OptionSpec = OptionSpec::new(
    "format_metrics",
    OptionKind::Str,
    None,
    "The same for metrics: 'records' or 'native'; by default what 'format' says.",
);
const FORMAT_LOGS: OptionSpec = OptionSpec::new(
    "format_logs",
    OptionKind::Str,
    None,
    "The same for logs: 'records' or 'native'; by default what 'format' says.",
);
/// The formats by signal: of traces, metrics and logs.
const SIGNAL_FORMATS: [OptionSpec; 3] = [FORMAT_TRACES, FORMAT_METRICS, FORMAT_LOGS];

/// Ours, those of [`security`] and the names of [`stock`], as one table.
const OPTIONS: &[OptionSpec] = {
    const COUNT: usize = OWN_OPTIONS.len() + security::OPTIONS.len();
    const OURS: [OptionSpec; COUNT] = joined(OWN_OPTIONS, &security::OPTIONS);
    const ALL: [OptionSpec; COUNT + stock::OPTIONS.len()] = joined(&OURS, &stock::OPTIONS);
    &ALL
};

/// Two tables as one of `N` options.
const fn joined<const N: usize>(
    mut first: &[OptionSpec],
    mut second: &[OptionSpec],
) -> [OptionSpec; N] {
    let mut all = [limits::QUEUE_TIMEOUT; N];
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
    /// What is to be said when all instances have started, if something is.
    warning: Option<NativeWarning>,
    /// Whether it is to be said where the limit on memory does not hold.
    check_memory: bool,
}

/// Says once that filters of ours do not see what is native.
#[derive(Debug)]
struct NativeWarning {
    hub: Arc<Hub>,
    log: Arc<Log>,
}

impl NativeWarning {
    fn give(self) {
        if self.hub.has_filters() {
            self.log.warn(
                "option 'format': the filters ai_context, ai_metrics and ai_sampling do not see the \
                 traces and metrics that come in here as 'native', because the host runs filters \
                 on logs only; use 'format: records', or 'format_traces: records' where only \
                 metrics are to be native, to have them filtered",
            );
        }
    }
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
        let settings = settings(options, &environment)?;
        let unfiltered = settings.native.filter(|native| native.traces || native.metrics);
        let warning = unfiltered.map(|_| NativeWarning {
            hub: Arc::clone(&environment.hub),
            log: Arc::clone(&environment.log),
        });
        let log = Arc::clone(&environment.log);
        let receiver = Receiver::open(&settings, waker, &environment.counters, log)?;
        let emitter = Emitter::new(&environment);
        let check_memory = options.get(max_memory::NAME).is_some();
        Ok(Self { receiver, emitter, warning, check_memory })
    }

    fn on_wake(&mut self, sink: &mut dyn Sink) {
        self.receiver.append(sink);
    }

    fn on_tick(&mut self, sink: &mut dyn Sink) {
        // Filters start after inputs, and before the first tick.
        if let Some(warning) = self.warning.take() {
            warning.give();
        }
        if std::mem::take(&mut self.check_memory) {
            self.receiver.warn_if_bounded(sink);
        }
        self.receiver.append(sink);
        let room = if self.receiver.is_overfull() { 0 } else { usize::MAX };
        self.emitter.tick(sink, room);
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

fn settings(options: &dyn Options, environment: &Environment) -> Result<Settings, OpenError> {
    let mut parser = Parser::new(options);
    stock::check(&mut parser);
    let limits = limits::read(&mut parser);
    let http2 = limits.http2;
    let grpc_port = limits::port(&mut parser, "grpc_port", 4317).filter(|_| http2);
    let http_port = match stock::port(&mut parser) {
        Some(port) => Some(port),
        None => limits::port(&mut parser, "http_port", 4318),
    };
    let unix_socket = limits::unix_socket(&mut parser);
    let native = format(&mut parser, environment);
    let max_request_size = size(&mut parser, "max_request_size");
    let max_queue_size = size(&mut parser, "max_queue_size");
    let max_memory = max_memory::limit(&mut parser);
    let logs_body_key = stock::logs_body_key(&mut parser);
    let profiles = stock::profiles(&mut parser);
    let tenancy = tags::tenancy(&mut parser);
    let security = security::settings(&mut parser, http2);
    let listen = parser
        .host_value("listen")
        .map(|listen| listen.trim().to_owned())
        .filter(|listen| !listen.is_empty())
        .unwrap_or_else(|| "127.0.0.1".to_owned());
    parser.finish(Settings {
        listen,
        grpc_port,
        http_port,
        unix_socket,
        limits,
        max_request_size,
        max_queue_size,
        max_memory,
        log_groups: environment.log_groups,
        logs_body_key,
        native,
        profiles,
        tenancy,
        security,
    })
}

/// The host's own forms, if they are asked for: by `format` for all signals, or for one by its own.
fn format(parser: &mut Parser<'_>, environment: &Environment) -> Option<NativeSettings> {
    const WORDS: [(&str, bool); 2] = [("records", false), ("native", true)];
    let all = parser.choice("format", false, &WORDS);
    let [traces, metrics, logs] =
        SIGNAL_FORMATS.map(|option| parser.choice(option.name, all, &WORDS));
    if !(traces || metrics || logs) {
        return None;
    }
    if !environment.native_chunks {
        let option = if all { "format" } else { "format_..." };
        parser.refuse(
            option,
            "native",
            "this host does not export 'flb_input_chunk_append_raw', which appends its own \
             traces and metrics; allowed: records",
        );
    }
    let forms = Forms::of_release(&environment.host_release);
    Some(NativeSettings { forms, traces, metrics, logs })
}

/// A size of at least a kilobyte: with less, hardly any request would get through.
fn size(parser: &mut Parser<'_>, option: &'static str) -> usize {
    let option = stock::name(parser, option);
    let size = parser.size(option, DEFAULT_SIZE);
    if size < 1000 {
        parser.refuse(option, &size.to_string(), "allowed: at least 1k");
    }
    usize::try_from(size).unwrap_or(usize::MAX)
}

crate::export_input!("in_ai_otlp", AiOtlp);

#[cfg(test)]
mod tests;
