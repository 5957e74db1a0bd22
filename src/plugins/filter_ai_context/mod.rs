//! The filter `ai_context`: dialects become the current GenAI conventions, logs get their place in
//! the trace, what must not leave is masked.

mod baggage;
mod broken_context;
mod correlation;
mod dialects_file;
mod identity;
mod identity_options;
mod inheritance;
mod latency_split;
mod mapping_counters;
mod patterns_file;
mod quarantine;
mod redaction_counters;
mod server_state;
mod stage_options;
mod trace_stages;

use std::time::Duration;

use self::baggage::BaggageCounters;
use self::broken_context::BrokenContextGiven;
use self::correlation::CorrelationGiven;
use self::identity::LocalIdentity;
use self::identity_options::{Detectors, IdentityGiven};
use self::inheritance::InheritGiven;
use self::latency_split::LatencyGiven;
use self::mapping_counters::MappingCounters;
use self::quarantine::{AfterPanic, Failures};
use self::redaction_counters::RedactionCounters;
use self::server_state::ServerStateGiven;
use self::trace_stages::{TraceStages, TraceStagesConfig};
use crate::config::read::{self, Read};
use crate::config::{FileOptions, Parser, options};
use crate::correlation::{BaggageKeys, IdKind, InheritedKind, MetricTemporality};
use crate::genai::{
    AddedDialects, ContentSwitches, ContextProcessor, ContextSettings, ContextTally, Conventions,
    Detector, HashKey, KeyRules, OnFailure, Pattern, Replacement,
};
use crate::hub::FilterRole;
use crate::model::Position;
use crate::plugin::{
    Chunk, Environment, Fallback, Filter, OpenError, OptionSpec, Options, Spec, Verdict,
};
use crate::plugins::derived::missing_emitter::missing_emitter;
use crate::stats::{Counter, CounterFamily};

const CORRELATED: CounterFamily = CounterFamily::counter(
    "correlated_logs_total",
    "Logs that got the trace and span ids found in them",
    &[],
);
const IDENTIFIED: CounterFamily = CounterFamily::counter(
    "identified_records_total",
    "Records whose resource got attributes of the place where they came in",
    &[],
);
const WITHHELD: CounterFamily = CounterFamily::counter(
    "identity_withheld_records_total",
    "Records whose resource names another service, container, pod, node, host or cloud, so that they did not \
     get what is known of ours",
    &[],
);
const MALFORMED: CounterFamily = CounterFamily::counter(
    "malformed_events_total",
    "Events of a chunk that could not be read; where nothing is redacted they go on as they are",
    &[],
);

