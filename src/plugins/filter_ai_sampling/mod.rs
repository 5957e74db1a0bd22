//! The filter `ai_sampling`: head sampling by consistent probability, or tail sampling by policies.

mod adaptive_settings;
mod collector_file;
mod companions;
mod counted;
mod counters;
mod extension_policies;
mod fleet;
mod head_rates;
mod head_sampling;
mod journal;
mod model_settings;
mod ottl;
mod policies_file;
mod policy_list;
mod policy_settings;
mod reload;
mod rules_file;
mod samplers;
mod shards;
mod tail_numbers;
mod tail_sampling;
mod tenant_numbers;
mod tenant_settings;

use std::sync::Arc;
use std::time::Duration;

use self::collector_file::Block;
use self::companions::{CompanionNumbers, Companions};
use self::extension_policies::ExtensionPolicies;
use self::fleet::FleetSizeFile;
use self::head_sampling::HeadSampling;
use self::journal::JournalSettings;
use self::policies_file::Layout;
use self::policy_list::{PolicyList, TOO_MANY_TESTS};
use self::reload::{ConfigFile, Reading};
use self::samplers::Samplers;
use self::tail_sampling::TailSampling;
use crate::clock;
use crate::codec::records::StatusCode;
use crate::condition::Condition;
use crate::config::read::{self, Read};
use crate::config::{CONFIG_FILE, FileOptions, Parser, options, parse_bool};
use crate::hub::{FilterRole, TelemetrySource};
use crate::model::{ErrorRule, Position};
use crate::plugin::{
    Chunk, Environment, Filter, OpenError, OptionKind, OptionSpec, Options, Spec, Verdict,
};
use crate::plugins::derived::missing_emitter::missing_emitter;
use crate::sampling::policy::{Policies, PolicyRule, SpanTest, ValueTest};
use crate::sampling::shards::MAX_SHARDS;
use crate::sampling::{
    HeadSampler, LogsFollow, SessionKeys, TailConfig, TailSettings, Threshold, TombstoneSettings,
    UndecidedLogs,
};

