//! Wrong configurations, one mistake each, and what the start says of it.

mod filters;
mod form;

pub(crate) use form::Wrong;
use form::{RIGHT, emitter, filter, input, output};

const CONTEXT: &str = "ai_context";
const METRICS: &str = "ai_metrics";
const SAMPLING: &str = "ai_sampling";
const A: &str = "endpoint.a.url: http://127.0.0.1:9";
const TLS_A: &str = "endpoint.a.url: https://127.0.0.1:9";

const PAGE: &str = "scrape.vllm.url: http://127.0.0.1:9/metrics";

/// All of them.
pub(crate) fn cases() -> impl Iterator<Item = &'static Wrong> + Clone {
    CASES.iter().chain(filters::OF_SAMPLING).chain(filters::OF_METRICS).chain(filters::OF_CONTEXT)
}

/// Those of all plugins.
const CASES: &[Wrong] = &[
    emitter(
        "name",
        &[PAGE, "scrape.vllm.intervall: 5s"],
        "option 'scrape.vllm.intervall': there is no key 'intervall'; allowed: interval, ",
        "intervall",
    ),
    emitter(
        "scrape",
        &[PAGE, "scrape.vllm.interval: 5s", "scrape.vllm.timeout: 9s"],
        "option 'scrape.vllm.timeout': 9 s are longer than 'scrape.vllm.interval', which is 5 s",
        "scrape.vllm.timeout",
    ),
    emitter(
        "scrape",
        &[PAGE, "scrape.sglang.interval: 5s"],
        "target 'sglang' has no 'scrape.sglang.url'",
        "ai_emitter",
    ),
    emitter(
        "file",
        &[PAGE, "scrape.vllm.bearer_token_file: /nowhere/token"],
        "option 'scrape.vllm.bearer_token_file': '/nowhere/token' cannot be read",
        "bearer_token_file",
    ),
    input("name", &["grpcport: 1"], "ai_otlp: unknown configuration property 'grpcport'", "grpcport"),
    filter(
        "name",
        &[&[SAMPLING, "sampling_percentage: 10", "decision_weight: 3s"]],
        "ai_sampling: unknown configuration property 'decision_weight'",
        "decision_weight",
    ),
    filter(
        "name",
        &[&[SAMPLING, "sampling_percentage: 10", "mode: sideways"]],
        "option 'mode': 'sideways' is not allowed; allowed: head, tail",
        "mode:",
    ),
    filter(
        "name",
        &[&[CONTEXT, "redact: 'email, passwords'"]],
        "option 'redact': 'passwords' is not allowed; allowed: secrets, email, credit_card",
        "redact:",
    ),
    output("name", &[A, "endpoint.a.urll: x"], "option 'endpoint.a.urll': there is no key 'urll'", "urll"),
    output("name", &[A, "endpoints: 'a, b'"], "option 'endpoints': 'b' has no 'endpoint.b.url'", "endpoints:"),
    output("name", &["endpoint.a b.url: http://x"], "endpoint names consist of letters", "endpoint.a b"),
    input("name", &["format: weird"], "option 'format': 'weird' is not allowed; allowed: records, native", "format:"),
    filter(
        "duration",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "decision_wait: soon"]],
        "option 'decision_wait': 'soon' is not allowed; allowed: a duration such as 500ms, 10s, 5m",
        "decision_wait",
    ),
    filter(
        "duration",
        &[&[METRICS, "interval: 10ms"]],
        "option 'interval': '10ms' is not allowed; allowed: a duration of at least 1s",
        "interval",
    ),
    input(
        "duration",
        &["idle_timeout: 1ms"],
        "option 'idle_timeout': '1ms' is not allowed; allowed: 0, or from 10ms to 365d",
        "idle_timeout",
    ),
    output(
        "duration",
        &[A, "endpoint.a.timeout: 1h"],
        "option 'endpoint.a.timeout': '1h' is not allowed; allowed: a duration such as 500ms or 10s, up to 10m",
        "timeout",
    ),
    input("size", &["max_request_size: 10"], "option 'max_request_size': '10' is not allowed; allowed: at least 1k", "max_request"),
    input(
        "size",
        &["max_queue_size: many"],
        "option 'max_queue_size': 'many' is not allowed; allowed: a size such as 512k, 4m, 1g",
        "max_queue",
    ),
    input("size", &["max_memory: 1m"], "option 'max_memory': '1000000' is not allowed; allowed: 0, or at least 8m", "max_memory"),
    filter(
        "size",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "max_buffer_size: 1k"]],
        "option 'max_buffer_size': '1k' is not allowed; allowed: at least 64k",
        "max_buffer",
    ),
    filter(
        "size",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "shards: 300"]],
        "option 'shards': '300' is not allowed; allowed: a number from 1 to 256",
        "shards",
    ),
    filter(
        "size",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "shards: 64", "max_buffer_size: 1m"]],
        "option 'shards': '64' is not allowed; each needs 64k of 'max_buffer_size'",
        "shards",
    ),
    output(
        "size",
        &[A, "endpoint.a.max_request_size: 1"],
        "option 'endpoint.a.max_request_size': '1' is not allowed; allowed: a size from 1k",
        "max_request",
    ),
    filter(
        "percentage",
        &[&[SAMPLING, "sampling_percentage: 120"]],
        "option 'sampling_percentage': '120' is not allowed; allowed: a number from 0 to 100",
        "sampling_percentage",
    ),
    filter(
        "switch",
        &[&[SAMPLING, "mode: tail", "sampling_percentage: 10", "early_decision: sometimes"]],
        "option 'early_decision': 'sometimes' is not allowed; allowed: on, off",
        "early_decision",
    ),
    filter(
        "mode",
        &[&[SAMPLING, "sampling_percentage: 10", "early_decision: off"]],
        "option 'early_decision': 'off' is not allowed; it needs 'mode: tail'",
        "early_decision",
    ),
    filter(
        "percentage",
        &[&[SAMPLING]],
        "option 'sampling_percentage' is missing; head sampling needs it: 0 to 100",
        "- name: ai_sampling",
    ),
    output(
        "percentage",
        &[A, "endpoint.a.sampling_percentage: most"],
        "option 'endpoint.a.sampling_percentage': 'most' is not allowed; allowed: a number from 0 to 100",
        "sampling_percentage",
    ),
    output("CEL", &[A, "endpoint.a.where: 'signal =='"], "option 'endpoint.a.where': 'signal ==' is not allowed; ", "where"),
    output("CEL", &[A, "endpoint.a.where: 'colour == 1'"], "option 'endpoint.a.where': 'colour == 1' is not allowed; ", "where"),
    filter(
        "CEL",
        &[&[SAMPLING, "mode: tail", "keep_where: 'spans.exists('"]],
        "option 'keep_where': 'spans.exists(' is not allowed; ",
        "keep_where",
    ),
    filter(
        "policy",
        &[&[SAMPLING, "sampling_percentage: 5", "logs: drop"]],
        "option 'logs': 'drop' is not allowed; allowed: pass, follow",
        "logs",
    ),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "tombstones: all"]],
        "option 'tombstones': 'all' is not allowed; allowed: off, span, log, counts",
        "tombstones",
    ),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "logs_without_decision: drop"]],
        "option 'logs_without_decision': 'drop' is not allowed; it needs 'logs: follow'",
        "logs_without_decision",
    ),
    output(
        "content",
        &[A, "endpoint.a.content: hint"],
        "option 'endpoint.a.content': 'hint' is not allowed; allowed: keep, drop, ",
        "content",
    ),
    filter("file", &[&[SAMPLING, "mode: tail", "config_file: @FILE@"]], "policies[0].content: \"all\" is not allowed; allowed: keep, drop", "")
        .file("policies:\n  - {name: a, type: error, content: all}\n"),
    filter(
        "file",
        &[&[CONTEXT, "config_file: /nowhere/context.yaml"]],
        "option 'config_file': '/nowhere/context.yaml' ",
        "config_file",
    ),
    filter("file", &[&[CONTEXT, "config_file: @FILE@"]], "dialects[0].rulez: this key is not known; allowed keys: ", "")
        .file("dialects:\n  - name: own\n    rulez: []\n"),
    filter("file", &[&[CONTEXT, "config_file: @FILE@"]], "patterns[0].regex: \"(\" is not allowed; ", "")
        .file("patterns:\n  - name: ticket\n    regex: '('\n"),
    filter(
        "file",
        &[&[CONTEXT, "config_file: @FILE@", "redact: ip"]],
        "redact: it is given in the pipeline too; allowed: in one place",
        "",
    )
    .file("normalize: on\nredact: email\n"),
    output("file", &["config_file: @FILE@"], "option 'endpoint.a.protocol': 'smtp' is not allowed; allowed: ", "")
        .file("endpoint:\n  a:\n    url: http://127.0.0.1:9\n    protocol: smtp\n"),
    output(
        "file",
        &[A, "endpoint.a.bearer_token_file: /nowhere/token"],
        "/nowhere/token",
        "bearer_token_file",
    ),
    filter("YAML", &[&[SAMPLING, "config_file: @FILE@"]], "it is not YAML: ", "").file("mode: [tail\n"),
    filter("YAML", &[&[SAMPLING, "config_file: @FILE@"]], "it must be a map of options", "").file("- mode\n"),
    filter("YAML", &[&[SAMPLING, "config_file: @FILE@"]], "modus: this key is not known; allowed keys: mode, ", "")
        .file("sampling_percentage: 1\nmodus: tail\n"),
    filter(
        "order",
        &[&[SAMPLING, "mode: tail", "keep_errors: on"], &[METRICS]],
        "'ai_metrics.1' stands after 'ai_sampling.0': metrics see only the spans that sampling keeps",
        "- name: ai_metrics",
    )
    .warns(),
    filter(
        "order",
        &[&[METRICS], &[CONTEXT, "redact: email"]],
        "'ai_context.1' stands after 'ai_metrics.0': spans whose names",
        "- name: ai_context",
    )
    .warns(),
    filter("missing emitter", &[&[METRICS]], "there is no input that emits", "- name: ai_metrics").without_emitter(),
    filter(
        "missing emitter",
        &[&[SAMPLING, "mode: tail", "keep_errors: on"]],
        "there is no input that emits",
        "- name: ai_sampling",
    )
    .without_emitter(),
    input("port", &["grpc_port: 70000"], "option 'grpc_port': '70000' is not allowed; allowed: a port from 0 to 65535", "grpc_port"),
    input("port", &["grpc_port: off", "http_port: off"], "there is nothing to listen on: set one of the options 'grpc_port'", "grpc_port"),
    input("port", &["port: 4318", "http_port: 4318"], "options 'port' and 'http_port' are one option under two names", " port:"),
    input("port", &["status_port: many"], "option 'status_port': 'many' is not allowed; allowed: a port from 0", "status_port"),
    input(
        "port",
        &["http_port: 11999", "status_port: 11999"],
        "cannot listen for the status page on 127.0.0.1:11999: Address already in use (os error 98); change the option \
         'status_listen' or 'status_port'",
        "status_port",
    ),
    input("port", &["status_listen: 0.0.0.0"], "option 'status_listen': '0.0.0.0' is not allowed; it needs 'status_port'", "status_listen"),
    output("URL", &["endpoint.a.url: ftp://x"], "option 'endpoint.a.url': 'ftp://x' is not allowed; allowed: a URL such as", "url"),
    output("URL", &[], "no endpoint is given; write for example 'endpoint.main.url: http://127.0.0.1:4318'", "- name: multi_otlp"),
    output(
        "URL",
        &[A, "endpoint.a.protocol: grpc", "endpoint.a.traces_uri: /x"],
        "option 'endpoint.a.traces_uri': it is for HTTP; with gRPC write 'grpc_...'",
        "traces_uri",
    ),
    output(
        "URL",
        &[A, "endpoint.a.protocol: grpc", "endpoint.a.proxy: http://p:3128"],
        "option 'endpoint.a.proxy': gRPC goes through a proxy only with https",
        "proxy",
    ),
    output("URL", &["url: http://127.0.0.1:9", "host: x"], "option 'host': it is given beside 'url', which says it", "host"),
    input(
        "TLS file",
        &["tls: on", "tls.crt_file: /nowhere/crt.pem", "tls.key_file: /nowhere/key.pem"],
        "/nowhere/crt.pem",
        "tls.crt_file",
    ),
    input("TLS file", &["tls: on"], "tls.crt_file", "tls:"),
    output("TLS file", &[TLS_A, "endpoint.a.tls.ca_file: /nowhere/ca.pem"], "/nowhere/ca.pem", "tls.ca_file"),
    output("TLS file", &[TLS_A, "endpoint.a.tls.ca_file: @FILE@"], "holds no certificate in PEM", "tls.ca_file").file("nothing"),
    output(
        "TLS file",
        &[TLS_A, "endpoint.a.tls.key_passwd: x"],
        "option 'endpoint.a.tls.key_passwd': it needs tls.key_file",
        "tls.key_passwd",
    ),
    output(
        "TLS file",
        &[TLS_A, "endpoint.a.tls.min_version: TLSv1.3", "endpoint.a.tls.max_version: TLSv1.2"],
        "option 'endpoint.a.tls.min_version': it is newer than 'tls.max_version'",
        "tls.min_version",
    ),
    output("group", &[A, "group.g.members: 'a, c'"], "option 'group.g.members': 'c' has no 'endpoint.c.url'", "members"),
    output(
        "group",
        &[A, "group.g.members: a", "group.g.mode: sideways"],
        "option 'group.g.mode': 'sideways' is not allowed; allowed: all, failover, balance",
        "group.g.mode",
    ),
    output(
        "group",
        &[A, "endpoint.b.url: http://127.0.0.1:9", "endpoint.b.content: drop", "group.g.members: 'a, b'", "group.g.mode: failover"],
        "group 'g': its members differ in 'content', but an item may go to any of them",
        "group.g.members",
    ),
    output("group", &["group.g.mode: failover"], "group 'g' needs either 'group.g.members', a list of endpoints", "group.g.mode"),
    filter("policy", &[&[SAMPLING, "mode: tail", "config_file: @FILE@"]], "policies[0].type: \"slow\" is not allowed; allowed: ", "")
        .file("policies:\n  - name: x\n    type: slow\n"),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "config_file: @FILE@"]],
        "policies[1].name: \"x\" is not allowed; allowed: a name that no other policy has",
        "",
    )
    .file("policies:\n  - {name: x, type: latency, threshold: 5s}\n  - {name: x, type: latency, threshold: 6s}\n"),
    filter(
        "policy",
        &[&[SAMPLING, "sampling_percentage: 5", "config_file: @FILE@"]],
        "config_file has policies, which need 'mode: tail'",
        "config_file",
    )
    .file("policies:\n  - {name: x, type: latency, threshold: 5s}\n"),
    filter(
        "policy",
        &[&[SAMPLING, "sampling_percentage: 5", "decision_wait: 5s"]],
        "option 'decision_wait': '5s' is not allowed; it needs 'mode: tail'",
        "decision_wait",
    ),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "config_file: @FILE@"]],
        "policies[0].tenants[0].weight: 0 is not allowed; allowed: a number",
        "",
    )
    .file(
        "policies:\n  - name: x\n    type: tenant_throughput\n    tenant_attribute: tenant.id\n    spans_per_second: 5\n    \
         tenants: [{tenant: acme, weight: 0}]\n",
    ),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "config_file: @FILE@"]],
        "policies[0].min_distance: 64 is not allowed; allowed: a whole number from 1 to 32",
        "",
    )
    .file("policies:\n  - {name: x, type: diverse, min_distance: 64}\n"),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "config_file: @FILE@"]],
        "UseClusterSize: it needs option 'fleet_size' or 'fleet_size_file'",
        "",
    )
    .file(
        "RulesVersion: 2\nSamplers:\n  __default__:\n    TotalThroughputSampler:\n      GoalThroughputPerSec: 5\n      \
         UseClusterSize: true\n      FieldList: [a]\n",
    ),
    filter(
        "policy",
        &[&[SAMPLING, "sampling_percentage: 5", "fleet_size: 0"]],
        "option 'fleet_size': '0' is not allowed; allowed: a number from 1 to 1000000",
        "fleet_size",
    ),
    filter(
        "file",
        &[&[SAMPLING, "sampling_percentage: 5", "fleet_size_file: /nowhere/replicas"]],
        "option 'fleet_size_file': '/nowhere/replicas' is not allowed; allowed: a file with a number from 1 to 1000000",
        "fleet_size_file",
    ),
    filter(
        "duplicate",
        &[&[SAMPLING, "sampling_percentage: [5, 6]"]],
        "ai_sampling: configuration property 'sampling_percentage' is set 2 times",
        "sampling_percentage",
    ),
    output(
        "duplicate",
        &[A, "endpoint.a.bearer_token: x", "endpoint.a.http_user: y", "endpoint.a.headers: 'authorization=z'"],
        "endpoint.a.bearer_token': it is given beside http_user",
        "bearer_token",
    ),
    output(
        "duplicate",
        &[A, "endpoint.a.headers: 'authorization=z'", "endpoint.a.bearer_token: x"],
        "endpoint 'a' is given several authorizations",
        "endpoint.a.url",
    ),
    input("duplicate", &["max_request_size: 1m", "buffer_max_size: 2m"], "are one option under two names; only one may be given", "max_request_size"),
    input("thread", &["threaded: on"], "option 'threaded': 'on' is not allowed; the plugin has threads of its own", "threaded"),
    filter("name", &[&[METRICS, "semconv: '1.40'"]], "option 'semconv': '1.40' is not allowed; allowed: 1.41, v0.1.0", "semconv"),
    filter("name", &[&[METRICS, "reported: mine"]], "option 'reported': 'mine' is not allowed; allowed: prefer, replace, both", "reported"),
    filter("name", &[&[METRICS, "find_changes: loud"]], "option 'find_changes': 'loud' is not allowed; allowed: off, warn, on", "find_changes"),
    filter(
        "name",
        &[&[METRICS, "runaway_tokens_per_minute: lots"]],
        "option 'runaway_tokens_per_minute': 'lots' is not allowed; allowed: a number from 0 to 1000000000",
        "runaway",
    ),
    filter("name", &[&[METRICS, "find_budgets: on"]], "option 'find_budgets': 'on' is not allowed; allowed: with budgets in 'budgets' only", "find_budgets"),
    filter(
        "name",
        &[&[METRICS, "find_budgets: on", "budgets: users user.id=* 20 EUR per day"]],
        "option 'budgets': 'users user.id=* 20 EUR per day' is not allowed; the unit 'EUR' is none; allowed: up to 32 budgets",
        "budgets: users",
    ),
    filter(
        "name",
        &[&[METRICS, "find_budgets: on", "budgets: users user.id=* lots USD per day"]],
        "is not allowed; the amount 'lots' is none; allowed",
        "budgets: users",
    ),
    filter(
        "name",
        &[&[METRICS, "find_budgets: warn", "budgets: 'all 5 USD per day, teams team=* 9 USD per month'"]],
        "option 'budgets': 'teams team=* 9 USD per month' is not allowed; the period 'month' is none; allowed",
        "budgets: 'all",
    ),
    filter(
        "name",
        &[&[METRICS, "find_budgets: on", "budgets: calls gen_ai.response.id=* 9 calls per day at 80%"]],
        "the attribute 'gen_ai.response.id=*' is none; allowed",
        "budgets: calls",
    ),
    filter(
        "name",
        &[&[METRICS, "find_budgets: on", "budgets: all 9 calls per day at 80"]],
        "the threshold '80' is none; allowed",
        "budgets: all",
    ),
    filter(
        "name",
        &[&[METRICS, "find_budgets: on", "cost: off", "budgets: users user.id=* 20 USD per day"]],
        "option 'cost': 'off' is not allowed; budget 'users' is in USD; allowed: list, own, reported",
        "cost",
    ),
    filter("size", &[&[METRICS, "finding_keys: 0"]], "option 'finding_keys': '0' is not allowed; allowed: a number from 10", "finding_keys"),
    filter(
        "name",
        &[&[METRICS, "dimensions: gen_ai.response.id"]],
        "option 'dimensions': 'gen_ai.response.id' is not allowed; allowed: attributes that have few values",
        "dimensions",
    ),
    filter("name", &[&[METRICS, "emit_as: prometheus"]], "option 'emit_as': 'prometheus' is not allowed; it needs 'tag'", "emit_as"),
    filter(
        "name",
        &[&[METRICS, "emit_as: prometheus", "tag: m", "temporality: delta"]],
        "option 'temporality': 'delta' is not allowed; Prometheus has no delta temporality",
        "temporality",
    ),
    filter("file", &[&[METRICS, "prices_file: @FILE@"]], "line 1: the column 'output' is missing", "prices_file")
        .file("provider,model,input\nx,y,1\n"),
    output(
        "name",
        &[A, "endpoint.a.server_metrics: modern"],
        "option 'endpoint.a.server_metrics': 'modern' is not allowed; allowed: original, current",
        "server_metrics",
    ),
    filter(
        "name",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "dry_run: perhaps"]],
        "option 'dry_run': 'perhaps' is not allowed; allowed: on, off",
        "dry_run",
    ),
    filter(
        "name",
        &[&[SAMPLING, "sampling_percentage: 5", "dry_run: on"]],
        "option 'dry_run': 'on' is not allowed; it needs 'mode: tail'",
        "dry_run",
    ),
    filter(
        "duration",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "decision_wait: 10s", "decision_wait_max: 5s"]],
        "option 'decision_wait_max': '5s' is not allowed; allowed: longer than decision_wait",
        "decision_wait_max",
    ),
    filter(
        "file",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "journal_path: /nowhere/journal"]],
        "option 'journal_path': '/nowhere/journal' is not allowed; allowed: a folder that is there",
        "journal_path",
    ),
    filter(
        "size",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "max_spans_per_trace: -1"]],
        "option 'max_spans_per_trace': '-1' is not allowed; allowed: a number from 0 to ",
        "max_spans_per_trace",
    ),
    filter(
        "size",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "max_trace_size: huge"]],
        "option 'max_trace_size': 'huge' is not allowed; allowed: a size such as 512k, 4m, 1g",
        "max_trace_size",
    ),
    filter(
        "percentage",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "shed_sampling_percentage: 101"]],
        "option 'shed_sampling_percentage': '101' is not allowed; allowed: a number from 0 to 100",
        "shed_sampling_percentage",
    ),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "config_file: @FILE@"]],
        "policies[0].goal_percentage: 0 is not allowed; allowed: a number above 0, up to 100",
        "",
    )
    .file("policies:\n  - {name: x, type: adaptive_percentage, keys: [service.name], goal_percentage: 0}\n"),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "config_file: @FILE@"]],
        "Rules[0].Conditions[0].Operator: \"nearly\" is not allowed; allowed: =, !=, ",
        "",
    )
    .file(
        "RulesVersion: 2\nSamplers:\n  __default__:\n    RulesBasedSampler:\n      Rules:\n        - Name: x\n          SampleRate: 1\n          \
         Conditions:\n            - {Field: a, Operator: nearly, Value: 1}\n",
    ),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "config_file: @FILE@", "rules_environment: prod"]],
        "Samplers.prod: nothing is not allowed; it is missing; 'rules_environment' names one that is there",
        "",
    )
    .file("RulesVersion: 2\nSamplers:\n  staging:\n    DeterministicSampler:\n      SampleRate: 10\n"),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "config_file: @FILE@"]],
        "policies[0].ottl_condition.span[0]: attributes need a text in brackets",
        "",
    )
    .file("processors:\n  tail_sampling:\n    policies:\n      - {name: x, type: ottl_condition, ottl_condition: {span: ['attributes[] == 1']}}\n"),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "config_file: @FILE@"]],
        "policies[0].name: \"dry_run\" is not allowed; allowed: a text other than ",
        "",
    )
    .file("policies:\n  - {name: dry_run, type: latency, threshold: 5s}\n"),
    filter("name", &[&[CONTEXT, "identify: planet"]], "option 'identify': 'planet' is not allowed; allowed: env, ", "identify"),
    filter(
        "missing emitter",
        &[&[CONTEXT, "correlate_by: request"]],
        "there is no input that emits",
        "- name: ai_context",
    )
    .without_emitter(),
    output(
        "URL",
        &["endpoint.a.url: http://127.0.0.1:99999"],
        "option 'endpoint.a.url': invalid port number",
        "url",
    ),
    output(
        "name",
        &[A, "endpoint.a.deduplicate_content: all"],
        "option 'endpoint.a.deduplicate_content': 'all' is not allowed; allowed: off, or one or more of system, tools",
        "deduplicate_content",
    ),
    output(
        "name",
        &[A, "endpoint.a.dead_letter: b"],
        "option 'endpoint.a.dead_letter': 'b' is not allowed; allowed: the name of another endpoint",
        "dead_letter",
    ),
    input("file", &["tenants_file: /nowhere/tenants.yaml"], "option 'tenants_file': '/nowhere/tenants.yaml' cannot be read", "tenants_file"),
    input("name", &["jwt_jwks_url: https://127.0.0.1:9/keys"], "option 'jwt_issuer' is needed beside a key set", "- name: ai_otlp"),
    filter(
        "reload",
        &[&[METRICS, "cost: free", "interval: 5s"]],
        "option 'cost': 'free' is not allowed; allowed: list, own, reported, off",
        "cost:",
    ),
    filter(
        "reload",
        &[&[CONTEXT, "normalize: on", "keep_originals: perhaps"]],
        "option 'keep_originals': 'perhaps' is not allowed; allowed: on, off",
        "keep_originals",
    ),
    Wrong {
        kind: "reload",
        filters: &[&[CONTEXT]],
        output: &[A, "endpoint.a.dialect: original"],
        says: "option 'endpoint.a.dialect': 'original' needs the attributes that senders wrote, which 'ai_context.0' takes away",
        at: "dialect",
        ..RIGHT
    },
];

/// The file of a case, if it needs one.
pub(crate) fn write_file(case: &Wrong, folder: &std::path::Path) -> std::path::PathBuf {
    let path = folder.join("file.yaml");
    std::fs::write(&path, case.file).expect("the file");
    path
}
