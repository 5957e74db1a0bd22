//! Every kind of plugin under every row: host structures made by hand where each release keeps
//! them, and host functions that note how they are called.

mod filters;
mod native;
mod timer;

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_long, c_void};
use std::ptr;
use std::time::Duration;

use crate::host::abi::policy::Chosen;
use crate::host::abi::row::{Build, HostAbi};
use crate::host::abi::rows::ROWS;
use crate::host::detect::RunningHost;
use crate::host::host_struct::HostStruct;
use crate::host::kind::PluginKind;
use crate::host::setup::Setup;
use crate::host::symbols::{
    AppendFunctions, Collect, EmptyFunctions, FilterFunctions, InputFunctions, MetricFunctions,
    NativeFunctions, OnTimer, OutputFunctions, ProcessorFunctions, Symbols, TimerFunctions,
};
use crate::host::{input, lend, output};
use crate::plugin::{
    Completion, Delivery, Environment, EventType, Fate, Input, OpenError, OptionSpec, Options,
    Output, Pause, Sink, Spec, Waker,
};
use crate::stats::CounterFamily;

/// What the fake host's functions were called with.
#[derive(Default)]
struct Notes {
    context: usize,
    wake: Option<Collect>,
    tick: Option<Collect>,
    appended: Vec<(String, usize, usize)>,
    contexts: Vec<String>,
    flushed: usize,
    /// An input, and where it says whether it is paused.
    statuses: Option<(HostStruct, [usize; 2])>,
    series: Vec<String>,
    timer: Option<OnTimer>,
    properties: Vec<(String, String)>,
    prepared: usize,
    destroyed: usize,
    switched: usize,
}

thread_local! {
    static NOTES: RefCell<Notes> = RefCell::new(Notes::default());
}

fn note<R>(body: impl FnOnce(&mut Notes) -> R) -> R {
    NOTES.with_borrow_mut(body)
}

fn context() -> *mut c_void {
    ptr::with_exposed_provenance_mut(note(|notes| notes.context))
}

unsafe extern "C" fn set_context(_instance: *mut c_void, context: *mut c_void) {
    note(|notes| notes.context = context.expose_provenance());
}

unsafe extern "C" fn set_event(
    _: *mut c_void,
    collect: Collect,
    _: c_int,
    _: *mut c_void,
) -> c_int {
    note(|notes| notes.wake = Some(collect));
    0
}

unsafe extern "C" fn set_time(
    _: *mut c_void,
    collect: Collect,
    seconds: libc::time_t,
    nanos: c_long,
    _: *mut c_void,
) -> c_int {
    assert_eq!((seconds, nanos), (1, 500_000_000));
    note(|notes| notes.tick = Some(collect));
    1
}

unsafe extern "C" fn pause_collector(_: c_int, _: *mut c_void) -> c_int {
    0
}

fn string(at: *const c_char) -> String {
    // SAFETY: the code under test passes strings.
    unsafe { lend::text(at.cast()) }.unwrap_or_default()
}

unsafe extern "C" fn append(
    _: *mut c_void,
    tag: *const c_char,
    _: usize,
    _: *const c_void,
    bytes: usize,
) -> c_int {
    note(|notes| notes.appended.push((string(tag), 0, bytes)));
    0
}

unsafe extern "C" fn append_records(
    _: *mut c_void,
    records: usize,
    tag: *const c_char,
    _: usize,
    _: *const c_void,
    bytes: usize,
) -> c_int {
    note(|notes| notes.appended.push((string(tag), records, bytes)));
    0
}

unsafe extern "C" fn flush_engine(_: *mut c_void, _: *mut c_void) -> c_int {
    note(|notes| notes.flushed += 1);
    0
}

unsafe extern "C" fn set_property(
    _: *mut c_void,
    key: *const c_char,
    value: *const c_char,
) -> c_int {
    note(|notes| notes.properties.push((string(key), string(value))));
    0
}

unsafe extern "C" fn nothing() -> *mut c_void {
    ptr::null_mut()
}

unsafe extern "C" fn prepare_destroy(_: *mut c_void) {
    note(|notes| notes.prepared += 1);
}

unsafe extern "C" fn destroy_chunk(_: *mut c_void) {
    note(|notes| notes.destroyed += 1);
}

unsafe extern "C" fn ignore(_: *mut c_void) {}

