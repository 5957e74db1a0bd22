//! flb-host: fluent-bit-ai's bundled test host, not Fluent Bit.
//!
//! It loads the plugins the way Fluent Bit does, hands them structures laid out as a chosen release
//! lays them out, and runs a small pipeline: collectors, filters, tasks, coroutines, workers,
//! retries, pauses, hot reload. Tests use it for every release and for what goes wrong on purpose.
//! It is no replacement for Fluent Bit.
//!
//! Start reading at [`run`], then [`engine`]. `exports` is what plugins look up, `memory` what they
//! see, and `coroutine` the small stacks.

#![expect(unsafe_code, reason = "the host's side of a C interface")]
#![expect(clippy::print_stderr, reason = "a program says what it does on its standard error")]
#![expect(clippy::print_stdout, reason = "help goes to standard output")]

mod args;
mod builtin;
mod coroutine;
mod engine;
mod event_loop;
mod exports;
mod faults;
mod instance;
mod memory;
mod metrics;
mod plugin;
mod plugin_calls;
mod report;
mod run;
mod settings;
mod thread_state;
mod timers;

use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = args::Args::parse(std::env::args().skip(1)).and_then(|args| run::run(&args));
    match outcome {
        Ok(()) if report::problems() == 0 => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(2),
        Err(problem) => {
            report::print(report::ERROR, &format!("[flb-host] {problem}"));
            ExitCode::from(1)
        }
    }
}
