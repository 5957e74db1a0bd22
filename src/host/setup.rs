//! Instance start-up: prove that the host's structures are what we think, read the options,
//! open the plugin.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use super::barrier::{self, Callback};
use super::counters::Mirror;
use super::detect::{RunningHost, host, supported};
use super::engine_run::{Membership, THREADED};
use super::host_struct::{HostPointer, HostStruct};
use super::kind::PluginKind;
use super::lend;
use super::log;
use super::options::HostOptions;
use super::proof;
use super::reporter::Reporter;
use super::stack;
use super::symbols::required;
use crate::hub::WatchedInstance;
use crate::plugin::{Environment, OpenError, Options, Spec};
use crate::stats::LogLevel;

/// An instance that is starting.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) host: &'static RunningHost,
    pub(super) instance: HostStruct,
    pub(super) config: HostPointer,
    pub(super) options: HostOptions,
    pub(super) reporter: Reporter,
    pub(super) membership: Membership,
    name: String,
    cmt: HostPointer,
}

/// An instance that does not start; why was logged.
#[derive(Debug, Clone, Copy)]
pub(super) struct StartRefusal;

/// What every `cb_init` does: looks at the instance, starts it, and says to the host how it went.
///
/// # Safety
/// The pointers are the instance and the configuration that the host passed to the `cb_init` of a
/// plugin of this kind.
pub(super) unsafe fn init(
    kind: PluginKind,
    spec: &Spec,
    (instance, config): (*mut c_void, *mut c_void),
    start: impl FnOnce(Setup) -> Result<(), StartRefusal>,
) -> c_int {
    // SAFETY: passed on.
    let begin = || unsafe { Setup::begin(kind, spec, instance, config) };
    let begin = || match begin()? {
        Some(setup) => start(setup),
        None => Ok(()),
    };
    stack::on_large_stack(|| match barrier::around(begin) {
        Some(Ok(())) => 0,
        Some(Err(StartRefusal)) | None => -1,
    })
}

impl Setup {
    /// Looks at the instance that the host wants to start. `None` if it is one too many.
    ///
    /// # Safety
    /// `instance` and `config` are what the host passed to the `cb_init` of a plugin of this kind.
    unsafe fn begin(
        kind: PluginKind,
        spec: &Spec,
        instance: *mut c_void,
        config: *mut c_void,
    ) -> Result<Option<Self>, StartRefusal> {
        let begun = host().map_err(str::to_owned).and_then(|host| {
            required(&host.symbols.common)?;
            let proved = host.prove_instance(kind, spec.name, instance, config)?;
            if host.is_surplus(kind, spec.name, instance, config) {
                let line = format!("[{}:{}] {}", kind.name(), spec.name, proof::SURPLUS);
                log::print(LogLevel::Warn, &line);
                return Ok(None);
            }
            // SAFETY: passed on.
            let setup = unsafe { Self::at_host(host, kind, spec, instance, config) }?;
            setup.announce(proved);
            Ok(Some(setup))
        });
        begun.map_err(|problem| {
            log::print(LogLevel::Error, &format!("[{}:{}] {problem}", kind.name(), spec.name));
            StartRefusal
        })
    }

    /// Says which host this is: in a line where the run starts, and in a metric of each instance.
    fn announce(&self, proved: usize) {
        let host = self.host;
        let labels = [env!("CARGO_PKG_VERSION"), &host.release, host.abi.since, host.known_by()];
        self.reporter.publish_build(&labels);
        if !self.membership.is_first() {
            return;
        }
        self.reporter.log().info(host.announcement(proved));
        if let Some(warning) = host.warning() {
            self.reporter.log().warn(warning);
        }
    }

