//! Main loop: the main thread loads, starts, reloads and stops, and waits for signals in between.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use fluent_bit_ai::host::abi::row::{HostAbi, Release};
use fluent_bit_ai::host::abi::rows::{ROWS, known};

use crate::args::{Args, HELP};
use crate::coroutine;
use crate::engine::{Channel, Engine, EngineCommand, PreparedRun, RunContext, tasks};
use crate::event_loop::{self, EventLoop, LoopEvent};
use crate::exports;
use crate::metrics;
use crate::plugin::Plugin;
use crate::report;
use crate::settings::HostSettings;

/// Does what the command line asks for.
///
/// # Errors
/// One line that says what is wrong with the configuration.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    if args.list_rows {
        for row in known()? {
            println!("{:<8} releases {} to {}", row.since, row.first, row.last);
        }
        return Ok(());
    }
    if args.help == Some(None) {
        print!("{HELP}");
        return Ok(());
    }
    let (row, release) = choose(args.row.as_deref())?;
    exports::set_row(release);
    exports::set_lacking(args.lacks.clone());
    if args.check_stacks {
        coroutine::check_stacks();
    }
    if let Some(Some(name)) = &args.help {
        return help(args, row, name);
    }
    let Some(config) = &args.config else {
        return Err("no configuration: give one with -c, or ask for help with -h".to_owned());
    };
    let signals = block_signals().map_err(|error| error.to_string())?;
    let name = "flb-host: fluent-bit-ai's bundled test host, not Fluent Bit";
    report::print(report::INFO, &format!("{name}; structures of {release}"));
    let outcome = supervise(args, row, config, &signals);
    for line in tasks::totals() {
        report::print(report::INFO, &format!("[flb-host] {line}"));
    }
    let deepest = coroutine::deepest();
    report::print(report::INFO, &format!("[flb-host] deepest coroutine stack: {deepest} bytes"));
    outcome
}

fn choose(wanted: Option<&str>) -> Result<(&'static HostAbi, Release), String> {
    let rows = known()?;
    let Some(wanted) = wanted else {
        let newest = ROWS.last().ok_or("there are no rows")?;
        return Ok((newest, newest.last));
    };
    let release = Release::parse(wanted);
    release
        .and_then(|release| rows.iter().find(|row| row.covers(release)).map(|row| (row, release)))
        .ok_or_else(|| {
            let names: Vec<&str> = rows.iter().map(|row| row.since).collect();
            format!("no row for release '{wanted}'; rows start at: {}", names.join(", "))
        })
}

fn help(args: &Args, row: &HostAbi, name: &str) -> Result<(), String> {
    let plugins = load(args, &[], row)?;
    let plugin = plugins
        .iter()
        .find(|plugin| plugin.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| format!("no loaded plugin is called '{name}'"))?;
    print!("{}", plugin.help());
    Ok(())
}

fn load(
    args: &Args,
    more: &[std::path::PathBuf],
    row: &HostAbi,
) -> Result<Vec<Arc<Plugin>>, String> {
    args.plugins.iter().chain(more).map(|path| Plugin::load(path, row)).collect()
}

