//! One host layout: every offset that the host layer uses, as data.

use std::fmt;

use super::structs::{
    Config, ConfigMap, Coro, EventChunk, FilterInstance, FilterPlugin, InputInstance, InputPlugin,
    Kv, Log, MkList, NetHost, OutThread, OutputFlush, OutputInstance, OutputPlugin, Task,
    TaskRoute,
};

/// A release of Fluent Bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
    /// The third number.
    pub patch: u16,
}

impl Release {
    /// The release `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Reads `4.2.8`. A fourth number, as in `4.2.3.1`, never changed a layout and is left out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse::<u16>);
        let release =
            Self::new(numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        numbers.all(|number| number.is_ok()).then_some(release)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Where a range of releases keeps what we read and fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostAbi {
    /// The first release with this layout, which also names the row.
    pub since: &'static str,
    /// The first release with this layout.
    pub first: Release,
    /// The last release known to have it. What came after is not guessed at.
    pub last: Release,
    /// `struct flb_input_plugin`.
    pub input_plugin: InputPlugin,
    /// `struct flb_filter_plugin`.
    pub filter_plugin: FilterPlugin,
    /// `struct flb_output_plugin`.
    pub output_plugin: OutputPlugin,
    /// `struct flb_config_map`.
    pub config_map: ConfigMap,
    /// `struct flb_input_instance`.
    pub input: InputInstance,
    /// `struct flb_filter_instance`.
    pub filter: FilterInstance,
    /// `struct flb_output_instance`.
    pub output: OutputInstance,
    /// `struct flb_config`.
    pub config: Config,
    /// `struct flb_log`.
    pub log: Log,
    /// `struct flb_task`.
    pub task: Task,
    /// `struct flb_task_route`.
    pub route: TaskRoute,
    /// `struct flb_event_chunk`.
    pub event_chunk: EventChunk,
    /// `struct flb_output_flush`.
    pub flush: OutputFlush,
    /// `struct flb_coro`.
    pub coro: Coro,
    /// `struct flb_out_thread_instance`.
    pub out_thread: OutThread,
    /// `struct flb_kv`.
    pub kv: Kv,
    /// `struct flb_net_host`.
    pub net_host: NetHost,
    /// `struct mk_list`.
    pub list: MkList,
}

impl HostAbi {
    /// Where an input has `tls_verify_client`, which releases from 5.0.0 on have: right behind
    /// `tls_verify`, so that an `int`, its padding and no more move `tls_ca_file`.
    #[must_use]
    pub const fn input_tls_verify_client(&self) -> Option<usize> {
        const WITHOUT: usize = 28;
        let input = &self.input;
        if input.tls_ca_file - input.tls_verify > WITHOUT {
            Some(input.tls_verify + 4)
        } else {
            None
        }
    }

    /// Where an input has `tls_min_version`, `tls_max_version` and `tls_ciphers`, which releases
    /// from 4.0.0 on have: pointers right behind `tls_key_passwd`.
    #[must_use]
    pub const fn input_tls_versions(&self) -> Option<[usize; 3]> {
        let last = self.input.tls_key_passwd;
        if self.first.major >= 4 { Some([last + 8, last + 16, last + 24]) } else { None }
    }

    /// Where an input has `tls_vhost` and `tls_ca_path`: pointers right before `tls_ca_file`.
    #[must_use]
    pub const fn input_tls_paths(&self) -> [usize; 2] {
        let next = self.input.tls_ca_file;
        [next - 16, next - 8]
    }

    /// Where an input has `tls_debug` and, from 3.1.0 on, `tls_verify_hostname`: before `tls_vhost`,
    /// behind padding where their number is odd.
    #[must_use]
    pub const fn input_tls_details(&self) -> (usize, Option<usize>) {
        let [next, _] = self.input_tls_paths();
        match (self.first.major, self.first.minor) {
            (3, 0) => (next - 8, None),
            (3 | 4, _) => (next - 4, Some(next - 8)),
            _ => (next - 8, Some(next - 12)),
        }
    }

    /// Where an input has `storage_type`, `mem_chunks_size` and `mem_buf_limit`: each in eight
    /// bytes, with `mp_total_buf_size` among them, right before `mem_buf_status`.
    #[must_use]
    pub const fn input_memory(&self) -> InputMemory {
        let next = self.input.mem_buf_status;
        InputMemory { storage_type: next - 32, chunks: next - 24, limit: next - 8 }
    }

    /// Where an input has the list `net_properties`: before the last fields of all.
    #[must_use]
    pub const fn input_net_properties(&self) -> usize {
        let back = match (self.first.major, self.first.minor) {
            (3, 0 | 1) => 16,
            (3 | 4, _) => 24,
            _ => 240,
        };
        self.input.config - back
    }

    /// Where an input has the list `oauth2_jwt_properties`, which releases from 5.0.0 on have.
    #[must_use]
    pub const fn input_oauth2_properties(&self) -> Option<usize> {
        if self.first.major >= 5 { Some(self.input.config - 24) } else { None }
    }

    /// Where an output has what it keeps of `tls.*` beside files: around them, in this order.
    #[must_use]
    pub const fn output_tls(&self) -> OutputTls {
        /// From `tls_verify` to `tls_ca_file` where nothing but `tls_debug` is an `int` between.
        const WITHOUT_HOSTNAME: usize = 24;
        let output = &self.output;
        let (ca, last) = (output.tls_ca_file, output.tls_key_passwd);
        let has_hostname = ca - output.tls_verify > WITHOUT_HOSTNAME;
        OutputTls {
            verify_hostname: if has_hostname { Some(output.tls_verify + 4) } else { None },
            debug: output.tls_verify + if has_hostname { 8 } else { 4 },
            vhost: ca - 16,
            ca_path: ca - 8,
            versions: if self.first.major >= 4 {
                Some([last + 8, last + 16, last + 24])
            } else {
                None
            },
            proxy: match (self.first.major, self.first.minor) {
                (..5, _) | (5, 0) => None,
                _ => Some([last + 32, last + 36, last + 40, last + 48]),
            },
        }
    }

    /// Where an output has the list `net_properties`: behind the structure that they are read into.
    #[must_use]
    pub const fn output_net_properties(&self) -> usize {
        let behind = match (self.first.major, self.first.minor, self.first.patch) {
            (3, 0 | 1, _) => 112,
            (3, ..) | (4, 0, 0..=3) => 128,
            _ => 136,
        };
        self.output.properties + behind
    }

    /// Where an output has the list `oauth2_properties`, which releases from 5.0.0 on have.
    #[must_use]
    pub const fn output_oauth2_properties(&self) -> Option<usize> {
        if self.first.major >= 5 { Some(self.output.properties + 192) } else { None }
    }
}

/// Where an input says what its chunks hold in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputMemory {
    /// Offset of `storage_type`.
    pub storage_type: usize,
    /// Offset of `mem_chunks_size`.
    pub chunks: usize,
    /// Offset of `mem_buf_limit`.
    pub limit: usize,
}

/// Where an output has what the host keeps of `tls.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputTls {
    /// Offset of `tls_verify_hostname`, which releases from 3.1.0 on have.
    pub verify_hostname: Option<usize>,
    /// Offset of `tls_debug`.
    pub debug: usize,
    /// Offset of `tls_vhost`.
    pub vhost: usize,
    /// Offset of `tls_ca_path`.
    pub ca_path: usize,
    /// Offsets of `tls_min_version`, `tls_max_version` and `tls_ciphers`, which releases from 4.0.0
    /// on have.
    pub versions: Option<[usize; 3]>,
    /// Offsets of `tls_proxy_verify`, `tls_proxy_verify_hostname`, `tls_proxy_ca_path` and
    /// `tls_proxy_ca_file`, which releases from 5.1.0 on have.
    pub proxy: Option<[usize; 4]>,
}

