//! What a machine or a build option moves in the structures of one release.
//!
//! Rows are written down for x86-64 and the official builds. What comes before a field decides where
//! it is, so another machine or option moves every field from some offset on.

use super::row::HostAbi;
use super::structs::{
    Config, Coro, EventChunk, FilterInstance, InputInstance, Log, OutThread, OutputInstance, Task,
};

/// A machine that Fluent Bit runs on, with Linux and glibc. All have the same sizes of C's own types;
/// what differs is glibc's mutex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Its name, as `uname -m` and Rust have it.
    pub name: &'static str,
    /// Bytes of a `pthread_mutex_t`.
    pub mutex: usize,
}

impl Machine {
    /// x86-64, for which rows are written down.
    pub const X86_64: Self = Self { name: "x86_64", mutex: 40 };
    /// aarch64.
    pub const AARCH64: Self = Self { name: "aarch64", mutex: 48 };
    /// Every machine that has rows.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::AARCH64];
    /// The one that this library was built for.
    #[cfg(target_arch = "x86_64")]
    pub const OWN: Self = Self::X86_64;
    /// The one that this library was built for.
    #[cfg(target_arch = "aarch64")]
    pub const OWN: Self = Self::AARCH64;
}

#[cfg(not(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("the layouts are those of Linux with glibc on x86-64 and aarch64");

const _: () = assert!(
    size_of::<libc::pthread_mutex_t>() == Machine::OWN.mutex,
    "this machine's mutex has another size"
);

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

/// A stretch of a structure that gets longer or shorter: what is behind it moves.
#[derive(Debug, Clone, Copy)]
enum Move {
    /// What is at this offset or behind it moves up by so many bytes.
    Up(usize, usize),
    /// It moves down.
    Down(usize, usize),
}

impl Move {
    const fn of(self, offset: usize) -> usize {
        match self {
            Self::Up(from, by) if offset >= from => offset.saturating_add(by),
            Self::Down(from, by) if offset >= from => offset.saturating_sub(by),
            Self::Up(..) | Self::Down(..) => offset,
        }
    }

    const fn of_some(self, offset: Option<usize>) -> Option<usize> {
        match offset {
            Some(offset) => Some(self.of(offset)),
            None => None,
        }
    }
}

/// Lets fields of structures move. A field that is not listed does not compile.
macro_rules! movable {
    ($($structure:ident { $($field:ident)* $(; $($maybe:ident)*)? })*) => {
        $(impl $structure {
            const fn moved(self, by: Move) -> Self {
                Self {
                    $($field: by.of(self.$field),)*
                    $($($maybe: by.of_some(self.$maybe),)*)?
                }
            }
        })*
    };
}

movable! {
    InputInstance {
        size processor flags id chunk_trace_ctxt log_level name alias context ch_events p tag tag_len
        routable host storage_type mem_chunks_size mem_buf_limit mem_buf_status storage_buf_status
        config_map properties is_threaded cmt use_tls tls_verify tls_debug tls_vhost tls_ca_path
        tls_ca_file tls_crt_file tls_key_file tls_key_passwd net_properties config
        ;
        tls_verify_client tls_verify_hostname tls_min_version tls_max_version tls_ciphers
        oauth2_jwt_properties
    }
    FilterInstance {
        size event_type id log_level name alias match_rule match_regex parent_processor context data
        p properties config_map cmt config
    }
    OutputInstance {
        size event_type id log_level name alias flags ch_events p context retry_limit match_rule
        match_regex use_tls tls_verify tls_debug tls_vhost tls_ca_path tls_ca_file tls_crt_file
        tls_key_file tls_key_passwd host properties config_map net_properties cmt tp_workers
        is_threaded config
        ;
        retry_limit_is_set tls_verify_hostname tls_min_version tls_max_version tls_ciphers
        tls_proxy_verify tls_proxy_verify_hostname tls_proxy_ca_path tls_proxy_ca_file
        oauth2_properties
    }
    Config { size is_ingestion_active is_shutting_down is_running grace log }
    Log { size level }
    Task { size id event_chunk ic routes i_ins lock }
    EventChunk { size kind tag data length total_events; trace }
    Coro { size caller callee data }
    OutThread { size ch_thread_events }
}

impl HostAbi {
    /// The layout of the same releases on another machine than x86-64.
    ///
    /// An input has `chunk_trace_lock` before `log_level`, from 5.0.1 on `metrics_chunk_lock` before
    /// `use_tls`, from 5.0.0 on `ingress_queue_lock` before its last fields. The configuration has
    /// `collectors_mutex` before `log` and, from 5.1.0 on,
    /// `telemetry_metrics_logs_tag_records_lock` behind. The logger has one mutex, from 5.0.0 on
    /// three, a task and a worker one each, all behind the fields that we use. No other structure of
    /// a row has any.
    #[must_use]
    pub(super) const fn on(mut self, machine: Machine) -> Self {
        let more = machine.mutex.saturating_sub(Machine::X86_64.mutex);
        let since = (self.first.major, self.first.minor, self.first.patch);
        if let Some(last) = self.input.oauth2_jwt_properties {
            self.input = self.input.moved(Move::Up(last, more));
        }
        if matches!(since, (5, 0, 1..) | (5, 1.., _) | (6.., ..)) {
            self.input = self.input.moved(Move::Up(self.input.use_tls, more));
        }
        self.input = self.input.moved(Move::Up(self.input.log_level, more));
        self.config = self.config.moved(Move::Up(self.config.log, more));
        if matches!(since, (5, 1.., _) | (6.., ..)) {
            self.config = self.config.moved(Move::Up(self.config.size, more));
        }
        let in_logger = if self.first.major >= 5 { 3 } else { 1 };
        self.log = self.log.moved(Move::Up(self.log.size, more.saturating_mul(in_logger)));
        self.task = self.task.moved(Move::Up(self.task.size, more));
        self.out_thread = self.out_thread.moved(Move::Up(self.out_thread.size, more));
        self
    }

