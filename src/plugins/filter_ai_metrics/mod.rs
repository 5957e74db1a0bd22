//! The filter `ai_metrics`: model metrics from the spans and log events that pass.

mod budgets;
mod findings;
mod numbers;
mod pairs;
mod prices;
mod status;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use self::budgets::{budgets, check_budgets};
use self::findings::{FindingEvents, MODES, pass_on};
use self::numbers::Numbers;
use self::pairs::{check_pairs, model_pairs};
use self::prices::{CostBasis, PricesFile};
use self::status::MetricsStatus;
use crate::aggregation::{
    Aggregator, HistogramForm, KeptTraces, MetricsConfig, ReportedPolicy, SemconvVersion,
    ServerLogFormat, ServerLogFormats, Temporality, exemplar_traces,
};
use crate::clock::{self, Tick};
use crate::codec::fluentbit::write::ReaderCapabilities;
use crate::config::read::{self, Read};
use crate::config::{FileOptions, Parser, options};
use crate::findings::{BudgetConfig, CheckMode, FindingsConfig, ModelPair, PromptSecret};
use crate::hub::{Drain, EmissionForm, FilterRole, Hub, TelemetrySource};
use crate::model::{Emission, Position};
use crate::plugin::{Chunk, Environment, Filter, OpenError, OptionSpec, Options, Spec, Verdict};
use crate::plugins::derived::missing_emitter::missing_emitter;
use crate::pricing::PriceTable;
use crate::sampling::adjusted_count;
use crate::stats::Log;
use crate::sync::{Mutex, MutexGuard};

/// Attributes that would make a series of almost every span.
const TOO_MANY_VALUES: [&str; 6] = [
    "gen_ai.response.id",
    "gen_ai.conversation.id",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "session.id",
    "user.id",
];

