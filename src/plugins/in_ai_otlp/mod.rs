//! The input `ai_otlp`: OTLP/gRPC and OTLP/HTTP into the pipeline.
//!
//! It also drains what our filters derived: see [`hub`](crate::hub).

mod check;
mod limits;
mod security;
mod stock;
mod tags;

use std::sync::Arc;
use std::time::Duration;

use crate::codec::fluentbit::write::ReaderCapabilities;
use crate::config::read::{self, Read};
use crate::config::{Parser, options};
use crate::hub::Hub;
use crate::plugin::{
    Environment, Input, OpenError, OptionSpec, Options, Pause, Sink, Spec, Waker, joined,
};
use crate::plugins::derived::emitter::{self, Emitter};
use crate::plugins::derived::max_memory;
use crate::plugins::status_page::{self, RunningPage};
use crate::receive::{NativeSettings, PageAddress, Receiver, ReceiverSettings};
use crate::stats::Log;

options! {
    /// What is configured, beside limits, tags, security and the names of the stock input.
    struct Given in OWN {
        grpc_port: Option<u16> = limits::port,
            Str "grpc_port" = "4317",
            "Port for OTLP/gRPC, or 'off'; it may be the same as http_port.";
        http_port: Option<u16> = limits::port,
            Str "http_port" = "4318",
            "Port for OTLP/HTTP, or 'off'.";
        native: bool = format,
            Str "format" = "records",
            "How telemetry enters the pipeline: 'records', as log records that filters see; or \
             'native', as Fluent Bit's own traces, metrics and log groups, which filters do not see.";
        native_traces: Option<bool> = read::some(format),
            Str "format_traces",
            "The same for traces: 'records' or 'native'; by default what 'format' says.";
        native_metrics: Option<bool> = read::some(format),
            Str "format_metrics",
            "The same for metrics: 'records' or 'native'; by default what 'format' says.";
        native_logs: Option<bool> = read::some(format),
            Str "format_logs",
            "The same for logs: 'records' or 'native'; by default what 'format' says.";
        max_request_size: usize = stock::aliased(size),
            Size "max_request_size" = SIZE,
            "Largest request, before and after decompression.";
        max_queue_size: usize = stock::aliased(size),
            Size "max_queue_size" = SIZE,
            "How much may be read or wait for the pipeline before senders are told to wait.";
        max_memory: Option<usize> = max_memory::limit,
            Size "max_memory" = SIZE,
            "How much may wait in memory for the outputs, in the host's chunks and in the queue, before \
             senders are told to wait; 0 is no limit. Not in force beside 'mem_buf_limit' or a \
             'storage.type' other than memory, by which the host bounds it.";
    }
}

/// 64 MiB in plain bytes, because the host's suffixes are powers of 1000.
const SIZE: &str = "67108864";

const TABLES: [&[OptionSpec]; 6] =
    [OWN, limits::OPTIONS, tags::OPTIONS, security::OPTIONS, status_page::OPTIONS, stock::OPTIONS];

const OPTIONS: &[OptionSpec] = &joined::<
    {
        let [own, limits, tags, security, status, stock] = TABLES;
        own.len() + limits.len() + tags.len() + security.len() + status.len() + stock.len()
    },
>(&TABLES);