    /// The layout of the same release built with other options.
    ///
    /// `FLB_HAVE_VALGRIND` is not here: it depends on the machine that built the host and is seen
    /// only when a coroutine is looked at (see [`Coro::without_valgrind`]).
    #[must_use]
    pub const fn built_with(mut self, build: Build) -> Self {
        if !build.tls {
            let at = &self.output;
            let by = at.host.saturating_sub(at.tls_verify);
            self.output = at.moved(Move::Down(at.host, by));
        }
        if !build.regex {
            let behind = self.filter.match_regex.saturating_add(POINTER);
            self.filter = self.filter.moved(Move::Down(behind, POINTER));
            let behind = self.output.match_regex.saturating_add(POINTER);
            self.output = self.output.moved(Move::Down(behind, POINTER));
        }
        if !build.chunk_trace {
            let at = &self.input;
            let by = at.log_level.saturating_sub(at.chunk_trace_ctxt);
            self.input = at.moved(Move::Down(at.log_level, by));
            let at = &self.event_chunk;
            self.event_chunk = at.moved(Move::Down(at.size, POINTER));
            self.event_chunk.trace = None;
        }
        self
    }
}

impl Coro {
    /// The layout in hosts that were built without Valgrind's header: the identifier of the stack,
    /// padded to eight bytes, is not there.
    #[must_use]
    pub const fn without_valgrind(self) -> Self {
        self.moved(Move::Down(0, POINTER))
    }

    /// The layout in hosts that were built with it, of one that was built without.
    pub(super) const fn with_valgrind(self) -> Self {
        self.moved(Move::Up(0, POINTER))
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::rows;
    use super::*;

    fn row(machine: Machine, since: &str) -> HostAbi {
        rows(machine).into_iter().find(|row| row.since == since).unwrap()
    }

    #[test]
    fn build_options_move_what_they_move_in_real_builds() {
        // Values of probes compiled against headers configured without the option.
        let without_tls = Build { tls: false, ..Build::OFFICIAL };
        let without_trace = Build { chunk_trace: false, ..Build::OFFICIAL };
        let without_regex = Build { regex: false, ..Build::OFFICIAL };
        for (machine, inputs) in [(Machine::X86_64, [880, 1504]), (Machine::AARCH64, [880, 1520])] {
            let built = |since, build| row(machine, since).built_with(build);
            assert_eq!(built("3.0.0", without_tls).output.size, 688);
            assert_eq!(built("3.2.0", without_tls).output.size, 712);
            assert_eq!(built("5.1.0", without_tls).output.size, 856);
            assert_eq!(built("3.0.0", without_trace).input.size, inputs[0]);
            assert_eq!(built("5.1.0", without_trace).input.size, inputs[1]);
            assert_eq!(built("5.1.0", without_trace).event_chunk.size, 40);
            assert_eq!(built("3.0.0", without_regex).filter.size, 192);
            assert_eq!(built("5.1.0", without_regex).output.size, 960);
            assert_eq!(built("5.1.0", Build::OFFICIAL), row(machine, "5.1.0"));
        }
    }

    #[test]
    fn an_option_moves_no_field_before_what_it_takes_away() {
        for machine in Machine::ALL {
            for row in rows(machine) {
                let plain = row.built_with(Build { tls: false, chunk_trace: false, regex: false });
                assert_eq!(plain.output.use_tls, row.output.use_tls);
                assert_eq!(plain.output.retry_limit_is_set, row.output.retry_limit_is_set);
                let (host, before) = (row.output.host, row.output.tls_verify);
                assert_eq!(plain.output.host, before - POINTER);
                let moved = |offset: usize| offset - host + before - POINTER;
                assert_eq!(plain.output.net_properties, moved(row.output.net_properties));
                assert_eq!(plain.output.config, moved(row.output.config));
                assert_eq!(plain.input.log_level, row.input.chunk_trace_ctxt);
                assert_eq!(plain.filter.context, row.filter.context - POINTER);
                assert_eq!(plain.filter.match_regex, row.filter.match_regex);
            }
        }
    }

    #[test]
    fn a_host_without_valgrind_has_a_shorter_coroutine() {
        let with = row(Machine::OWN, "3.0.0").coro;
        let coro = with.without_valgrind();
        assert_eq!((coro.size, coro.caller, coro.callee, coro.data), (24, 0, 8, 16));
        assert_eq!(coro.with_valgrind(), with);
    }
}
