//! When a host is proved, and what follows from it.
//!
//! A host beyond the table runs if every field was found where its row says. One that has a row is
//! proved as well, which costs well under a millisecond for each instance: distributors change
//! releases, and then it is refused if anything speaks against the row. What the host gives no means
//! to find out does not count against a row that was compared with the release's own headers.

use std::ffi::c_void;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use super::abi::policy::{Chosen, PAGE, VARIABLE};
use super::abi::program;
use super::coro::Flush;
use super::detect::RunningHost;
use super::kind::PluginKind;
use super::log;
use super::proof::{self, Flushing, OwnPlugin, ProcessMemory, ProofReport, Setters, Subject};
use super::symbols;
use crate::stats::LogLevel;

/// Whether a flush was proved: on the engine's thread, on a worker, and with a chunk that processors of
/// the output made.
static FLUSHES: [AtomicBool; 3] =
    [AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false)];
/// Whether a route was not found beyond doubt.
static SPARES_ROUTES: AtomicBool = AtomicBool::new(false);

impl RunningHost {
    /// Proves what the host copies from us, when the library is loaded.
    pub(super) fn prove_plugins(&self) -> Result<(), String> {
        let Some(memory) = self.memory()? else { return Ok(()) };
        let plugins: Vec<OwnPlugin> = proof::OWN
            .iter()
            .filter_map(|(kind, symbol)| {
                let at = symbols::address(symbol)?.expose_provenance();
                Some(OwnPlugin::new(*kind, symbol, at, program::size_of_symbol(symbol)?))
            })
            .collect();
        let report = proof::plugins(&memory, &self.abi, &program::code(), &plugins);
        self.judge("its own plugins", &report)
    }

    /// Proves an instance, before anything of it is used: how many fields were found in place.
    pub(super) fn prove_instance(
        &self,
        kind: PluginKind,
        plugin: &str,
        instance: *mut c_void,
        config: *mut c_void,
    ) -> Result<usize, String> {
        if self.chosen == Chosen::Stated {
            return Ok(0);
        }
        let Some(memory) = self.memory()? else { return Ok(0) };
        let setters = self.symbols.setters.as_ref().map(|setters| setters as &dyn Setters);
        let subject = Subject {
            memory: &memory,
            abi: &self.abi,
            build: self.build,
            kind,
            plugin,
            instance: instance.expose_provenance(),
            config: config.expose_provenance(),
            setters,
            service: symbols::address(c"service_configs").map(|at| at.expose_provenance()),
        };
        let report = subject.prove();
        let of = match kind {
            PluginKind::Input => "an input",
            PluginKind::Filter => "a filter",
            PluginKind::Output => "an output",
        };
        self.judge(of, &report).map(|()| report.held())
    }

    /// Whether there are still flushes that are not proved. Releases of the table have kept all of it in
    /// place since 3.0, and are not looked at.
    pub(super) fn has_unproved_flushes(&self) -> bool {
        !self.is_of_table() && !FLUSHES.iter().all(|proved| proved.load(Ordering::Acquire))
    }

    /// Proves the first flush of each kind, by what the host passed: chunk, flush, input and
    /// configuration, and the output as it was started. One that cannot be proved can neither be
    /// answered nor be left, so the process ends: with our words instead of a crash, and before anything
    /// was written to.
    ///
    /// # Safety
    /// All are what the host passed to `cb_flush`, and what `cb_init` got as the instance.
    pub(super) unsafe fn prove_flush(&self, passed: [*mut c_void; 5]) {
        let [on_engine, on_worker, processed] = &FLUSHES;
        self.prove_once(if self.worker().is_null() { on_engine } else { on_worker }, passed);
        let [chunk, flush, ..] = passed;
        let Ok(host) = super::detect::host() else { return };
        let Ok(functions) = &host.symbols.output else { return };
        // SAFETY: what is read here was just proved.
        if unsafe { Flush::new(host, functions, flush) }.is_processed(chunk) {
            self.prove_once(processed, passed);
        }
    }

    fn prove_once(&self, proved: &AtomicBool, passed: [*mut c_void; 5]) {
        if proved.load(Ordering::Acquire) {
            return;
        }
        match self.look_at_flush(passed) {
            Ok(report) => {
                if report.spares("route") {
                    SPARES_ROUTES.store(true, Ordering::Release);
                }
                proved.store(true, Ordering::Release);
            }
            Err(why) => {
                log::print(LogLevel::Error, &format!("[fluent-bit-ai] {why}; the process ends"));
                // The host writes its lines from a thread of its own.
                // SAFETY: only waits.
                unsafe { libc::sleep(1) };
                // SAFETY: ends the process; nothing of the host runs any more.
                unsafe { libc::_exit(libc::EXIT_FAILURE) };
            }
        }
    }

    fn look_at_flush(&self, passed: [*mut c_void; 5]) -> Result<ProofReport, String> {
        let [chunk, flush, input, config, output] = passed.map(|at| at.expose_provenance());
        let (Some(memory), Ok(functions)) = (self.memory()?, &self.symbols.output) else {
            return Err("this host does not export what a flush needs".to_owned());
        };
        // SAFETY: the function only says where we are.
        let active = unsafe { (functions.co_active)() }.expose_provenance();
        let worker = self.worker().expose_provenance();
        let (memory, abi) = (&memory, &self.abi);
        let flushing =
            Flushing { memory, abi, chunk, flush, input, config, output, active, worker };
        let report = flushing.prove();
        self.judge("a flush", &report).map(|()| report)
    }

    /// The worker that this thread is, or null.
    fn worker(&self) -> *mut c_void {
        let Ok(functions) = &self.symbols.output else { return ptr::null_mut() };
        // SAFETY: the function only reads a thread-local variable.
        unsafe { (functions.flb_output_thread_instance_get)() }
    }