/// The plugin.
#[derive(Debug)]
pub struct AiOtlp {
    status: Option<RunningPage>,
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
    fn of(settings: &ReceiverSettings, environment: &Environment) -> Option<Self> {
        let unfiltered = settings.native.filter(|native| native.traces || native.metrics);
        unfiltered
            .map(|_| Self { hub: Arc::clone(&environment.hub), log: Arc::clone(&environment.log) })
    }

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
        let (settings, status) = settings(options, &environment)?;
        let warning = NativeWarning::of(&settings, &environment);
        let log = Arc::clone(&environment.log);
        let receiver = Receiver::open(&settings, waker.clone(), &environment.counters, log)?;
        let status = RunningPage::open(status.as_ref(), &environment)?;
        let emitter = Emitter::new(&environment, waker);
        let check_memory = options.get(max_memory::NAME).is_some();
        Ok(Self { status, receiver, emitter, warning, check_memory })
    }

    fn on_wake(&mut self, sink: &mut dyn Sink) {
        self.receiver.append(sink);
        if self.emitter.is_behind() {
            self.emit(sink);
        }
    }

    fn on_tick(&mut self, sink: &mut dyn Sink) {
        if let Some(status) = &self.status {
            status.tick();
        }
        // Filters start after inputs, and before the first tick.
        if let Some(warning) = self.warning.take() {
            warning.give();
        }
        if std::mem::take(&mut self.check_memory) {
            self.receiver.warn_if_bounded(sink);
        }
        self.receiver.append(sink);
        self.emit(sink);
    }

    fn on_pause(&mut self, why: Pause, sink: &mut dyn Sink) {
        if let Some(status) = &self.status {
            status.pause(why);
        }
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
        if let Some(status) = &self.status {
            status.resume();
        }
        self.emitter.resume();
    }
}

impl AiOtlp {
    /// Emits what filters made, as far as there is room.
    fn emit(&mut self, sink: &mut dyn Sink) {
        let room = if self.receiver.is_overfull() { 0 } else { usize::MAX };
        self.emitter.tick(sink, room);
    }
}

fn settings(
    options: &dyn Options,
    environment: &Environment,
) -> Result<(ReceiverSettings, Option<PageAddress>), OpenError> {
    let mut parser = Parser::new(options);
    let stock = stock::read(&mut parser)?;
    let given = Given::read(&mut parser)?;
    let (limits, unix_socket) = limits::read(&mut parser, stock.http2)?;
    let http_port = stock::port(&mut parser).or(given.http_port);
    let native = native(&mut parser, &given, environment);
    let names_tenants = security::names_tenants(&parser);
    let tenancy = tags::tenancy(&mut parser, stock.uri_tags, names_tenants)?;
    let security = security::settings(&mut parser, stock.http2)?;
    let listen = parser
        .host_value("listen")
        .map(|listen| listen.trim().to_owned())
        .filter(|listen| !listen.is_empty())
        .unwrap_or_else(|| "127.0.0.1".to_owned());
    let status = status_page::read(&mut parser)?;
    let settings = ReceiverSettings {
        listen,
        grpc_port: given.grpc_port.filter(|_| stock.http2),
        http_port,
        unix_socket,
        limits,
        max_request_size: given.max_request_size,
        max_queue_size: given.max_queue_size,
        max_memory: given.max_memory,
        log_groups: environment.log_groups,
        logs_body_key: stock.logs_body_key,
        native,
        profiles: stock.profiles,
        tenancy,
        security,
    };
    parser.finish((settings, status))
}

const FORMATS: [(&str, bool); 2] = [("records", false), ("native", true)];

fn format(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<bool> {
    read::choice(&FORMATS)(parser, option)
}

/// What enters in the host's own form, if anything does.
fn native(
    parser: &mut Parser<'_>,
    given: &Given,
    environment: &Environment,
) -> Option<NativeSettings> {
    let all = given.native;
    let [traces, metrics, logs] = [given.native_traces, given.native_metrics, given.native_logs]
        .map(|own| own.unwrap_or(all));
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
    let forms = ReaderCapabilities::of_release(&environment.host_release);
    Some(NativeSettings { forms, traces, metrics, logs })
}

/// A size of requests.
fn size(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<usize> {
    let size = read::size(parser, option)?;
    if size < 1000 {
        parser.refuse(option.name, &size.to_string(), "allowed: at least 1k");
    }
    Some(size)
}

pub use check::OtlpCheck;

crate::export_input!("in_ai_otlp", AiOtlp);

#[cfg(test)]
mod tests;