options! {
    /// What is configured.
    struct Given in OPTIONS {
        normalize: bool = read::bool,
            Bool "normalize" = "on",
            "map the attributes of GenAI instrumentations, frameworks, model servers and coding agents, \
             and older gen_ai attributes, to the GenAI conventions; off: leave them unchanged";
        conventions: Conventions = read::choice(&[
                ("1.41", Conventions::V1_41),
                ("genai-0.1.0", Conventions::GenAi0_1),
            ]),
            Str "conventions" = "1.41",
            "release of the conventions that normalize maps to: 1.41 (OpenTelemetry semantic conventions) \
             or genai-0.1.0 (semantic-conventions-genai)";
        keep_originals: bool = read::bool,
            Bool "keep_originals" = "off",
            "keep the attributes beside the current ones that say all that they do";
        correlate: bool = read::bool,
            Bool "correlate" = "on",
            "write trace and span ids found in a log's body or attributes where OTLP has them";
        correlate_by: Vec<IdKind> = correlation::kinds,
            CommaList "correlate_by",
            "also place logs in the trace of a span that carries the same id: request, response, \
             conversation, session; a log that comes before its span waits for it";
        correlate_keys: Vec<String> = correlation::keys,
            CommaList "correlate_keys",
            "further keys of spans and logs that hold ids of requests";
        correlate_window: Duration = correlation::window,
            Time "correlate_window" = "10s",
            "how long a log waits for its span; what spans carry is remembered for twice as long";
        correlate_max_memory: usize = stage_options::max_memory,
            Size "correlate_max_memory" = "16m",
            "most memory for logs that wait, and for what is remembered of spans, half of it for each; \
             logs that find no room go on as they are";
        inherit: Vec<InheritedKind> = inheritance::kinds,
            CommaList "inherit",
            "give spans, and logs in a trace, what another span of their trace says and they do not: \
             tenant, user, session, conversation, prompt";
        inherit_tenant_keys: Vec<String> = inheritance::tenant_keys,
            CommaList "inherit_tenant_keys" = "tenant.id",
            "keys of spans and resources that hold the tenant";
        inherit_window: Duration = inheritance::window,
            Time "inherit_window" = "60s",
            "how long what a trace says is remembered after its last span";
        inherit_wait: Duration = inheritance::wait,
            Time "inherit_wait" = "0s",
            "how long a span that lacks something is held for what others of its trace say; 0s: it gets \
             what is known when it comes";
        inherit_max_memory: usize = stage_options::max_memory,
            Size "inherit_max_memory" = "16m",
            "most memory for what traces say, half of it for spans that wait where inherit_wait is set";
        split_latency: bool = read::bool,
            Bool "split_latency" = "off",
            "put on the client's span of a model call where its time went, as spans of gateways and model \
             servers of its trace say: client, network, gateway, queue, prefill, decode, server, in seconds \
             in fluentbit.ai.latency.*; spans of model calls wait for the others";
        split_latency_wait: Duration = latency_split::wait,
            Time "split_latency_wait" = "10s",
            "how long a span of a model call is held for spans of gateways and model servers";
        split_latency_max_memory: usize = stage_options::max_memory,
            Size "split_latency_max_memory" = "16m",
            "most memory for spans that wait, and for how spans of traces stand to each other, half of it for \
             each; spans that find no room go on with what is known";
        server_state: bool = read::bool,
            Bool "server_state" = "off",
            "put on spans of model servers in which state the server and its GPUs were (requests waiting and \
             running, use of the KV cache, GPU utilization, memory, power), as metrics of the same pod or node \
             said that came in here, in fluentbit.ai.server.*";
        server_state_max_age: Duration = server_state::max_age,
            Time "server_state_max_age" = "60s",
            "how old a value may be when a span ends: longer than the interval of the metrics";
        server_state_max_memory: usize = stage_options::max_memory,
            Size "server_state_max_memory" = "4m",
            "most memory for values of pods and nodes";
        find_broken: bool = read::bool,
            Bool "find_broken" = "off",
            "find spans whose parent never comes, traces with several roots and clocks that differ, and emit \
             the metric fluentbit.ai.context.broken, which counts them by services; only where all spans \
             of a trace come in";
        find_broken_window: Duration = broken_context::window,
            Time "find_broken_window" = "5m",
            "how long after its last span a trace is looked at: longer than its longest silence, such as \
             that of a model";
        find_broken_tolerance: Duration = broken_context::tolerance,
            Time "find_broken_tolerance" = "100ms",
            "how far a span may begin before its parent, or end after the call that it answers";
        find_broken_max_memory: usize = stage_options::max_memory,
            Size "find_broken_max_memory" = "16m",
            "most memory for spans of traces that are not looked at yet";
        find_broken_temporality: MetricTemporality = read::choice(&[
                ("delta", MetricTemporality::Delta),
                ("cumulative", MetricTemporality::Cumulative),
            ]),
            Str "find_broken_temporality" = "delta",
            "whether points of the metric say what came since the last ones (delta) or since the start \
             (cumulative)";
        baggage_keys: Vec<String> = baggage::keys,
            CommaList "baggage_keys",
            "keys of W3C Baggage, KEY or PREFIX*, that become attributes of spans and logs that show the \
             header baggage";
        redact: Vec<Detector> = detectors,
            CommaList "redact",
            "what to redact in spans, logs and attributes of metrics: secrets, email, credit_card, \
             iban, ssn, phone, ip";
        redact_keys: Vec<String> = read::list,
            CommaList "redact_keys",
            "keys of attributes and bodies whose values go whole, whatever they are: KEY or PREFIX*";
        redact_allow_keys: Vec<String> = read::list,
            CommaList "redact_allow_keys",
            "keys whose values are not searched: KEY or PREFIX*; redact_keys goes before";
        redact_content: ContentSwitches = content_switches,
            CommaList "redact_content",
            "what goes whole in attributes and bodies: conversation (prompts and completions), tools \
             (arguments, results, definitions), errors (messages and stack traces)";
        redact_resource: bool = read::bool,
            Bool "redact_resource" = "off",
            "search attributes of resources and scopes too";
        redact_with: With = read::choice(&[
                ("mask", With::Mask),
                ("hash", With::Hash),
                ("drop", With::Drop),
            ]),
            Str "redact_with" = "mask",
            "what redacted text becomes: mask (the detector's name in brackets), hash (the name and 64 \
             bits of the text's HMAC-SHA-256) or drop (nothing; a value that is nothing else goes with \
             its key)";
        redact_hash_key: Option<String> = read::text,
            Str "redact_hash_key" [secret],
            "secret key of the hashes, at least 16 bytes; equal texts have equal hashes under one key, \
             and who has the key can find short texts by trying them all";
        mark_findings: bool = read::bool,
            Bool "mark_findings" = "off",
            "list in the attribute fluentbit.ai.findings of a span or log what was redacted in it: the \
             names of detectors and patterns; multi_otlp's 'content: findings_only' asks for that";
        on_failure: OnFailure = read::choice(&[
                ("drop", OnFailure::Drop),
                ("quarantine", OnFailure::Quarantine),
                ("pass", OnFailure::Pass),
            ]),
            Str "on_failure" = "drop",
            "what becomes of what cannot be searched for what is to be redacted (events that cannot be \
             read, values beside a record, everything after a panic): drop, quarantine (to \
             quarantine_tag) or pass; without redact it passes";
        quarantine_tag: Option<String> = read::trimmed,
            Str "quarantine_tag",
            "tag of the logs that carry what 'on_failure: quarantine' keeps aside, unredacted: give it \
             an output of its own, and no other output a match for it";
        copy_metadata: bool = read::bool,
            Bool "copy_metadata" = "off",
            "copy what a record's metadata says of OTLP (signal, resource, scope; all of a log's) into \
             its body under the key otlp, for outputs that write bodies only, such as kafka";
        record_key: Option<String> = record_key,
            Str "record_key",
            "key of the body under which a whole record comes, as from the input kafka (payload): the \
             record is taken out and what copy_metadata put into it is metadata again";
        identify: Detectors = identity_options::detectors,
            CommaList "identify",
            "add to resources what is known of the place where telemetry comes in: env \
             (OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME), k8s (the pod), container, host, process, cloud, gpu; \
             kubernetes_filter moves the map of the filter kubernetes to the resource. What the sender says wins";
        identify_override: bool = read::bool,
            Bool "identify_override" = "off",
            "let what is known win over what the sender says";
        identify_labels: Vec<String> = read::list,
            CommaList "identify_labels" = "*",
            "which labels of the pod become k8s.pod.label.*; * is all";
        identify_annotations: Vec<String> = read::list,
            CommaList "identify_annotations",
            "which annotations of the pod become k8s.pod.annotation.*; those that begin with \
             resource.opentelemetry.io/ become attributes in any case";
        identify_well_known_labels: bool = read::bool,
            Bool "identify_well_known_labels" = "off",
            "take service.name and service.version from the labels app.kubernetes.io/instance, name and version";
        identify_process: Option<String> = identity_options::process,
            Str "identify_process",
            "which process 'process' describes: its number, self, or the path of a file with its number";
        identify_podinfo: String = identity_options::path,
            Str "identify_podinfo" = "/etc/podinfo",
            "folder of the files of the downward API: labels, annotations, name, namespace, uid";
        identify_root: String = identity_options::path,
            Str "identify_root" = "/",
            "folder in which /proc, /sys, /etc and the other paths are looked for, as /host where a pod has its \
             node's";
        identify_refresh: Duration = identity_options::refresh,
            Time "identify_refresh" = "30s",
            "how often what is known is read again";
        + FileOptions::option(
            "YAML file with any of these options, with own patterns to redact: a list 'patterns' \
             of maps with name, one of regex, words and words_file, and, if it is to differ from \
             redact_with, replacement; and with own mappings for normalize: a list 'dialects'",
        );
    }
}