options! {
    /// What is configured.
    struct Given in OPTIONS {
        mode: Mode = read::choice(&[("head", Mode::Head), ("tail", Mode::Tail)]),
            Str "mode" = "head",
            "head: each span at once, by its trace id; tail: whole traces, by policies";
        percentage: Option<f64> = read::percentage,
            Double "sampling_percentage",
            "Percentage of traces kept; in tail mode, of those that nothing else keeps";
        decision_wait: Duration = read::duration,
            Time "decision_wait" = "30s",
            "Tail: how long after its first span a trace is decided";
        after_root: Option<Duration> = read::some(read::duration),
            Time "decision_wait_after_root_received",
            "Tail: how long after its root span a trace is decided, if that is sooner";
        longest_wait: Option<Duration> = read::some(read::duration),
            Time "decision_wait_max",
            "Tail: learn how long traces go on by the resource and name of their first span, and decide those \
             that last longer than decision_wait up to this long after their first span";
        early_decision: bool = read::bool,
            Bool "early_decision" = "on",
            "Tail: decide a trace as soon as nothing that follows can change the outcome; off: when its wait is over";
        keep_errors: bool = read::bool,
            Bool "keep_errors" = "off",
            "Tail: keep traces with an error";
        errors: ErrorRule = read::choice(&[
                ("status", ErrorRule::Status),
                ("all", ErrorRule::Any),
            ]),
            Str "errors" = "status",
            "Tail: which spans are errors for keep_errors and for 'errors' in expressions: status (the \
             status is ERROR) or all (also an attribute error.type or an event exception)";
        keep_slower_than: Option<Duration> = read::some(read::duration),
            Time "keep_slower_than",
            "Tail: keep traces that take longer than this from first start to last end";
        keep_attribute: Vec<(String, ValueTest)> = attribute_tests,
            Str "keep_attribute" [repeated],
            "Tail: keep traces with a span or resource that has this attribute: KEY or KEY=VALUE";
        keep_where: Vec<Condition> = conditions,
            Str "keep_where" [repeated],
            "Tail: keep traces for which this CEL expression is true";
        max_buffer_size: usize = buffer_size,
            Size "max_buffer_size" = "64m",
            "Tail: most memory for traces that wait; beyond it the oldest are decided early";
        max_traces: usize = read::count(1..=10_000_000),
            Int "max_traces" = "200000",
            "Tail: most traces that wait";
        shards: usize = read::count(1..=MAX_SHARDS),
            Int "shards" = "1",
            "Tail: among how many samplers traces are divided by their id, which work beside each other on threads of \
             ours; room, and what policies may keep a second, is divided too";
        max_spans_per_trace: usize = read::count(0..=100_000_000),
            Int "max_spans_per_trace" = "0",
            "Tail: a trace with so many spans is decided at once, on what is there; 0: no limit";
        max_trace_size: usize = read::size,
            Size "max_trace_size" = "0",
            "Tail: a trace with so many bytes of spans is decided at once, on what is there; 0: no limit";
        shed: Option<f64> = read::percentage,
            Double "shed_sampling_percentage",
            "Tail: from when the buffer is full until a quarter of it is free, decide traces that begin at once, \
             by their trace id: percentage kept";
        dry_run: bool = read::bool,
            Bool "dry_run" = "off",
            "Tail: drop nothing, and say in each span and in counters what would have happened to it";
        compare_for: Duration = read::duration,
            Time "reload_compare_for" = "0",
            "Tail: for how long policies of a changed config_file are only compared with those that decide, \
             before they take their place";
        journal_path: Option<String> = read::trimmed,
            Str "journal_path",
            "Tail: folder for a journal of the spans that wait, so that they are decided anew after a kill; one \
             for each instance";
        journal_limit: usize = read::size,
            Size "journal_limit" = "256m",
            "Tail: most bytes of the journal's files; beyond it spans that wait are not written";
        kept_cache_size: usize = read::count(0..=10_000_000),
            Int "kept_cache_size" = "65536",
            "Tail: how many kept traces are remembered for late spans";
        dropped_cache_size: usize = read::count(0..=10_000_000),
            Int "dropped_cache_size" = "65536",
            "Tail: how many dropped traces are remembered for late spans";
        session_attributes: Vec<String> = read::list,
            CommaList "session_attributes",
            "Attributes that name the session of a span, such as gen_ai.conversation.id and session.id, the \
             first that is there counts: all traces of a session get the same randomness (rv in the \
             tracestate), and are decided alike by every sampler";
        session_hash_key: Option<String> = read::text,
            Str "session_hash_key" [secret],
            "Secret key of the hash that makes randomness of a session, at least 16 bytes; instances with \
             one key agree";
        logs_follow: bool = read::choice(&[("pass", false), ("follow", true)]),
            Str "logs" = "pass",
            "What becomes of logs: they pass; or those with a trace id follow the decision about their trace";
        undecided_logs: UndecidedLogs = read::choice(&[
                ("keep", UndecidedLogs::Keep),
                ("drop", UndecidedLogs::Drop),
            ]),
            Str "logs_without_decision" = "keep",
            "Tail: what becomes of logs that follow when no span of their trace came within decision_wait: keep or \
             drop";
        tombstones: Option<TombstoneSettings> = read::choice(&[
                ("off", None),
                ("span", Some(TombstoneSettings::Span)),
                ("log", Some(TombstoneSettings::Log)),
                ("counts", Some(TombstoneSettings::Counts)),
            ]),
            Str "tombstones" = "off",
            "Tail: what is told of traces that are dropped: nothing (off), a small span or log for each, or counts \
             by their shape, as metrics";
        tombstone_interval: Duration = companions::interval,
            Time "tombstone_interval" = "60s",
            "Tail: how often the counts of dropped traces are emitted";
        fleet_size: Option<usize> = read::some(read::count(1..=fleet::MAX_SIZE)),
            Int "fleet_size",
            "How many instances see a part of the traffic each: goals per second are those of all of them together";
        fleet_size_file: Option<String> = read::trimmed,
            Str "fleet_size_file",
            "File with that number, which is read again when it changes, in the place of fleet_size";
        rules_environment: Option<String> = read::text,
            Str "rules_environment",
            "Tail: the environment or dataset of a Refinery rules file in config_file whose sampler decides; \
             __default__ where none is named";
        extension_policy: ExtensionPolicies = extension_policies::read,
            Str "extension_policy" [repeated],
            "Tail: what stands for policies of an extension in a Collector's tail_sampling block: TYPE=EXPRESSION, in CEL";
        + FileOptions::option("YAML file with any of these options, and with policies, or of a Collector with its processor \
             tail_sampling or adaptive_tail_sampling, or rules of Refinery, which may be in TOML");
    }
}