unsafe extern "C" fn switch(to: *mut c_void) {
    assert_eq!(to.addr(), 0x1234, "the caller is found in every layout");
    note(|notes| notes.switched += 1);
}

unsafe extern "C" fn no_timer(
    _: *mut c_void,
    _: c_int,
    _: c_int,
    _: OnTimer,
    _: *mut c_void,
    _: *mut *mut c_void,
) -> c_int {
    -1
}

/// What stands for a chunk is its name.
unsafe extern "C" fn name_of(chunk: *mut c_void) -> *const c_char {
    chunk.cast()
}

unsafe extern "C" fn create_metric(
    _: *mut c_void,
    namespace: *const c_char,
    subsystem: *const c_char,
    name: *const c_char,
    _: *const c_char,
    labels: c_int,
    _: *const *const c_char,
) -> *mut c_void {
    note(|notes| {
        let name = [string(namespace), string(subsystem), string(name)].join("_");
        notes.series.push(format!("{name} {labels}"));
        ptr::without_provenance_mut(notes.series.len())
    })
}

unsafe extern "C" fn set_metric(
    _: *mut c_void,
    _: u64,
    value: f64,
    _: c_int,
    labels: *const *const c_char,
) -> c_int {
    // SAFETY: the code under test passes at least the instance's name.
    let name = string(unsafe { labels.read() });
    note(|notes| notes.series.push(format!("{name}={value}")));
    0
}

fn host(abi: &HostAbi) -> &'static RunningHost {
    let symbols = Symbols {
        common: Err(vec!["flb_log_print"]),
        filter: Ok(FilterFunctions {
            flb_filter_set_context: set_context,
            timer: timer::FUNCTIONS,
        }),
        input: Ok(InputFunctions {
            flb_input_set_context: set_context,
            flb_input_set_collector_event: set_event,
            flb_input_set_collector_time: set_time,
            flb_input_collector_pause: pause_collector,
            flb_input_log_append: append,
            flb_engine_flush: flush_engine,
        }),
        output: Ok(OutputFunctions {
            flb_output_set_context: set_context,
            flb_output_set_property: set_property,
            flb_output_thread_instance_get: nothing,
            flb_output_flush_prepare_destroy: prepare_destroy,
            flb_event_chunk_destroy: destroy_chunk,
            flb_input_chunk_get_name: name_of,
            flb_coro_set: ignore,
            co_active: nothing,
            co_switch: switch,
            timer: TimerFunctions {
                flb_sched_ctx_get: nothing,
                flb_sched_timer_cb_create: no_timer,
                flb_sched_timer_invalidate: ignore,
            },
        }),
        append: Some(AppendFunctions { flb_input_log_append_records: append_records }),
        native: Some(NativeFunctions { flb_input_chunk_append_raw: native::append_raw }),
        processors: Some(ProcessorFunctions {
            flb_processor_is_active: native::processor_is_active,
            ctr_decode_msgpack_create: native::decode_context,
            ctr_destroy: native::destroy_context,
            cmt_decode_msgpack_create: native::decode_context,
            cmt_destroy: native::destroy_context,
            flb_processor_run: native::run_processors,
            ctr_encode_msgpack_create: native::encode_context,
            ctr_encode_msgpack_destroy: native::free_encoded,
            cmt_encode_msgpack_create: native::encode_context,
            cmt_encode_msgpack_destroy: native::free_encoded,
        }),
        empty: Some(EmptyFunctions { flb_metrics_is_empty: native::is_empty }),
        trace: None,
        metrics: Some(MetricFunctions {
            cmt_counter_create: create_metric,
            cmt_counter_set: set_metric,
            cmt_gauge_create: create_metric,
            cmt_gauge_set: set_metric,
        }),
        setters: None,
    };
    let release = abi.since.to_owned();
    let (build, chosen) = (Build::OFFICIAL, Chosen::Stated);
    Box::leak(Box::new(RunningHost { abi: *abi, release, build, chosen, symbols }))
}

/// Zeroed memory that lives as long as the test process.
fn memory(size: usize) -> HostStruct {
    let words: &'static mut [u64] = vec![0; size.div_ceil(8)].leak();
    // SAFETY: the memory is this long, lives for ever and is used through views alone.
    unsafe { HostStruct::new(words.as_mut_ptr().cast(), size) }
}

