//! Command line: the project's own OTLP tools: load, receivers, replay, benchmarks and the demo.
//!
//! `cargo run --release -p testkit --bin otlp-tool -- help` lists the commands. `make demo` and
//! `make bench` are what most people want.
#![expect(clippy::print_stdout, reason = "a command line tool prints its results")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a tool may stop")]
#![expect(clippy::indexing_slicing, reason = "fixed layouts that this tool itself wrote")]
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small figures")]
#![expect(clippy::disallowed_methods, reason = "a tool has clocks, threads and tasks")]
#![expect(clippy::let_underscore_must_use, reason = "writing to a String cannot fail")]
#![expect(unreachable_pub, reason = "a binary has no readers of its items")]

mod bench;
mod demo;
mod detectors;
mod findings;
mod flood;
mod memory;
mod outage;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use testkit::{client, due, hosts, load, replay, shapes, sink, soak, wire};

#[derive(Parser)]
#[command(name = "otlp-tool", about = "OTLP load, receivers, replay, benchmarks and the demo")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends generated telemetry in a closed loop and prints throughput and delays as JSON.
    Load(load::Args),
    /// Receives OTLP over gRPC and HTTP on one port and prints what came.
    Sink(sink::Args),
    /// Sends captured requests (a file with one `{"path", "body"}` in OTLP/JSON a line).
    Replay(replay::Args),
    /// Measures our plugins beside Fluent Bit's own and prints the table.
    Bench(bench::Args),
    /// Runs tail sampling at a rate above its bounds on a real host, and fails where something does not hold.
    Soak(soak::Args),
    /// Holds very many spans that are due at once on a real host, and prints the longest pause of its engine's thread.
    Due(due::Args),
    /// Attacks the receiver and prints what it costs the host and a good client.
    Flood(flood::Args),
    /// Makes weeks of calls with and without changes and prints what `ai_metrics` finds in them, and when.
    Findings(findings::Args),
    /// Runs the README's pipeline on real captures and on a model that becomes slower, and prints what came out where.
    Demo {
        /// The folder that holds the plugin files.
        #[arg(long)]
        plugins: PathBuf,
        /// The folder that holds the captures.
        #[arg(long, default_value = "tests/data/genai")]
        captures: PathBuf,
        /// Print everything, not the table alone.
        #[arg(long)]
        long: bool,
        /// Goes on to its end when Enter is pressed, so that the status page can be looked at.
        #[arg(long)]
        wait: bool,
    },
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match Cli::parse().command {
        Command::Load(args) => println!("{}", runtime.block_on(load::run(args)).json()),
        Command::Sink(args) => runtime.block_on(sink::serve_and_print(args)),
        Command::Replay(args) => runtime.block_on(replay::run(args)),
        Command::Bench(args) => runtime.block_on(bench::run(args)),
        Command::Soak(args) => match runtime.block_on(soak::run(args)) {
            Ok(report) => println!("{}", report.text()),
            Err(problem) => {
                println!("{problem}");
                std::process::exit(1);
            }
        },
        Command::Due(args) => match runtime.block_on(due::run(&args)) {
            Ok(report) => println!("{}", report.text(&args)),
            Err(problem) => {
                println!("{problem}");
                std::process::exit(1);
            }
        },
        Command::Flood(args) => runtime.block_on(flood::run(args)),
        Command::Findings(args) => findings::run(&args),
        Command::Demo { plugins, captures, long, wait } => {
            runtime.block_on(demo::run(&plugins, &captures, long, wait));
        }
    }
}