/// The least room for traces that wait, in bytes.
const SMALLEST_BUFFER: usize = 64_000;
/// What of `max_buffer_size`, up to an eighth of it, is for what a host under load takes beside what waits, in bytes: what is
/// being received, decided and sent, and what the allocator keeps of it. Measured by `make soak`.
const UNDER_WAY: usize = 8_000_000;

/// Options that head sampling has too.
const OF_BOTH_MODES: [&str; 8] = [
    "mode",
    "sampling_percentage",
    "session_attributes",
    "session_hash_key",
    "logs",
    "fleet_size",
    "fleet_size_file",
    CONFIG_FILE,
];

fn attribute_tests(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<(String, ValueTest)>> {
    let mut tests = Vec::new();
    for given in parser.texts(option.name) {
        let (key, value) = match given.split_once('=') {
            Some((key, value)) => (key, ValueTest::Spelled(value.trim().to_owned())),
            None => (given, ValueTest::Exists),
        };
        match key.trim() {
            "" => parser.refuse(option.name, given, "allowed: KEY or KEY=VALUE"),
            key => tests.push((key.to_owned(), value)),
        }
    }
    Some(tests)
}

fn conditions(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<Condition>> {
    let mut conditions = Vec::new();
    for text in parser.texts(option.name) {
        match Condition::compile(text) {
            Ok(condition) => conditions.push(condition),
            Err(error) => parser.refuse(option.name, text, &error.to_string()),
        }
    }
    Some(conditions)
}

fn buffer_size(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<usize> {
    let size = read::size(parser, option)?;
    if size < SMALLEST_BUFFER {
        let given = parser.text(option.name).unwrap_or_default();
        parser.refuse(option.name, given, "allowed: at least 64k");
    }
    Some(size)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Head,
    Tail,
}

/// An instance of the filter.
pub struct AiSampling {
    form: Form,
}

enum Form {
    Head(Box<HeadSampling>),
    Tail(Arc<TailSampling>),
}

impl Filter for AiSampling {
    const SPEC: Spec =
        Spec { name: "ai_sampling", about: "Head and tail sampling of traces", options: OPTIONS };

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        let position = Position { run: environment.hub.run(), after: environment.position };
        let missing =
            || (!environment.hub.has_emitter()).then(|| missing_emitter(&environment.host_release));
        let tags = options.host_value("match");
        let file = read_file(options);
        let size_file = file.get(fleet::FILE).map(str::trim).filter(|path| !path.is_empty());
        let fleet_file = size_file.map(|path| FleetSizeFile::new(path, clock::now()));
        let form = match configured(&file, position, &missing)? {
            Configured::Head(sampler, fleet_size) => {
                let fleet = (fleet_size, fleet_file);
                Form::Head(Box::new(HeadSampling::new(sampler, fleet, &environment)))
            }
            Configured::Tail(tail) => {
                let TailForm { config, journal, companions, shards } = *tail;
                let reading = Reading { open: read_file, configure: tail_again };
                let again = (position, shards);
                let configs = match shards {
                    1 => vec![config],
                    _ => tail_again(&file, position, shards)?,
                };
                let file = ConfigFile::new(options, (&file, reading), again, clock::now());
                let samplers = Samplers::new(configs, companions, position, &environment.hub);
                let companions = CompanionNumbers::new(companions, &environment);
                let beside = (journal, companions);
                let tail =
                    Arc::new(TailSampling::new(samplers, (file, fleet_file), beside, &environment));
                environment.hub.add_source(Arc::clone(&tail) as Arc<dyn TelemetrySource>);
                Form::Tail(tail)
            }
        };
        environment
            .order_filter(FilterRole::Sampling { tail: matches!(form, Form::Tail(_)) }, tags);
        Ok(Self { form })
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>) -> Verdict {
        let changed = match &mut self.form {
            Form::Head(head) => head.on_chunk(chunk, clock::now()),
            Form::Tail(tail) => tail.on_chunk(chunk, clock::now()),
        };
        changed.map_or(Verdict::Pass, Verdict::Replace)
    }
}

/// What is configured, as a sampler.
enum Configured {
    Head(HeadSampler, u32),
    Tail(Box<TailForm>),
}

/// A tail sampler, or one of several.
struct TailForm {
    config: TailConfig,
    journal: Option<JournalSettings>,
    companions: Companions,
    shards: usize,
}

/// The options with those of their `config_file`.
fn read_file(options: &dyn Options) -> FileOptions<'_> {
    let mut sections = vec!["policies", head_rates::SECTION];
    sections.extend(collector_file::SECTIONS);
    sections.extend(rules_file::SECTIONS);
    FileOptions::read_unless(options, OPTIONS, &sections, rules_file::old_rules)
}

/// Reads all options. `missing` says what a tail sampler lacks beside them.
fn configured(
    options: &FileOptions<'_>,
    position: Position,
    missing: &dyn Fn() -> Option<String>,
) -> Result<Configured, OpenError> {
    let mut parser = Parser::over(options);
    let mut list = PolicyList::default();
    let mut given = Given::read(&mut parser)?;
    list.extensions = std::mem::take(&mut given.extension_policy);
    let (block, notes) = collector_file::read(options.root(), &mut list);
    notes.into_iter().for_each(|notes| parser.file_problems(notes));
    list.extensions.refuse_unused(&mut parser);
    let fleet_size =
        fleet::configured(&mut parser, given.fleet_size, given.fleet_size_file.as_deref());
    let environment_named = given.rules_environment.as_deref();
    parser.file_problems(rules_file::read(options.root(), environment_named, &mut list));
    parser.file_problems(list.in_fleet(fleet_size));
    parser.file_problems(policies_file::read(options.root(), Layout::Flat, &mut list));
    take_block(&mut parser, &mut given, &block);
    let sessions = sessions(&mut parser, &given);
    let (rates, notes) = head_rates::read(options.root());
    parser.file_problems(notes);
    match given.mode {
        Mode::Head => {
            check_head(&mut parser, given.percentage, &list);
            let percentage = given.percentage.unwrap_or(100.0);
            companions::check_rates(&mut parser, given.logs_follow, &rates);
            let sampler = HeadSampler::from_percentage(percentage).with_sessions(sessions);
            let sampler = sampler.with_logs(given.logs_follow);
            let sampler = sampler.with_rates(rates);
            parser.finish(Configured::Head(sampler, fleet_size.unwrap_or(1)))
        }
        Mode::Tail => {
            if !rates.is_empty() {
                parser.problem("config_file has rates, which need 'mode: head'");
            }
            missing().into_iter().for_each(|problem| parser.problem(problem));
            let (settings, shards) = (tail_settings(&mut parser, &given), given.shards);
            let folder = given.journal_path.as_deref();
            let journal = folder
                .and_then(|folder| JournalSettings::read(&mut parser, folder, given.journal_limit));
            let (undecided, kept_cache) = (given.undecided_logs, given.kept_cache_size);
            let follow = LogsFollow { undecided, kept_cache };
            let told = (given.tombstones, given.tombstone_interval);
            let companions = Companions::read(&mut parser, given.logs_follow, follow, told);
            let config = TailConfig {
                settings,
                kept_cache: given.kept_cache_size,
                dropped_cache: given.dropped_cache_size,
                errors: given.errors,
                compare_for: given.compare_for,
                policies: policies(&mut parser, given, list),
                sessions,
                position,
            };
            let config = config.for_shard_of(shards);
            parser.finish(Configured::Tail(Box::new(TailForm {
                config,
                journal,
                companions,
                shards,
            })))
        }
    }
}

/// The configuration of a tail sampler that runs, read once more, for each of its shards.
fn tail_again(
    file: &FileOptions<'_>,
    position: Position,
    shards: usize,
) -> Result<Vec<TailConfig>, OpenError> {
    let by_restart =
        |option| format!("{option}: it changes by a reload or a restart of the host only");
    let configs = (0..shards).map(|_| match configured(file, position, &|| None)? {
        Configured::Tail(tail) if tail.shards == shards => Ok(tail.config),
        Configured::Tail(_) => Err(OpenError(vec![file.located(&by_restart("shards"))])),
        Configured::Head(..) => Err(OpenError(vec![file.located(&by_restart("mode"))])),
    });
    configs.collect()
}

/// What names sessions, if something does.
fn sessions(parser: &mut Parser<'_>, given: &Given) -> Option<SessionKeys> {
    let key = given.session_hash_key.as_deref().map(str::as_bytes);
    if key.is_some_and(|key| key.len() < 16) {
        parser
            .problem("option 'session_hash_key': the key is too short; allowed: at least 16 bytes");
    }
    if given.session_attributes.is_empty() {
        if key.is_some() {
            parser
                .problem("option 'session_hash_key': it is given, but needs 'session_attributes'");
        }
        return None;
    }
    Some(SessionKeys::new(given.session_attributes.clone(), key))
}

/// Takes what a Collector's block says in place of options.
fn take_block(parser: &mut Parser<'_>, given: &mut Given, block: &Block) {
    let taken = [
        ("decision_wait", put(&mut given.decision_wait, block.decision_wait)),
        (
            "decision_wait_after_root_received",
            put(&mut given.after_root, block.after_root.map(Some)),
        ),
        ("max_traces", put(&mut given.max_traces, block.max_traces)),
        ("max_spans_per_trace", put(&mut given.max_spans_per_trace, block.max_trace_spans)),
        ("shards", put(&mut given.shards, block.shards)),
        ("kept_cache_size", put(&mut given.kept_cache_size, block.kept_cache)),
        ("dropped_cache_size", put(&mut given.dropped_cache_size, block.dropped_cache)),
    ];
    for (name, _) in taken.into_iter().filter(|(_, is_taken)| *is_taken) {
        let default = OPTIONS.iter().find(|option| option.name == name).and_then(|it| it.default);
        if let Some(text) = parser.text(name).filter(|text| Some(*text) != default) {
            parser.refuse(name, text, "the block of the Collector in config_file says it");
        }
    }
}

/// Puts a value that is there into its place, and says whether it was.
fn put<T>(place: &mut T, value: Option<T>) -> bool {
    let is_there = value.is_some();
    value.into_iter().for_each(|value| *place = value);
    is_there
}

fn check_head(parser: &mut Parser<'_>, percentage: Option<f64>, list: &PolicyList) {
    if !list.has_none() {
        parser.problem("config_file has policies, which need 'mode: tail'");
    }
    if percentage.is_none() {
        parser.problem("option 'sampling_percentage' is missing; head sampling needs it: 0 to 100");
    }
    // What differs from its default was meant to do something.
    for option in OPTIONS.iter().filter(|option| !OF_BOTH_MODES.contains(&option.name)) {
        let means_something = |given: &&str| match option.kind {
            OptionKind::Bool => parse_bool(given.trim()) != option.default.and_then(parse_bool),
            _ => Some(*given) != option.default,
        };
        if let Some(given) = parser.text(option.name).filter(means_something) {
            parser.refuse(option.name, given, "it needs 'mode: tail'");
        }
    }
}

/// Waits and limits.
fn tail_settings(parser: &mut Parser<'_>, given: &Given) -> TailSettings {
    if let Some(longest) = given.longest_wait
        && longest <= given.decision_wait
        && let Some(text) = parser.text("decision_wait_max")
    {
        parser.refuse("decision_wait_max", text, "allowed: longer than decision_wait");
    }
    let shed_at = given.shed.and_then(Threshold::from_percentage);
    if given.shed.is_some() && shed_at.is_none() {
        let text = parser.text("shed_sampling_percentage").unwrap_or_default();
        parser.refuse("shed_sampling_percentage", text, "allowed: above 0, up to 100");
    }
    let limit = |most: usize| u64::try_from(most).ok().filter(|most| *most > 0);
    TailSettings {
        decision_wait: given.decision_wait,
        wait_after_root: given.after_root.filter(|wait| !wait.is_zero()),
        longest_wait: given.longest_wait,
        max_bytes: given.max_buffer_size - UNDER_WAY.min(given.max_buffer_size / 8),
        max_traces: given.max_traces,
        max_trace_spans: limit(given.max_spans_per_trace),
        max_trace_bytes: limit(given.max_trace_size),
        shed_at,
        decides_early: given.early_decision,
        dry_run: given.dry_run,
    }
}

/// The policies of options and of the file.
fn policies(parser: &mut Parser<'_>, given: Given, mut list: PolicyList) -> Policies {
    if !flat_tests(&given, &mut list) {
        parser.problem(TOO_MANY_TESTS);
    }
    if let Some(slow) = given.keep_slower_than {
        list.keep("keep_slower_than", PolicyRule::Latency(Some(slow), None));
    }
    for condition in given.keep_where {
        list.keep("keep_where", PolicyRule::Cel(Box::new(condition)));
    }
    if let Some(percentage) = given.percentage {
        list.keep(
            "sampling_percentage",
            PolicyRule::Probability(Threshold::from_percentage(percentage)),
        );
    }
    if let Some(section) = list.beside_rules() {
        parser.problem(format!(
            "config_file has rules under {section} of which the first that matches decides; allowed: no \
             policies and none of keep_errors, keep_slower_than, keep_attribute, keep_where, \
             sampling_percentage beside them"
        ));
    }
    if list.is_empty() {
        parser.problem(
            "tail sampling has no policy and would drop every trace; set one of keep_errors, \
             keep_slower_than, keep_attribute, keep_where, sampling_percentage, config_file",
        );
    }
    in_shards(parser, (given.shards, given.max_buffer_size), &mut list);
    list.finish()
}

/// Divides what policies may keep among shards, and refuses what cannot be.
fn in_shards(parser: &mut Parser<'_>, (shards, room): (usize, usize), list: &mut PolicyList) {
    let mut problems = list.in_shards(u32::try_from(shards).unwrap_or(1));
    if shards > 1 && room / shards < SMALLEST_BUFFER {
        problems.push("each needs 64k of 'max_buffer_size'".to_owned());
    }
    for problem in problems {
        parser.problem(format!("option 'shards': '{shards}' is not allowed; {problem}"));
    }
}

/// Adds the options that test spans. Whether there was room for all tests.
fn flat_tests(given: &Given, list: &mut PolicyList) -> bool {
    let mut tests: Vec<(&str, SpanTest)> = Vec::new();
    if given.keep_errors {
        let test = match given.errors {
            ErrorRule::Status => SpanTest::Status(vec![StatusCode::Error]),
            ErrorRule::Any => SpanTest::Failure,
        };
        tests.push(("keep_errors", test));
    }
    tests.extend(
        given
            .keep_attribute
            .iter()
            .cloned()
            .map(|(key, value)| ("keep_attribute", SpanTest::Attribute { key, value })),
    );
    let mut room = true;
    for (name, test) in tests {
        match list.span_test(test) {
            Some(rule) => list.keep(name, rule),
            None => room = false,
        }
    }
    room
}

crate::export_filter!("filter_ai_sampling", AiSampling);

#[cfg(test)]
mod tests;