fn text(text: &str) -> *mut c_void {
    lend::eternal(text)
}

/// An instance of `plugin` with the given properties, and its configuration.
fn instance(
    kind: PluginKind,
    abi: &HostAbi,
    plugin: &str,
    given: &[(&str, &str)],
) -> (HostStruct, HostStruct) {
    let fields = kind.fields(abi);
    let config = memory(abi.config.size);
    config.set::<c_int>(abi.config.is_ingestion_active, 1);
    config.set::<c_int>(abi.config.is_running, 1);
    let plugin_at = memory(fields.plugin_size);
    plugin_at.set(fields.plugin_name, text(plugin));
    let view = memory(fields.size);
    view.set(fields.config, config.pointer());
    view.set(fields.p, plugin_at.pointer());
    view.set(fields.alias, text("alias"));
    view.set(fields.cmt, memory(64).pointer());
    view.set::<c_int>(fields.log_level, 3);
    let mut last = view.field(fields.properties);
    for (key, value) in given {
        let property = memory(abi.kv.size);
        property.set(abi.kv.key, text(key));
        property.set(abi.kv.val, text(value));
        let node = property.field(abi.kv.head);
        // SAFETY: both are list nodes in memory that lives for ever.
        unsafe { HostStruct::new(last, abi.list.size) }.set(abi.list.next, node);
        last = node;
    }
    // SAFETY: as above.
    unsafe { HostStruct::new(last, abi.list.size) }
        .set(abi.list.next, view.field(fields.properties));
    (view, config)
}

const SPEC: Spec = Spec { name: "ai_fake", about: "A fake", options: &[] as &[OptionSpec] };
const SEEN: CounterFamily = CounterFamily::gauge("seen", "Seen.", &["what"]);

struct Ticking {
    waker: Waker,
    pauses: Vec<Pause>,
}

impl Input for Ticking {
    const SPEC: Spec = SPEC;
    const TICK: Duration = Duration::from_millis(1500);

    fn open(
        options: &dyn Options,
        _environment: Environment,
        waker: Waker,
    ) -> Result<Self, OpenError> {
        assert_eq!(options.host_value("tag").as_deref(), Some("own"));
        assert_eq!(options.host_value("listen").as_deref(), Some("::1"));
        assert_eq!(options.host_value("port").as_deref(), Some("4317"));
        assert_eq!(options.host_value("tls").as_deref(), Some("on"));
        assert_eq!(options.host_value("tls.crt_file").as_deref(), Some("cert.pem"));
        Ok(Self { waker, pauses: Vec::new() })
    }

    fn on_wake(&mut self, sink: &mut dyn Sink) {
        sink.append(b"woken", 2, b"xx").unwrap();
    }

    fn on_tick(&mut self, sink: &mut dyn Sink) {
        sink.append(b"", 1, b"x").unwrap();
        self.waker.wake();
    }

    fn on_pause(&mut self, why: Pause, sink: &mut dyn Sink) {
        self.pauses.push(why);
        let tag = format!("{:?}", self.pauses);
        // Refused while the host starts.
        let _taken = sink.append(tag.as_bytes(), 1, b"x");
    }

    fn on_resume(&mut self) {
        self.pauses.clear();
    }
}