    /// Whether the layout was compared with the release's own headers. What nothing else can show is
    /// used in such releases alone: the lock of a task, which only orders what the host reads after it
    /// was told through a pipe, and the trace of a chunk.
    pub(super) const fn is_of_table(&self) -> bool {
        !self.chosen.is_beyond_table()
    }

    /// Whether routes are where the row says beyond doubt.
    pub(super) fn writes_routes(&self) -> bool {
        self.is_of_table() || !SPARES_ROUTES.load(Ordering::Acquire)
    }

    /// Whether the host has started an input only because its file was loaded more than once.
    pub(super) fn is_surplus(
        &self,
        kind: PluginKind,
        plugin: &str,
        instance: *mut c_void,
        config: *mut c_void,
    ) -> bool {
        if kind != PluginKind::Input || self.chosen == Chosen::Stated {
            return false;
        }
        let Some(memory) = ProcessMemory::own() else { return false };
        let (instance, config) = (instance.expose_provenance(), config.expose_provenance());
        proof::is_surplus(&memory, &self.abi, plugin, instance, config)
    }

    /// How memory is looked at. Where it cannot be, a host that has a row runs unproved.
    fn memory(&self) -> Result<Option<ProcessMemory>, String> {
        let memory = ProcessMemory::own();
        if memory.is_none() && self.chosen.is_beyond_table() {
            return Err(format!(
                "this is Fluent Bit {}, which no layout is known for, and whether that of {} holds \
                 cannot be found out: this process may neither call process_vm_readv nor open \
                 /proc/self/mem. Allow one of them, or take a newer fluent-bit-ai ({PAGE})",
                self.release, self.abi.since
            ));
        }
        Ok(memory)
    }

    fn judge(&self, of: &str, report: &ProofReport) -> Result<(), String> {
        let holds =
            if self.chosen.is_beyond_table() { report.is_whole() } else { report.is_unopposed() };
        if holds {
            return Ok(());
        }
        let what = report.problems();
        Err(match self.chosen {
            Chosen::Patch | Chosen::Newest => format!(
                "this is Fluent Bit {}, newer than fluent-bit-ai {} knows, and it does not keep {what} \
                 of {of} where {} does: it cannot run here. Take a newer fluent-bit-ai, run one of \
                 the releases {}, or add a row for this one ({PAGE})",
                self.release,
                env!("CARGO_PKG_VERSION"),
                self.abi.since,
                super::detect::supported()
            ),
            Chosen::Symbols => format!(
                "this host does not say which release of Fluent Bit it is, and does not keep {what} of \
                 {of} where {} does; supported are unmodified releases {} ({PAGE})",
                self.abi.since,
                super::detect::supported()
            ),
            Chosen::Stated | Chosen::Table => format!(
                "this host says it is Fluent Bit {}, but does not keep {what} of {of} where that \
                 release does; supported are unmodified releases {} ({PAGE})",
                self.release,
                super::detect::supported()
            ),
        })
    }

    /// Why the layout is used, for a label.
    pub(super) const fn known_by(&self) -> &'static str {
        match self.chosen {
            Chosen::Stated => "test_host",
            Chosen::Table => "table",
            Chosen::Symbols => "symbols",
            Chosen::Patch => "patch",
            Chosen::Newest => "newest",
        }
    }

    /// Which host this is, in one line.
    pub(super) fn announcement(&self, proved: usize) -> String {
        let how = match self.chosen {
            Chosen::Stated => "as the test host says",
            Chosen::Table => "which covers this release",
            Chosen::Symbols => "the newest that fits what the host exports",
            Chosen::Patch | Chosen::Newest => "the newest that may fit this release",
        };
        let proof = match proved {
            0 => "not compared with this host".to_owned(),
            fields => format!("{fields} fields of this instance found in place"),
        };
        format!(
            "fluent-bit-ai {} in Fluent Bit {}: layout of {}, {how}; {proof}",
            env!("CARGO_PKG_VERSION"),
            self.release,
            self.abi.since
        )
    }

    /// The same where the host only checks its configuration and starts nothing.
    pub(super) fn announce_dry_run(&self) {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            let arguments = std::fs::read("/proc/self/cmdline").unwrap_or_default();
            if !arguments.split(|byte| *byte == 0).any(|argument| argument == b"--dry-run") {
                return;
            }
            let newer = if !self.is_of_table() {
                format!("; not in the table of releases, see {PAGE}")
            } else {
                String::new()
            };
            log::print(LogLevel::Info, &format!("{}{newer}", self.dry_announcement()));
        });
    }

    fn dry_announcement(&self) -> String {
        format!(
            "[fluent-bit-ai] {} in Fluent Bit {}: layout of {} ({}); instances are compared with it \
             when they start",
            env!("CARGO_PKG_VERSION"),
            self.release,
            self.abi.since,
            self.known_by()
        )
    }

    /// What a user is told once where nothing but the proof speaks for the row.
    pub(super) fn warning(&self) -> Option<String> {
        let asked = match self.chosen {
            Chosen::Stated | Chosen::Table => return None,
            Chosen::Symbols => {
                return Some(format!(
                    "this host does not say which release of Fluent Bit it is; the layout of {} was \
                     compared with it field by field and holds. See {PAGE}",
                    self.abi.since
                ));
            }
            Chosen::Patch => String::new(),
            Chosen::Newest => format!(", which {VARIABLE} asked for"),
        };
        Some(format!(
            "this is Fluent Bit {}, newer than fluent-bit-ai {} was built for; the layout of {}{asked} \
             was compared with it field by field and holds. See {PAGE}",
            self.release,
            env!("CARGO_PKG_VERSION"),
            self.abi.since
        ))
    }
}