options! {
    /// What is configured.
    struct Given in OPTIONS {
        interval: Duration = at_least_a_second,
            Time "interval" = "10s",
            "How often metrics are emitted";
        dimensions: Vec<String> = few_values,
            CommaList "dimensions",
            "Attributes of spans or resources that metrics get beside those of the conventions";
        semconv: SemconvVersion = read::choice(&[
                ("1.41", SemconvVersion::V1_41),
                ("v0.1.0", SemconvVersion::V0_1_0),
            ]),
            Str "semconv" = "1.41",
            "Whose names metrics have: '1.41', semantic conventions 1.41; or 'v0.1.0', semantic-conventions-genai";
        temporality: Temporality = read::choice(&[
                ("cumulative", Temporality::Cumulative),
                ("delta", Temporality::Delta),
            ]),
            Str "temporality" = "cumulative",
            "Whether points say what came since the start of their series (cumulative), as Prometheus \
             and its likes need it, or since the last ones (delta)";
        histogram: HistogramForm = read::choice(&[
                ("explicit", HistogramForm::Explicit),
                ("exponential", HistogramForm::Exponential),
            ]),
            Str "histogram" = "explicit",
            "Form of histograms: explicit (the advised bounds) or exponential";
        exemplars_of_kept: bool = read::choice(&[("latest", false), ("kept", true)]),
            Str "exemplars" = "latest",
            "Whose trace an exemplar names: 'latest', that of the last value of a bucket; or 'kept', one that ai_sampling \
             is known to keep, if there is one, and ai_sampling learns of the traces of all exemplars for its policy 'exemplar'";
        reported: ReportedPolicy = read::choice(&[
                ("prefer", ReportedPolicy::Prefer),
                ("replace", ReportedPolicy::Replace),
                ("both", ReportedPolicy::Both),
            ]),
            Str "reported" = "prefer",
            "What becomes of a metric that a service reports itself: 'prefer', ours of that service and name is \
             withheld; 'replace', theirs is taken out; or 'both', ours gets 'fluentbit.' before its name";
        form: EmissionForm = read::choice(&[
                ("records", EmissionForm::Records),
                ("native", EmissionForm::Native),
                ("prometheus", EmissionForm::Prometheus),
            ]),
            Str "emit_as" = "records",
            "Form of emitted metrics: 'records', as log records that multi_otlp turns into OTLP; \
             'native', as Fluent Bit's own metrics, as OTLP has them; or 'prometheus', as Fluent Bit's own metrics \
             for its outputs prometheus_exporter and prometheus_remote_write";
        tag: Option<String> = read::text,
            Str "tag",
            "Tag of emitted metrics; that of the spans if unset";
        cost: CostBasis = read::choice(&[
                ("list", CostBasis::List),
                ("own", CostBasis::Own),
                ("reported", CostBasis::Reported),
                ("off", CostBasis::Off),
            ]),
            Str "cost" = "list",
            "What calls cost whose spans do not report it: 'list', by 'prices_file' and the list prices that \
             are shipped; 'own', by 'prices_file' alone; 'reported', unknown; or 'off', no cost at all";
        prices_file: Option<String> = read::trimmed,
            Str "prices_file",
            "CSV file of own prices, read again when it changes";
        max_series: usize = read::count(100..=1_000_000),
            Int "max_series" = "10000",
            "Most series of all metrics and resources. To make room, those of the resources go that were used \
             least recently; what there is no room for goes to overflow series, a tenth more at most";
        series_expiry: Duration = read::duration,
            Time "series_expiry" = "5m",
            "How long a series is remembered that nothing is added to";
        call_window: Duration = read::duration,
            Time "call_window" = "60s",
            "How long traces and response ids are remembered to count the tokens of one call once";
        find_changes: CheckMode = read::choice(&MODES),
            Str "find_changes" = "off",
            "Spikes and shifts of duration, time to the first chunk, tokens, cost and the share of errors, by service, \
             operation, provider and model: off, warn (counted, and a line in the log) or on (counted, a log event, \
             and a hint to the sampler)";
        find_usage: CheckMode = read::choice(&MODES),
            Str "find_usage" = "off",
            "Token counts that are missing, zero, negative or impossible, by the library that says them, and services that \
             report other amounts than are measured: off, warn or on";
        find_served_model: CheckMode = read::choice(&MODES),
            Str "find_served_model" = "off",
            "Models and fingerprints that are not the requested or the former ones: off, warn or on";
        find_runaway: CheckMode = read::choice(&MODES),
            Str "find_runaway" = "off",
            "Agents that call the same tool with the same arguments again and again, go round in circles, or take more \
             than 'runaway_tokens_per_minute': off, warn or on";
        runaway_tokens_per_minute: usize = read::count(0..=1_000_000_000),
            Int "runaway_tokens_per_minute" = "1000000",
            "Tokens in a minute beyond which a conversation has run away; those read from a cache or written into one do \
             not count. 0 for no limit";
        find_drift: CheckMode = read::choice(&MODES),
            Str "find_drift" = "off",
            "Lengths of answers, finish reasons, refusals and evaluations whose distribution is not that of the days before, by \
             service, operation, provider, model and prompt: off, warn or on";
        find_pairs: CheckMode = read::choice(&MODES),
            Str "find_pairs" = "off",
            "Differences between the models of 'compare' in duration, time to the first chunk, tokens, cost, errors and finish \
             reasons, by service and operation: off, warn or on";
        compare: Vec<ModelPair> = model_pairs,
            CommaList "compare",
            "Pairs of models that are compared, as 'PRIMARY SHADOW', separated by commas, by the names in requests or answers: \
             'gpt-4o gpt-4.1, llama-70b llama-8b'";
        find_prompts: CheckMode = read::choice(&MODES),
            Str "find_prompts" = "off",
            "The same prompt with very different duration, tokens or cost, and similar prompts that fail, are refused, end or are \
             evaluated otherwise: off, warn or on. Prompts are kept as hashes only";
        finding_prompts: usize = read::count(100..=1_000_000),
            Int "finding_prompts" = "5000",
            "Most prompts that are remembered as hashes; each takes up to 0.5 KiB";
        find_budgets: CheckMode = read::choice(&MODES),
            Str "find_budgets" = "off",
            "Budgets of 'budgets' that are spent or burn too fast, by tenant, team, user or whatever attributes they are of: \
             off, warn or on";
        budgets: Vec<BudgetConfig> = budgets,
            CommaList "budgets",
            "Budgets, separated by commas: 'NAME [ATTRIBUTE=VALUE or ATTRIBUTE=* ...] AMOUNT UNIT per PERIOD [at PERCENT% ...]', in \
             USD, tokens or calls per hour, day, week or 30d. With * each value of the attribute, of spans or resources, has a budget \
             of its own; of several with one name the first that fits a call holds: 'users user.id=* 20 USD per day, \
             all 5000 USD per 30d at 50% 80% 100%'";
        finding_keys: usize = read::count(10..=100_000),
            Int "finding_keys" = "2000",
            "Most services, operations, providers and models whose levels are learned, and of those with their prompts \
             whose distributions are; each takes up to 1.5 KiB, and 4 KiB. As many keys of budgets, of 2.5 KiB";
        server_logs: ServerLogFormats = formats,
            CommaList "server_logs" = "off",
            "Logs of model servers and of answers that are measured: 'off', 'on' for all, or some of vllm, sglang, tgi, \
             ollama, llama.cpp, litellm and openai (answers of the OpenAI API as JSON)";
        + FileOptions::option("YAML file with any of these options");
    }
}