/// Guarantees: an input is collected, paused for the right reason and resumed, under every layout.
#[test]
fn an_input_runs_under_every_row() {
    for row in ROWS {
        note(|notes| *notes = Notes::default());
        let (instance, config) = instance(PluginKind::Input, row, SPEC.name, &[]);
        instance.set(row.input.tag, text("own"));
        instance.set::<c_int>(row.input.use_tls, 1);
        instance.set(row.input.tls_crt_file, text("cert.pem"));
        instance.set(row.input.host + row.net_host.listen, text("::1"));
        instance.set::<c_int>(row.input.host + row.net_host.port, 4317);
        // SAFETY: the instance is laid out as the row says.
        let setup = unsafe {
            Setup::at_host(
                host(row),
                PluginKind::Input,
                &SPEC,
                instance.pointer(),
                config.pointer(),
            )
        };
        input::start::<Ticking>(setup.unwrap()).unwrap();
        config.set::<c_int>(row.config.is_ingestion_active, 0);
        // SAFETY: the context is the one that was leased.
        unsafe { input::cb_pause::<Ticking>(context(), config.pointer()) };
        let early = note(|notes| (notes.appended.len(), notes.flushed));
        assert_eq!(early, (0, 0), "the filters behind it may have no state yet");
        config.set::<c_int>(row.config.is_ingestion_active, 1);
        // SAFETY: as above.
        unsafe { input::cb_resume::<Ticking>(context(), config.pointer()) };
        let (wake, tick) = note(|notes| (notes.wake.unwrap(), notes.tick.unwrap()));
        // SAFETY: the context is the one that was leased.
        unsafe { tick(instance.pointer(), config.pointer(), context()) };
        // SAFETY: as above.
        unsafe { wake(instance.pointer(), config.pointer(), context()) };
        // SAFETY: as above.
        unsafe { input::cb_pause::<Ticking>(context(), config.pointer()) };
        assert_eq!(note(|notes| notes.flushed), 0);
        // SAFETY: as above.
        unsafe { input::cb_resume::<Ticking>(context(), config.pointer()) };
        config.set::<c_int>(row.config.is_ingestion_active, 0);
        config.set::<c_int>(row.config.is_shutting_down, 1);
        // SAFETY: as above.
        unsafe { input::cb_pause::<Ticking>(context(), config.pointer()) };
        assert_eq!(note(|notes| notes.flushed), 1, "what is held must leave now");
        let appended = note(|notes| std::mem::take(&mut notes.appended));
        let expected = [
            (String::new(), 1, 1),
            ("woken".to_owned(), 2, 2),
            ("[Pressure]".to_owned(), 1, 1),
            ("[Shutdown]".to_owned(), 1, 1),
        ];
        assert_eq!(appended, expected);
        // SAFETY: as above.
        assert_eq!(unsafe { input::cb_exit::<Ticking>(context(), config.pointer()) }, 0);
    }
}

struct Judging;

impl Output for Judging {
    const SPEC: Spec = SPEC;

    fn open(options: &dyn Options, _environment: Environment) -> Result<Self, OpenError> {
        assert_eq!(options.host_value("workers").as_deref(), Some("3"));
        Ok(Self)
    }

    fn on_flush(&self, delivery: Delivery<'_>, completion: Completion) {
        assert_eq!((delivery.tag, delivery.bytes), (&b"tag"[..], &b"data"[..]));
        match delivery.event_type {
            EventType::Logs => completion.complete(Fate::Done),
            EventType::Metrics => completion.complete(Fate::Failed),
            EventType::Traces => drop(completion),
            EventType::Other(_) => panic!("on demand"),
        }
    }

    fn close(self, budget: Duration) {
        assert_eq!(budget, Duration::from_secs(5));
    }
}

/// One flush of a chunk of type `kind`: what was read from the engine's pipe, and the route.
fn run_flush(
    host: &'static RunningHost,
    output: HostStruct,
    kind: c_int,
    valgrind: bool,
) -> (u64, HostStruct) {
    let row = &host.abi;
    let mut pipe = [0; 2];
    // SAFETY: the array has room for both ends.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    output.set::<c_int>(row.output.ch_events + 4, pipe[1]);
    output.set::<c_int>(row.output.id, 5);
    let chunk = memory(row.event_chunk.size);
    chunk.set::<c_int>(row.event_chunk.kind, kind);
    chunk.set(row.event_chunk.tag, text("tag"));
    chunk.set(row.event_chunk.data, text("data"));
    chunk.set::<usize>(row.event_chunk.length, 4);
    chunk.set::<usize>(row.event_chunk.total_events, 9);
    let task = memory(row.task.size);
    task.set::<c_int>(row.task.id, 11);
    task.set(row.task.event_chunk, chunk.pointer());
    task.set(row.task.ic, text("1-2.3.flb"));
    let route = memory(row.route.size);
    route.set::<c_int>(row.route.status, 1);
    route.set(row.route.out, output.pointer());
    task.set(row.task.routes + row.list.next, route.field(row.route.head));
    route.set(row.route.head + row.list.next, task.field(row.task.routes));
    let flush = memory(row.flush.size);
    let layout = if valgrind { row.coro } else { row.coro.without_valgrind() };
    let coro = memory(layout.size);
    coro.set::<*mut c_void>(layout.caller, ptr::without_provenance_mut(0x1234));
    coro.set(layout.data, flush.pointer());
    flush.set(row.flush.task, task.pointer());
    flush.set(row.flush.o_ins, output.pointer());
    flush.set(row.flush.coro, coro.pointer());
    let processed = memory(row.event_chunk.size);
    processed.set(row.event_chunk.data, lend::give(b"made by a processor".to_vec()));
    processed.set::<usize>(row.event_chunk.length, 19);
    processed.set::<usize>(row.event_chunk.total_events, 2);
    flush.set(row.flush.processed_event_chunk, processed.pointer());
    let config = memory(row.config.size);
    // SAFETY: everything is laid out as the row says, and the context is the one leased.
    unsafe {
        output::flush_in::<Judging>(
            host,
            chunk.pointer(),
            flush.pointer(),
            context(),
            config.pointer(),
        );
    }
    assert!(flush.get::<*mut c_void>(row.flush.processed_event_chunk).is_null());
    let mut value = 0_u64;
    // SAFETY: the value has room for eight bytes.
    let read = unsafe { libc::read(pipe[0], (&raw mut value).cast(), 8) };
    assert_eq!(read, 8);
    for end in pipe {
        // SAFETY: the descriptors are this test's own.
        unsafe { libc::close(end) };
    }
    (value, route)
}