/// Options that the host was built with and that move fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// `FLB_TLS`.
    pub tls: bool,
    /// `FLB_CHUNK_TRACE`.
    pub chunk_trace: bool,
    /// `FLB_REGEX`.
    pub regex: bool,
}

impl Build {
    /// What the official builds have; the rows are written for it.
    pub const OFFICIAL: Self = Self { tls: true, chunk_trace: true, regex: true };
}

/// A regular expression's pointer, which builds without them leave out.
const POINTER: usize = size_of::<usize>();

impl HostAbi {
    /// Whether `release` has this layout.
    #[must_use]
    pub fn covers(&self, release: Release) -> bool {
        self.first <= release && release <= self.last
    }

    /// The layout of the same release built with other options.
    ///
    /// `FLB_HAVE_VALGRIND` is not here: it depends on the machine that built the host and is seen
    /// only when a coroutine is looked at (see [`Coro::without_valgrind`]).
    #[must_use]
    pub fn built_with(mut self, build: Build) -> Self {
        if !build.tls {
            self.output.shift_from_host(self.output.host.saturating_sub(self.output.tls_verify));
        }
        if !build.regex {
            self.filter.shift_after_regex(POINTER);
            self.output.shift_after_regex(POINTER);
        }
        if !build.chunk_trace {
            self.input.shift_after_trace(
                self.input.log_level.saturating_sub(self.input.chunk_trace_ctxt),
            );
            self.event_chunk.size = self.event_chunk.size.saturating_sub(POINTER);
            self.event_chunk.trace = None;
        }
        self
    }
}

