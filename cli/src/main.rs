//! Command line: `fluent-bit-ai check` says what a start of Fluent Bit would refuse, before one starts.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use fluent_bit_ai::host::abi::rows;
use fluent_bit_ai::model::Release;
use fluent_bit_ai_cli::check::{Checked, check, emitter_file};
use fluent_bit_ai_cli::connect::{self, Trials};
use fluent_bit_ai_cli::finding::{Finding, Severity};
use fluent_bit_ai_cli::host::{self, Verdict};

#[derive(Parser)]
#[command(
    name = "fluent-bit-ai",
    version,
    about = "What belongs to the plugins of fluent-bit-ai and runs beside Fluent Bit"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says what is wrong with a configuration: all that a start, or a reload, would refuse.
    ///
    /// The exit status is 0 if Fluent Bit would start, and 1 if it would not. Warnings do not count.
    Check(CheckArgs),
}

#[derive(Args)]
struct CheckArgs {
    /// The configuration, classic or YAML.
    #[arg(short, long, value_name = "FILE", required_unless_present = "host")]
    config: Option<PathBuf>,
    /// Send each endpoint an export that holds nothing, ask each target of a scrape for its page, and say what came of it.
    #[arg(long, requires = "config")]
    connect: bool,
    /// Say whether this Fluent Bit is supported; the configuration is checked for its release.
    #[arg(long, value_name = "PATH")]
    host: Option<PathBuf>,
    /// A plugins file, or the file of a plugin, instead of those that the configuration names.
    #[arg(long, value_name = "FILE")]
    plugins: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let Command::Check(args) = Cli::parse().command;
    if run(&args) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether all is well.
fn run(args: &CheckArgs) -> bool {
    let newest = rows::ROWS.last().map_or(Release::new(5, 1, 0), |row| row.last);
    let emitter = emitter_file(args.config.as_deref(), &args.plugins).or_else(beside);
    let verdict = args.host.as_deref().map(|path| host::judge(path, emitter.as_deref()));
    if let Some(verdict) = &verdict {
        println!("{verdict}");
    }
    let release =
        verdict.as_ref().and_then(Verdict::release).and_then(Release::parse).unwrap_or(newest);
    let is_supported = !matches!(verdict, Some(Verdict::NotSupported(_)));
    let Some(path) = &args.config else { return is_supported };
    let mut checked = check(path, &args.plugins, release);
    show(&checked.findings);
    let tried = if args.connect { connect::try_out(&mut checked) } else { Trials::default() };
    tried.read.iter().chain(&tried.accepted).for_each(|line| println!("{line}"));
    show(&tried.findings);
    let errors = count(&checked.findings, Severity::Error);
    println!("{}: {}", path.display(), summary(&checked, errors));
    if args.connect {
        let failed = tried.findings.len().saturating_sub(tried.unread);
        println!("exports accepted: {}, not accepted: {failed}", tried.accepted.len());
        if !tried.read.is_empty() || tried.unread > 0 {
            println!("pages read: {}, not read: {}", tried.read.len(), tried.unread);
        }
    }
    is_supported && errors == 0 && count(&tried.findings, Severity::Error) == 0
}

/// The file of `ai_emitter` beside this program.
fn beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    Some(own.with_file_name("flb-in_ai_emitter.so")).filter(|path| path.exists())
}

fn show(findings: &[Finding]) {
    findings.iter().for_each(|finding| println!("{finding}"));
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

fn summary(checked: &Checked, errors: usize) -> String {
    let Checked { findings, instances, others, .. } = checked;
    let warnings = count(findings, Severity::Warning);
    let consequence = match errors {
        0 => "",
        _ => "; Fluent Bit would not start with it, and one that reloads it would end",
    };
    format!(
        "errors: {errors}, warnings: {warnings}; instances of ours: {instances}, of others, which were not \
         looked at: {others}{consequence}"
    )
}