fn at_least_a_second(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    let interval = read::duration(parser, option)?;
    if interval < Duration::from_secs(1) {
        let given = parser.text(option.name).unwrap_or_default();
        parser.refuse(option.name, given, "allowed: a duration of at least 1s");
    }
    Some(interval)
}

/// Names of attributes, of which none is one that has too many values.
fn few_values(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<String>> {
    let names = read::list(parser, option)?;
    for name in names.iter().filter(|name| TOO_MANY_VALUES.contains(&name.as_str())) {
        let allowed = "allowed: attributes that have few values, because each makes a series";
        parser.refuse(option.name, name, allowed);
    }
    Some(names)
}

/// Formats of logs by their names.
fn formats(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<ServerLogFormats> {
    let names = read::list(parser, option)?;
    match ServerLogFormats::of_names(&names) {
        Ok(formats) => Some(formats),
        Err(name) => {
            let known = ServerLogFormat::ALL.map(ServerLogFormat::name).join(", ");
            parser.refuse(option.name, name, &format!("allowed: off, on, {known}"));
            Some(ServerLogFormats::default())
        }
    }
}

/// The aggregator, shared between the filter and the inputs that drain it.
struct Shared {
    aggregator: Arc<Mutex<Aggregator>>,
    numbers: Numbers,
    /// The user's own prices, if there are any.
    prices_file: Option<Mutex<PricesFile>>,
    log: Arc<Log>,
    hub: Arc<Hub>,
    /// In what form they are emitted.
    form: EmissionForm,
    /// Samplers learn of the traces of exemplars.
    hints_exemplars: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Aggregator> {
        self.aggregator.lock()
    }

    /// Shows what has happened so far, and passes on what was found.
    fn show(&self, aggregator: &mut Aggregator) {
        self.numbers.show(aggregator.tally());
        if let Some(findings) = aggregator.findings() {
            self.numbers.show_findings(&findings.tally());
            pass_on(findings, &self.log, &self.hub);
        }
    }

    /// Takes the user's prices anew if they have changed. Where they cannot be read, those before hold.
    fn refresh_prices(&self, now: Tick) {
        let Some(file) = &self.prices_file else { return };
        let mut file = file.lock();
        match file.changed(now) {
            None => {}
            Some(Ok(prices)) => {
                self.log.info(file.told(&prices));
                self.lock().replace_prices(prices);
            }
            Some(Err(problems)) => {
                self.numbers.prices_problems.add(1);
                for problem in problems {
                    self.log.warn(format!("{problem}; the prices before hold"));
                }
            }
        }
    }
}

impl TelemetrySource for Shared {
    fn take(&self, drain: Drain, now: Tick, unix_nanos: u64) -> Vec<Emission> {
        self.refresh_prices(now);
        let mut aggregator = self.lock();
        let batches = aggregator.take(drain == Drain::Everything, now, unix_nanos);
        self.show(&mut aggregator);
        if self.hints_exemplars {
            let hints = self.hub.exemplar_traces();
            batches.iter().for_each(|it| exemplar_traces(&it.events, |trace| hints.add(trace)));
        }
        batches
    }

    fn put_back(&self, emission: Emission) {
        self.lock().put_back(emission);
    }

    fn form(&self) -> EmissionForm {
        self.form
    }
}

/// An instance of the filter.
pub struct AiMetrics {
    shared: Arc<Shared>,
}

impl Filter for AiMetrics {
    const SPEC: Spec = Spec {
        name: "ai_metrics",
        about: "Model metrics of the GenAI conventions from spans and log events",
        options: OPTIONS,
    };

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        let options = FileOptions::read(options, OPTIONS, &[]);
        let mut parser = Parser::over(&options);
        let tags = parser.host_value("match");
        let given = Given::read(&mut parser)?;
        check_form(&mut parser, &given, &environment);
        check_pairs(&mut parser, given.find_pairs, &given.compare);
        check_budgets(&mut parser, given.find_budgets, &given.budgets, given.cost);
        if !environment.hub.has_emitter() {
            parser.problem(missing_emitter(&environment.host_release));
        }
        let now = clock::now();
        let (prices, prices_file) =
            prices::read(&mut parser, given.cost, given.prices_file.as_deref(), now);
        let given = parser.finish(given)?;
        let (form, hints_exemplars) = (given.form, given.exemplars_of_kept);
        let kept = hints_exemplars.then(|| {
            environment.hub.want_kept_traces();
            let hub = Arc::downgrade(&environment.hub);
            KeptTraces::new(move |trace| {
                hub.upgrade().is_some_and(|hub| hub.kept_traces().contains(trace))
            })
        });
        let config = config(given, prices, &environment);
        let aggregator = Aggregator::new(config, now, clock::unix_nanos()).with_kept_traces(kept);
        let aggregator = Arc::new(Mutex::new(aggregator));
        let numbers = Numbers::new(&environment.counters);
        let prices_file = prices_file.map(Mutex::new);
        let log = Arc::clone(&environment.log);
        let hub = Arc::clone(&environment.hub);
        let shared =
            Arc::new(Shared { aggregator, numbers, prices_file, log, hub, form, hints_exemplars });
        environment.hub.add_source(Arc::clone(&shared) as Arc<dyn TelemetrySource>);
        if shared.lock().findings().is_some() {
            environment.hub.add_source(Arc::new(FindingEvents(Arc::clone(&shared.aggregator))));
        }
        let status = MetricsStatus(Arc::downgrade(&shared.aggregator));
        environment.hub.add_status_source(&environment.instance, Arc::new(status));
        environment.order_filter(FilterRole::Metrics, tags);
        Ok(Self { shared })
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>) -> Verdict {
        let mut aggregator = self.shared.lock();
        if self.shared.hub.is_watched() {
            aggregator.watch();
        }
        aggregator.on_chunk(chunk.tag, chunk.bytes, clock::now(), clock::unix_nanos());
        let rest = aggregator.without_replaced(chunk.bytes);
        self.shared.show(&mut aggregator);
        rest.map_or(Verdict::Pass, Verdict::Replace)
    }
}

fn config(given: Given, prices: Option<PriceTable>, environment: &Environment) -> MetricsConfig {
    let position = Position { run: environment.hub.run(), after: environment.position };
    let tag = given.tag.map(String::into_bytes);
    let findings = FindingsConfig {
        modes: [
            given.find_changes,
            given.find_usage,
            given.find_served_model,
            given.find_runaway,
            given.find_drift,
            given.find_pairs,
            given.find_prompts,
            given.find_budgets,
        ],
        max_keys: given.finding_keys,
        pairs: given.compare,
        budgets: given.budgets,
        tokens_per_minute: u64::try_from(given.runaway_tokens_per_minute).unwrap_or(0),
        max_prompts: given.finding_prompts,
        prompt_secret: PromptSecret([0, 1].map(|half: u8| RandomState::new().hash_one(half))),
        tag: tag.clone().filter(|_| given.form == EmissionForm::Records),
        temporality: given.temporality,
        position,
    };
    MetricsConfig {
        interval: given.interval,
        dimensions: given.dimensions,
        semconv: given.semconv,
        temporality: given.temporality,
        histogram: given.histogram,
        reported: given.reported,
        tag,
        is_whole: given.form == EmissionForm::Prometheus,
        max_series: given.max_series,
        series_expiry: given.series_expiry,
        call_window: given.call_window,
        max_traces: 20_000,
        prices: prices.map(Arc::new),
        findings: findings.is_on().then_some(findings),
        server_logs: given.server_logs,
        weight: adjusted_count,
        position,
    }
}

/// Refuses metrics in a form of the host's where the host has no such form, or where it has no place for what is
/// configured.
fn check_form(parser: &mut Parser<'_>, given: &Given, environment: &Environment) {
    let name = match given.form {
        EmissionForm::Records => return,
        EmissionForm::Native => "native",
        EmissionForm::Prometheus => "prometheus",
    };
    if !environment.native_chunks {
        parser.refuse(
            "emit_as",
            name,
            "this host does not export 'flb_input_chunk_append_raw', which appends its own \
             metrics; allowed: records",
        );
    }
    let forms = ReaderCapabilities::of_release(&environment.host_release);
    let exponential = given.histogram == HistogramForm::Exponential;
    if given.form == EmissionForm::Prometheus {
        check_prometheus(parser, given);
    } else if exponential && !forms.has_exponential_histograms() {
        parser.refuse(
            "histogram",
            "exponential",
            "with 'emit_as: native', exponential histograms need Fluent Bit 5.0 or later; \
             allowed: explicit",
        );
    }
}

/// Refuses what Prometheus does not take.
fn check_prometheus(parser: &mut Parser<'_>, given: &Given) {
    if given.histogram == HistogramForm::Exponential {
        parser.refuse(
            "histogram",
            "exponential",
            "with 'emit_as: prometheus', histograms have explicit buckets; allowed: explicit",
        );
    }
    if given.temporality == Temporality::Delta {
        parser.refuse(
            "temporality",
            "delta",
            "Prometheus has no delta temporality; allowed with 'emit_as: prometheus': cumulative",
        );
    }
    if given.tag.is_none() {
        parser.refuse(
            "emit_as",
            "prometheus",
            "it needs 'tag': prometheus_exporter shows the last chunk that an input made, so that all metrics \
             go together, under a tag that only such outputs match",
        );
    }
}

crate::export_filter!("filter_ai_metrics", AiMetrics);

#[cfg(test)]
mod tests;