/// Guarantees: a flush tells the engine its fate in the host's words, updates the route and leaves
/// the coroutine, under every layout and with either kind of coroutine.
#[test]
fn an_output_runs_under_every_row() {
    for row in ROWS {
        note(|notes| *notes = Notes::default());
        let (instance, config) = instance(PluginKind::Output, row, SPEC.name, &[]);
        instance.set::<c_int>(row.output.tp_workers, 3);
        instance.set::<c_int>(row.output.retry_limit, 1);
        config.set::<c_int>(row.config.grace, 5);
        let host = host(row);
        // SAFETY: the instance is laid out as the row says.
        let setup = unsafe {
            Setup::at_host(host, PluginKind::Output, &SPEC, instance.pointer(), config.pointer())
        };
        output::start::<Judging>(setup.unwrap()).unwrap();
        let properties = note(|notes| std::mem::take(&mut notes.properties));
        assert_eq!(properties, [("retry_limit".to_owned(), "no_limits".to_owned())]);

        // FLB_OK 1, FLB_ERROR 0, FLB_RETRY 2; the last chunk makes the plugin panic.
        for (kind, answer) in [(0, 1), (1, 0), (2, 2), (3, 2), (0, 2)] {
            let (value, route) = run_flush(host, instance, kind, kind % 2 == 0);
            assert_eq!(value, (2 << 32) | (answer << 28) | (11 << 14) | 5, "{}", row.since);
            assert_eq!(route.get::<c_int>(row.route.status), 0);
            if let (Some(records), Some(bytes)) = (row.route.records, row.route.bytes) {
                assert_eq!(route.get::<c_int>(records), 2);
                assert_eq!(route.get::<usize>(bytes), 19);
            }
        }
        let (prepared, destroyed, switched) =
            note(|notes| (notes.prepared, notes.destroyed, notes.switched));
        assert_eq!((prepared, destroyed, switched), (5, 5, 5));
        // SAFETY: the context is the one that was leased.
        assert_eq!(unsafe { output::cb_exit::<Judging>(context(), config.pointer()) }, 0);
        // SAFETY: the host does this for outputs that never started.
        unsafe { output::cb_exit::<Judging>(ptr::null_mut(), config.pointer()) };
    }
}

/// Guarantees: an instance that is not laid out as the row says is refused, not used.
#[test]
fn a_host_that_is_not_what_it_says_is_refused() {
    for row in ROWS {
        for kind in [PluginKind::Input, PluginKind::Filter, PluginKind::Output] {
            let (instance, config) = instance(kind, row, "something_else", &[]);
            // SAFETY: the instance is laid out as the row says.
            let refused = unsafe {
                Setup::at_host(host(row), kind, &SPEC, instance.pointer(), config.pointer())
            };
            assert!(refused.unwrap_err().contains("its plugin"));
            let other = memory(row.config.size);
            // SAFETY: as above.
            let refused = unsafe {
                Setup::at_host(host(row), kind, &SPEC, instance.pointer(), other.pointer())
            };
            assert!(refused.unwrap_err().contains("its configuration"));
        }
    }
}