    /// As [`Setup::begin`], in a host that is known.
    ///
    /// # Safety
    /// As for [`Setup::begin`].
    pub(super) unsafe fn at_host(
        host: &'static RunningHost,
        kind: PluginKind,
        spec: &Spec,
        instance: *mut c_void,
        config: *mut c_void,
    ) -> Result<Self, String> {
        let fields = kind.fields(&host.abi);
        // SAFETY: the host passed an instance, which is this long if the row is the right one,
        // which the next lines check.
        let view = unsafe { HostStruct::new(instance, fields.size) };
        // SAFETY: the plugin that the instance belongs to outlives it.
        let plugin = unsafe { view.follow(fields.p, fields.plugin_size) };
        let own_config = view.get::<*mut c_void>(fields.config);
        if own_config != config || config.is_null() {
            return Err(mismatch(host, "its configuration"));
        }
        // SAFETY: if this is the plugin, its name is a string of ours or the host's.
        let name = unsafe { lend::text(plugin.get::<*mut c_void>(fields.plugin_name)) };
        if name.as_deref() != Some(spec.name) {
            return Err(mismatch(host, "its plugin"));
        }
        // SAFETY: the alias is a string of the host, or null.
        let alias = unsafe { lend::text(view.get::<*mut c_void>(fields.alias)) };
        // SAFETY: the name is inside the instance and ends with a zero.
        let own_name = unsafe { lend::text(view.field(fields.name)) };
        let name = alias.or(own_name).unwrap_or_else(|| spec.name.to_owned());
        // SAFETY: the instance proved to be laid out as the row says.
        let options = unsafe { HostOptions::read(kind, &host.abi, host.build, view) };
        if kind != PluginKind::Input
            && let Some(input) = THREADED.before(HostPointer(config))
        {
            return Err(format!("the input {input} of this pipeline did not start; see above why"));
        }
        let reporter = Reporter::new(kind, spec.name, &name, view, fields.log_level);
        let membership = Membership::join(HostPointer(config));
        membership.hub().add_instance(WatchedInstance {
            kind: kind.name(),
            plugin: spec.name,
            name: name.clone(),
            counters: Arc::clone(reporter.counters()),
            log: Arc::clone(reporter.log()),
        });
        Ok(Self {
            host,
            instance: view,
            config: HostPointer(config),
            options,
            reporter,
            membership,
            cmt: HostPointer(view.get(fields.cmt)),
            name,
        })
    }

    /// The instance's own name, or its alias.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Opens the plugin and makes its counters known to the host.
    pub(super) fn open<P>(
        &mut self,
        callback: Callback,
        open: impl FnOnce(&dyn Options, Environment) -> Result<P, OpenError>,
    ) -> Result<P, StartRefusal> {
        let environment = Environment {
            instance: self.name.clone(),
            hub: Arc::clone(self.membership.hub()),
            position: self.membership.hub().next_position(),
            host_release: self.host.release.clone(),
            log_groups: self.host.has_log_groups(),
            native_chunks: self.host.symbols.native.is_some(),
            counters: Arc::clone(self.reporter.counters()),
            log: Arc::clone(self.reporter.log()),
        };
        let options = &self.options;
        let opened = barrier::run(callback, || open(options, environment));
        let opened = match opened {
            Ok(Ok(plugin)) => Ok(plugin),
            Ok(Err(OpenError(problems))) => {
                self.reporter.print_lines();
                problems.iter().for_each(|problem| self.reporter.refuse(problem));
                Err(StartRefusal)
            }
            Err(panicked) => {
                self.reporter.panicked(&panicked, "the instance does not start");
                self.reporter.print_lines();
                Err(StartRefusal)
            }
        };
        if opened.is_ok()
            && let Some(functions) = self.host.symbols.metrics
            && !self.cmt.0.is_null()
        {
            let mirror = Mirror::new(functions, self.cmt, &self.name, self.reporter.counters());
            self.reporter.publish_through(Some(mirror));
        }
        opened
    }
}

fn mismatch(host: &RunningHost, what: &str) -> String {
    format!(
        "this host says it is Fluent Bit {}, but an instance does not keep {what} where that \
         release does; supported are unmodified releases {}",
        host.release,
        supported()
    )
}