fn back(fields: &mut [&mut usize], by: usize) {
    for field in fields {
        **field = field.saturating_sub(by);
    }
}

impl OutputInstance {
    fn shift_from_host(&mut self, by: usize) {
        back(
            &mut [
                &mut self.size,
                &mut self.host,
                &mut self.properties,
                &mut self.config_map,
                &mut self.cmt,
                &mut self.tp_workers,
                &mut self.is_threaded,
                &mut self.config,
            ],
            by,
        );
    }

    fn shift_after_regex(&mut self, by: usize) {
        back(
            &mut [
                &mut self.tls_verify,
                &mut self.tls_ca_file,
                &mut self.tls_crt_file,
                &mut self.tls_key_file,
                &mut self.tls_key_passwd,
            ],
            by,
        );
        self.shift_from_host(by);
    }
}

impl FilterInstance {
    fn shift_after_regex(&mut self, by: usize) {
        back(
            &mut [
                &mut self.size,
                &mut self.parent_processor,
                &mut self.context,
                &mut self.data,
                &mut self.p,
                &mut self.properties,
                &mut self.config_map,
                &mut self.cmt,
                &mut self.config,
            ],
            by,
        );
    }
}

impl InputInstance {
    fn shift_after_trace(&mut self, by: usize) {
        back(
            &mut [
                &mut self.size,
                &mut self.log_level,
                &mut self.name,
                &mut self.alias,
                &mut self.context,
                &mut self.ch_events,
                &mut self.p,
                &mut self.tag,
                &mut self.tag_len,
                &mut self.routable,
                &mut self.host,
                &mut self.mem_buf_status,
                &mut self.storage_buf_status,
                &mut self.config_map,
                &mut self.properties,
                &mut self.is_threaded,
                &mut self.cmt,
                &mut self.use_tls,
                &mut self.tls_verify,
                &mut self.tls_ca_file,
                &mut self.tls_crt_file,
                &mut self.tls_key_file,
                &mut self.tls_key_passwd,
                &mut self.config,
            ],
            by,
        );
    }
}

impl Coro {
    /// The layout in hosts that were built without Valgrind's header: the identifier of the stack,
    /// padded to eight bytes, is not there.
    #[must_use]
    pub fn without_valgrind(mut self) -> Self {
        back(&mut [&mut self.size, &mut self.caller, &mut self.callee, &mut self.data], POINTER);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;

    #[test]
    fn releases_are_read_and_ordered() {
        assert_eq!(Release::parse("4.2.8"), Some(Release::new(4, 2, 8)));
        assert_eq!(Release::parse("4.2.3.1"), Some(Release::new(4, 2, 3)));
        assert_eq!(Release::parse("4.2"), None);
        assert_eq!(Release::parse("4.2.x"), None);
        assert!(Release::new(3, 2, 10) > Release::new(3, 2, 9));
        assert_eq!(Release::new(5, 1, 1).to_string(), "5.1.1");
    }

    #[test]
    fn rows_are_in_order_and_do_not_overlap() {
        for row in ROWS {
            assert_eq!(Release::parse(row.since), Some(row.first));
            assert!(row.first <= row.last);
        }
        for pair in ROWS.windows(2) {
            assert!(pair[0].last < pair[1].first, "{} and {}", pair[0].since, pair[1].since);
        }
    }

    #[test]
    fn build_options_move_what_they_move_in_real_builds() {
        // Values of probes compiled against headers configured without the option.
        let row = |since: &str| *ROWS.iter().find(|row| row.since == since).unwrap();
        let without_tls = Build { tls: false, ..Build::OFFICIAL };
        assert_eq!(row("3.0.0").built_with(without_tls).output.size, 688);
        assert_eq!(row("3.2.0").built_with(without_tls).output.size, 712);
        assert_eq!(row("5.1.0").built_with(without_tls).output.size, 856);
        let without_trace = Build { chunk_trace: false, ..Build::OFFICIAL };
        assert_eq!(row("3.0.0").built_with(without_trace).input.size, 880);
        assert_eq!(row("5.1.0").built_with(without_trace).input.size, 1504);
        assert_eq!(row("5.1.0").built_with(without_trace).event_chunk.size, 40);
        let without_regex = Build { regex: false, ..Build::OFFICIAL };
        assert_eq!(row("3.0.0").built_with(without_regex).filter.size, 192);
        assert_eq!(row("5.1.0").built_with(without_regex).output.size, 960);
        assert_eq!(row("5.1.0").built_with(Build::OFFICIAL), row("5.1.0"));
    }

    #[test]
    fn a_host_without_valgrind_has_a_shorter_coroutine() {
        let coro = ROWS[0].coro.without_valgrind();
        assert_eq!((coro.size, coro.caller, coro.callee, coro.data), (24, 0, 8, 16));
    }
}