/// An instance of the filter.
pub struct AiContext {
    processor: ContextProcessor,
    mapping: MappingCounters,
    correlated: Counter,
    trace_stages: TraceStages,
    baggage: BaggageCounters,
    redactions: RedactionCounters,
    identity: Option<LocalIdentity>,
    identified: Counter,
    withheld: Counter,
    malformed: Counter,
    failures: Failures,
}

fn detectors(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<Detector>> {
    let mut chosen = Vec::new();
    for name in read::list(parser, option)? {
        match Detector::named(&name) {
            Some(detector) => chosen.push(detector),
            None => {
                let names: Vec<&str> = Detector::ALL.iter().map(|d| d.name()).collect();
                parser.refuse(option.name, &name, &format!("allowed: {}", names.join(", ")));
            }
        }
    }
    Some(chosen)
}

fn content_switches(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<ContentSwitches> {
    let mut switches = ContentSwitches::default();
    for name in read::list(parser, option)? {
        match name.to_ascii_lowercase().as_str() {
            "conversation" => switches.conversation = true,
            "tools" => switches.tools = true,
            "errors" => switches.errors = true,
            _ => parser.refuse(option.name, &name, "allowed: conversation, tools, errors"),
        }
    }
    Some(switches)
}

fn record_key(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<String>> {
    read::optional("allowed: a key, such as payload", |key| {
        (!key.is_empty()).then(|| key.to_owned())
    })(parser, option)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum With {
    Mask,
    Hash,
    Drop,
}

fn replacement(parser: &mut Parser<'_>, with: With, key: Option<&str>) -> Replacement {
    match (with, key.map(|key| HashKey::new(key.as_bytes()))) {
        (With::Hash, Some(Some(key))) => return Replacement::Hash(key),
        (With::Hash, None) => parser.problem(
            "option 'redact_hash_key' is missing; 'redact_with: hash' needs it: at least 16 bytes",
        ),
        (With::Hash, Some(None)) => parser
            .problem("option 'redact_hash_key': the key is too short; allowed: at least 16 bytes"),
        (_, Some(_)) => {
            parser.problem("option 'redact_hash_key': it is given, but needs 'redact_with: hash'");
        }
        (With::Drop, None) => return Replacement::Drop,
        (With::Mask, None) => {}
    }
    Replacement::Mask
}

/// What the file has beside options.
fn sections(parser: &mut Parser<'_>, options: &FileOptions<'_>) -> (Vec<Pattern>, AddedDialects) {
    let (patterns, notes) = patterns_file::read(options.root());
    parser.file_problems(notes);
    let (dialects, notes) = dialects_file::read(options.root());
    parser.file_problems(notes);
    (patterns, dialects)
}

/// What other filters have to know of this one.
const fn role(settings: &ContextSettings, redacts: bool) -> FilterRole {
    FilterRole::Context {
        normalizes: settings.normalize,
        drops_originals: settings.normalize && !settings.keep_originals,
        redacts,
        unpacks: settings.record_key.is_some(),
    }
}

/// Refuses options that would do nothing where nothing is redacted.
fn check_idle_rules(parser: &mut Parser<'_>, given: &Given, redacts: bool) {
    if !redacts && (given.redact_resource || !given.redact_allow_keys.is_empty()) {
        parser.problem(
            "options 'redact_resource' and 'redact_allow_keys' need something to redact: 'redact', \
             'redact_keys', 'redact_content' or 'patterns'",
        );
    }
}

/// Where what failed is kept aside, if it is.
fn quarantine_tag(
    parser: &mut Parser<'_>,
    given: &Given,
    environment: &Environment,
    redacts: bool,
) -> Option<String> {
    let quarantines = given.on_failure == OnFailure::Quarantine;
    if quarantines && !redacts {
        parser.problem("option 'on_failure': quarantine needs 'redact' or 'patterns'");
    }
    match (quarantines, &given.quarantine_tag) {
        (true, Some(tag)) => {
            if !environment.hub.has_emitter() {
                parser.problem(missing_emitter(&environment.host_release));
            }
            return Some(tag.clone());
        }
        (true, None) => parser.problem(
            "option 'quarantine_tag' is missing; 'on_failure: quarantine' needs it: a tag that only \
             outputs match which may get unredacted data",
        ),
        (false, Some(_)) => parser
            .problem("option 'quarantine_tag': it is given, but needs 'on_failure: quarantine'"),
        (false, None) => {}
    }
    None
}

impl Given {
    /// What says how logs are correlated by ids.
    fn take_correlation(&mut self) -> CorrelationGiven {
        CorrelationGiven {
            is_on: self.correlate,
            kinds: std::mem::take(&mut self.correlate_by),
            keys: std::mem::take(&mut self.correlate_keys),
            window: self.correlate_window,
            max_memory: self.correlate_max_memory,
            copies_metadata: self.copy_metadata,
            limits: [&Self::correlate_window, &Self::correlate_max_memory],
        }
    }

    /// What is to be done with traces in view.
    fn trace_stages(
        &mut self,
        parser: &mut Parser<'_>,
        environment: &Environment,
        position: Position,
    ) -> TraceStagesConfig {
        TraceStagesConfig {
            broken_context: self.broken_context().read(parser, environment, position),
            correlation: self.take_correlation().read(parser, environment, position),
            latency: self.latency().read(parser, environment, position),
            server_state: self.state_of_servers().read(parser, position),
            inherit: self.take_inheritance().read(parser, environment, position),
        }
    }

    /// What says how broken context is found.
    const fn broken_context(&self) -> BrokenContextGiven {
        BrokenContextGiven {
            is_on: self.find_broken,
            window: self.find_broken_window,
            tolerance: self.find_broken_tolerance,
            max_memory: self.find_broken_max_memory,
            temporality: self.find_broken_temporality,
            others: [
                &Self::find_broken_window,
                &Self::find_broken_tolerance,
                &Self::find_broken_max_memory,
                &Self::find_broken_temporality,
            ],
        }
    }

    /// What says how latency is split.
    const fn latency(&self) -> LatencyGiven {
        LatencyGiven {
            is_on: self.split_latency,
            wait: self.split_latency_wait,
            max_memory: self.split_latency_max_memory,
            inherit_wait: self.inherit_wait,
            others: [&Self::split_latency_wait, &Self::split_latency_max_memory],
        }
    }

    /// What says how the state of servers is told.
    const fn state_of_servers(&self) -> ServerStateGiven {
        ServerStateGiven {
            is_on: self.server_state,
            max_age: self.server_state_max_age,
            max_memory: self.server_state_max_memory,
            others: [&Self::server_state_max_age, &Self::server_state_max_memory],
        }
    }

    /// What says what is inherited.
    fn take_inheritance(&mut self) -> InheritGiven {
        InheritGiven {
            kinds: std::mem::take(&mut self.inherit),
            tenant_keys: std::mem::take(&mut self.inherit_tenant_keys),
            window: self.inherit_window,
            wait: self.inherit_wait,
            max_memory: self.inherit_max_memory,
            copies_metadata: self.copy_metadata,
            others: [
                &Self::inherit_tenant_keys,
                &Self::inherit_window,
                &Self::inherit_wait,
                &Self::inherit_max_memory,
            ],
        }
    }

    /// What says how resources are identified.
    fn take_identity(&mut self) -> IdentityGiven {
        IdentityGiven {
            detectors: std::mem::take(&mut self.identify),
            overrides: self.identify_override,
            labels: std::mem::take(&mut self.identify_labels),
            annotations: std::mem::take(&mut self.identify_annotations),
            well_known_labels: self.identify_well_known_labels,
            process: self.identify_process.take(),
            podinfo: std::mem::take(&mut self.identify_podinfo),
            root: std::mem::take(&mut self.identify_root),
            refresh: self.identify_refresh,
        }
    }
}

impl Filter for AiContext {
    const SPEC: Spec = Spec {
        name: "ai_context",
        about: "Normalise GenAI telemetry, say where it came from, correlate logs with traces, redact content",
        options: OPTIONS,
    };

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        let options = FileOptions::read(options, OPTIONS, &["dialects", "patterns"]);
        let mut parser = Parser::over(&options);
        let (patterns, dialects) = sections(&mut parser, &options);
        let mut given = Given::read(&mut parser)?;
        let identify = given.take_identity();
        let identity = identify.read(&mut parser);
        let position = Position { run: environment.hub.run(), after: environment.position };
        let trace_stages = given.trace_stages(&mut parser, &environment, position);
        let key = given.redact_hash_key.as_deref();
        let keys =
            KeyRules::new(&given.redact_keys, &given.redact_allow_keys, given.redact_content);
        let redacts = !given.redact.is_empty() || !patterns.is_empty() || keys.deny_any();
        check_idle_rules(&mut parser, &given, redacts);
        let quarantine_tag = quarantine_tag(&mut parser, &given, &environment, redacts);
        let settings = ContextSettings {
            normalize: given.normalize,
            dialects,
            keep_originals: given.keep_originals,
            conventions: given.conventions,
            correlate: given.correlate,
            redact: given.redact,
            patterns,
            keys,
            search_resource: given.redact_resource,
            replacement: replacement(&mut parser, given.redact_with, key),
            mark_findings: given.mark_findings,
            on_failure: given.on_failure,
            copy_metadata: given.copy_metadata,
            record_key: given.record_key,
            identify: identify.editor(position),
            baggage: Some(BaggageKeys::new(&given.baggage_keys)).filter(|keys| !keys.is_empty()),
            position,
        };
        let tags = parser.host_value("match");
        let settings = parser.finish(settings)?;
        environment.order_filter(role(&settings, redacts), tags);
        let identity = identity_options::start(identity, &environment)?;
        let counters = &environment.counters;
        let on_failure = redacts.then_some(settings.on_failure);
        let failures = Failures::new(on_failure, quarantine_tag, settings.position, &environment);
        Ok(Self {
            redactions: RedactionCounters::new(counters, &settings.patterns),
            processor: ContextProcessor::new(settings),
            mapping: MappingCounters::new(counters, dialects),
            correlated: counters.counter(CORRELATED, &[]),
            trace_stages: TraceStages::start(trace_stages, &environment),
            baggage: BaggageCounters::new(counters),
            identity,
            identified: counters.counter(IDENTIFIED, &[]),
            withheld: counters.counter(WITHHELD, &[]),
            malformed: counters.counter(MALFORMED, &[]),
            failures,
        })
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>) -> Verdict {
        if let Some(identity) = self.identity.as_mut().and_then(LocalIdentity::changed) {
            self.processor.identify(identity);
        }
        let mut tally = ContextTally::default();
        let replaced = self.processor.process(chunk.bytes, &mut tally);
        self.mapping.add(&tally, &mut self.processor);
        self.redactions.add(&tally);
        self.correlated.add(tally.correlated);
        self.baggage.add(tally.baggage);
        self.identified.add(tally.resources.identified);
        self.withheld.add(tally.resources.withheld);
        self.malformed.add(tally.malformed);
        self.failures.note(tally.failures, chunk.tag, self.processor.take_quarantined());
        // What is held back is what is left after redaction.
        let replaced = self.trace_stages.on_chunk(chunk, replaced);
        replaced.map_or(Verdict::Pass, Verdict::Replace)
    }

    fn fallback(&self) -> Option<Box<dyn Fallback>> {
        Some(Box::new(AfterPanic::new(&self.failures)?))
    }
}

crate::export_filter!("filter_ai_context", AiContext);

#[cfg(test)]
mod tests;