/// Signals are read as events, so that none runs on a callback's small stack.
fn block_signals() -> std::io::Result<OwnedFd> {
    // SAFETY: a zeroed set is a valid value, which the next call overwrites.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set lives through the call.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1] {
        // SAFETY: the set is initialised and the signal is valid.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    // SAFETY: the set is initialised; the old one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    // SAFETY: the set is initialised.
    let descriptor = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the call has just made the descriptor, and no other code has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn next_signal(signals: &OwnedFd) -> i32 {
    let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
    let room = info.len();
    // SAFETY: the array has room for one description.
    let count = unsafe { libc::read(signals.as_raw_fd(), info.as_mut_ptr().cast(), room) };
    let number = info.first_chunk::<4>().filter(|_| count > 0);
    number.map_or(0, |bytes| i32::from_ne_bytes(*bytes))
}

/// A pipeline on its thread.
struct Pipeline {
    channel: Arc<Channel>,
    thread: JoinHandle<Result<(), String>>,
    /// Set before the eventfd is written: it is shared with the pipeline before a reload.
    over: Arc<AtomicBool>,
    /// Kept until the thread has ended, because callbacks live in them.
    plugins: Vec<Arc<Plugin>>,
}

impl Pipeline {
    fn start(
        prepared: PreparedRun,
        plugins: Vec<Arc<Plugin>>,
        ended: &Arc<OwnedFd>,
    ) -> Result<Self, String> {
        let channel = Arc::new(Channel::new().map_err(|error| error.to_string())?);
        let theirs = Arc::clone(&channel);
        let ended = Arc::clone(ended);
        let over = Arc::new(AtomicBool::new(false));
        let signal = Arc::clone(&over);
        let thread = std::thread::Builder::new()
            .name("flb-pipeline".to_owned())
            .spawn(move || {
                let outcome = Engine::live(prepared, theirs, || {
                    report::print(report::INFO, "[flb-host] the pipeline has started");
                });
                signal.store(true, Ordering::Release);
                event_loop::write_word(ended.as_raw_fd(), 1);
                outcome
            })
            .map_err(|error| error.to_string())?;
        Ok(Self { channel, thread, over, plugins })
    }

    /// Stops it; afterwards its plugins are closed.
    fn stop(self) -> Result<(), String> {
        self.channel.send(EngineCommand::Stop);
        let outcome = self.thread.join().unwrap_or_else(|_| {
            report::problem("the pipeline's thread has panicked");
            Ok(())
        });
        drop(self.plugins);
        outcome
    }
}

fn prepare(
    args: &Args,
    row: &'static HostAbi,
    config: &Path,
) -> Result<(PreparedRun, Vec<Arc<Plugin>>), String> {
    let settings = HostSettings::read(config)?;
    report::set_level(settings.log_level);
    let plugins = load(args, &settings.plugins, row)?;
    let ground = RunContext {
        row,
        without_valgrind: args.without_valgrind,
        faults: args.faults,
        plugins: &plugins,
    };
    Ok((PreparedRun::new(&settings, ground)?, plugins))
}

fn supervise(
    args: &Args,
    row: &'static HostAbi,
    config: &Path,
    signals: &OwnedFd,
) -> Result<(), String> {
    let problem = |error: std::io::Error| error.to_string();
    let events = EventLoop::new().map_err(problem)?;
    let ended = Arc::new(event_loop::eventfd().map_err(problem)?);
    events.watch(signals.as_raw_fd(), LoopEvent::Command);
    events.watch(ended.as_raw_fd(), LoopEvent::Job);
    if let Some(limit) = args.run_for {
        events.after(limit, None, LoopEvent::StopTick);
    }
    let (prepared, plugins) = prepare(args, row, config)?;
    let mut pipeline = Pipeline::start(prepared, plugins, &ended)?;
    loop {
        for event in events.wait() {
            match event {
                LoopEvent::Command => match next_signal(signals) {
                    libc::SIGHUP => {
                        pipeline = reload(args, row, config, pipeline, &ended)?;
                    }
                    libc::SIGUSR1 => pipeline.channel.send(EngineCommand::PrintMetrics),
                    _ => return finish(pipeline),
                },
                LoopEvent::StopTick => return finish(pipeline),
                LoopEvent::Job => {
                    event_loop::read_word(ended.as_raw_fd());
                    if pipeline.over.load(Ordering::Acquire) {
                        return pipeline.stop();
                    }
                }
                _ => {}
            }
        }
    }
}

fn finish(pipeline: Pipeline) -> Result<(), String> {
    eprint!("{}", metrics::text());
    pipeline.stop()
}

/// As Fluent Bit does: the new configuration is read and its plugins are loaded while the old
/// pipeline runs; if that fails, the old one goes on.
fn reload(
    args: &Args,
    row: &'static HostAbi,
    config: &Path,
    old: Pipeline,
    ended: &Arc<OwnedFd>,
) -> Result<Pipeline, String> {
    report::print(report::INFO, "[flb-host] reloading");
    match prepare(args, row, config) {
        Ok((prepared, plugins)) => {
            old.stop()?;
            Pipeline::start(prepared, plugins, ended)
        }
        Err(error) => {
            report::print(report::ERROR, &format!("[flb-host] reload halted: {error}"));
            Ok(old)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_for_each_release() {
        assert_eq!(choose(Some("3.0.7")).unwrap().0.since, "3.0.0");
        assert_eq!(choose(None).unwrap().0.since, ROWS.last().unwrap().since);
        assert!(choose(Some("2.0.0")).unwrap_err().contains("2.0.0"));
    }
}
