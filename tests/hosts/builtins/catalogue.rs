//! The built-in outputs, filters and processors, with options that bring their code to run.

/// When data must have come to a plugin's receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrives {
    /// With both formats.
    Always,
    /// With the host's own metrics only.
    Native,
    /// From 5.0 on: before, the plugin fails on any chunk with groups, the stock input's as well.
    Grouped,
    /// Not to be seen from here: it sends nothing, or only what the options happen to find.
    Unseen,
}

/// A built-in plugin. `{port}` stands for a receiver's port, `{dir}` for a folder.
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    pub name: &'static str,
    /// Options, divided by `; `.
    pub options: &'static str,
    /// The first release that has it.
    pub since: [u32; 2],
    pub arrives: Arrives,
}

const fn plugin(name: &'static str, options: &'static str) -> Plugin {
    Plugin { name, options, since: [3, 0], arrives: Arrives::Always }
}

const fn unseen(name: &'static str, options: &'static str) -> Plugin {
    Plugin { name, options, since: [3, 0], arrives: Arrives::Unseen }
}

const fn grouped(name: &'static str, options: &'static str) -> Plugin {
    Plugin { name, options, since: [3, 0], arrives: Arrives::Grouped }
}

const fn since(major: u32, minor: u32, plugin: Plugin) -> Plugin {
    Plugin { since: [major, minor], ..plugin }
}

const KAFKA: &str = "brokers: 127.0.0.1:1; topics: t; rdkafka.message.timeout.ms: 500; \
    rdkafka.log_level: 0; dynamic_topic: on; format: ";

/// Outputs that make JSON of records one by one. Before 3.1.6 the host writes beyond a buffer there
/// where JSON becomes much longer than what it is made of, such as for text of control characters,
/// from whatever input: they are not run on such a host.
const JSON_BY_RECORD: [&str; 11] = [
    "datadog",
    "es",
    "kafka",
    "logdna",
    "loki",
    "nats",
    "nrlogs",
    "opensearch",
    "skywalking",
    "splunk",
    "vivo_exporter",
];

pub fn outputs() -> Vec<(Plugin, String)> {
    let mut all: Vec<(Plugin, String)> =
        OUTPUTS.iter().map(|plugin| (*plugin, plugin.options.to_owned())).collect();
    for format in ["json", "msgpack", "gelf"] {
        all.push((unseen("kafka", KAFKA), format!("{KAFKA}{format}")));
    }
    all.push((since(3, 2, unseen("kafka", KAFKA)), format!("{KAFKA}raw; raw_log_key: log")));
    for format in ["otlp_json", "otlp_proto"] {
        all.push((since(5, 1, unseen("kafka", KAFKA)), format!("{KAFKA}{format}")));
    }
    for format in ["msgpack", "json", "json_lines", "json_stream"] {
        all.push((unseen("stdout", ""), format!("format: {format}")));
        for output in ["http", "tcp"] {
            let options = format!("host: 127.0.0.1; port: {{port}}; format: {format}");
            all.push((plugin(output, ""), options));
        }
    }
    for date in ["double", "iso8601", "epoch", "epoch_ms", "java_sql_timestamp"] {
        let options = format!("format: json_lines; json_date_format: {date}");
        all.push((unseen("stdout", ""), options));
    }
    for format in ["out_file", "plain", "csv", "ltsv", "template"] {
        let template = if format == "template" { "; template: '{log} {time}'" } else { "" };
        let options = format!("path: {{dir}}; file: {format}; format: {format}{template}");
        all.push((unseen("file", ""), options));
    }
    for (plugin, _) in &mut all {
        if JSON_BY_RECORD.contains(&plugin.name) {
            plugin.since = plugin.since.max([3, 2]);
        }
    }
    all
}

const OUTPUTS: [Plugin; 38] = [
    plugin("opentelemetry", "host: 127.0.0.1; port: {port}"),
    plugin("opentelemetry", "host: 127.0.0.1; port: {port}; compress: gzip"),
    // Refuses a chunk for one record without the key.
    unseen("http", "host: 127.0.0.1; port: {port}; format: gelf; gelf_short_message_key: log"),
    plugin("http", "host: 127.0.0.1; port: {port}; format: json; compress: gzip; header_tag: tag"),
    unseen("http", "host: 127.0.0.1; port: {port}; body_key: $log; headers_key: $headers"),
    plugin("forward", "host: 127.0.0.1; port: {port}"),
    plugin("forward", "host: 127.0.0.1; port: {port}; compress: gzip"),
    plugin("forward", "host: 127.0.0.1; port: {port}; retain_metadata_in_forward_mode: true"),
    plugin("forward", "host: 127.0.0.1; port: {port}; send_options: true; time_as_integer: true"),
    plugin(
        "es",
        "host: 127.0.0.1; port: {port}; suppress_type_name: on; generate_id: on; \
            replace_dots: on; include_tag_key: on",
    ),
    plugin(
        "es",
        "host: 127.0.0.1; port: {port}; logstash_format: on; logstash_prefix_key: log; \
            time_key_nanos: on; id_key: trace_id",
    ),
    plugin(
        "opensearch",
        "host: 127.0.0.1; port: {port}; suppress_type_name: on; generate_id: on; replace_dots: on",
    ),
    plugin(
        "opensearch",
        "host: 127.0.0.1; port: {port}; logstash_format: on; logstash_prefix_key: log; \
            id_key: trace_id",
    ),
    grouped(
        "loki",
        "host: 127.0.0.1; port: {port}; labels: job=x, l=$log; line_format: json; \
            label_keys: $severity_text; remove_keys: name,kind",
    ),
    grouped(
        "loki",
        "host: 127.0.0.1; port: {port}; line_format: key_value; auto_kubernetes_labels: on; \
            drop_single_key: on",
    ),
    plugin("splunk", "host: 127.0.0.1; port: {port}; splunk_token: t; tls: off"),
    plugin(
        "splunk",
        "host: 127.0.0.1; port: {port}; splunk_token: t; tls: off; splunk_send_raw: on",
    ),
    unseen(
        "splunk",
        "host: 127.0.0.1; port: {port}; splunk_token: t; tls: off; event_key: $log; \
            event_host: $name; event_source: s; event_field: a $log",
    ),
    // It leaves out records whose fields are all tags, as those of logs are here; a span has numbers.
    plugin("influxdb", "host: 127.0.0.1; port: {port}; database: d; auto_tags: on"),
    plugin("influxdb", "host: 127.0.0.1; port: {port}; database: d; tag_keys: name log"),
    unseen("prometheus_exporter", "host: 127.0.0.1; port: {free}; add_label: a b"),
    Plugin {
        name: "prometheus_remote_write",
        options: "host: 127.0.0.1; port: {port}; uri: /w",
        since: [3, 0],
        arrives: Arrives::Native,
    },
    plugin(
        "s3",
        "bucket: b; region: us-east-1; endpoint: http://127.0.0.1:{port}; use_put_object: on; \
            total_file_size: 1M; upload_timeout: 2s; store_dir: {dir}/s3",
    ),
    grouped(
        "datadog",
        "host: 127.0.0.1; port: {port}; apikey: k; tls: off; dd_service: s; dd_message_key: log; \
            include_tag_key: on",
    ),
    unseen("flowcounter", "unit: second"),
    unseen("null", ""),
    unseen("counter", ""),
    unseen("gelf", "host: 127.0.0.1; port: {port}; mode: tcp; gelf_short_message_key: log"),
    unseen("udp", "host: 127.0.0.1; port: {port}; format: json_lines"),
    plugin(
        "syslog",
        "host: 127.0.0.1; port: {port}; mode: tcp; syslog_message_key: log; \
            syslog_format: rfc5424; syslog_sd_key: attributes; syslog_hostname_key: name",
    ),
    plugin(
        "syslog",
        "host: 127.0.0.1; port: {port}; mode: tcp; syslog_message_key: log; syslog_format: rfc3164",
    ),
    plugin("websocket", "host: 127.0.0.1; port: {port}; format: json; uri: /"),
    unseen("nats", "host: 127.0.0.1; port: {port}"),
    grouped("nrlogs", "api_key: k; base_uri: http://127.0.0.1:{port}/x; compress: gzip"),
    unseen("skywalking", "host: 127.0.0.1; port: {port}; tls: off"),
    unseen("vivo_exporter", "host: 127.0.0.1; port: {free}"),
    unseen("logdna", "logdna_host: 127.0.0.1; logdna_port: {port}; api_key: k; tls: off"),
    unseen("plot", "key: severity_number; file: {dir}/plot"),
];

const TOUCH: &str = "call: touch; code: 'function touch(tag, ts, record) \
    record[\"added\"] = \"by_lua\" return 2, ts, record end'";

/// Filters; each has an input of its own.
pub const FILTERS: [Plugin; 21] = [
    plugin("alter_size", "add: 1"),
    plugin("checklist", "file: {dir}/list; lookup_key: name; record: listed yes"),
    plugin("record_modifier", "record: added by_record_modifier; remove_key: kind"),
    plugin("sysinfo", "hostname_key: host"),
    plugin("throttle", "rate: 1000000; window: 3; interval: 1s"),
    plugin(
        "type_converter",
        "str_key: name name_int int; int_key: start_time_unix_nano start_text string; \
            float_key: log log_text string; uint_key: flags f string",
    ),
    plugin(
        "kubernetes",
        "kube_url: http://127.0.0.1:1; merge_log: on; merge_log_key: merged; keep_log: on; \
            dummy_meta: on; k8s-logging.parser: on; annotations: on",
    ),
    plugin(
        "modify",
        "add: added by_modify; rename: name named; hard_copy: log copied; set: kind set; \
            condition: Key_exists name; remove_wildcard: st",
    ),
    plugin(
        "multiline",
        "multiline.key_content: log; multiline.parser: java, go, python; buffer: off",
    ),
    plugin("nest", "operation: nest; wildcard: '*'; nest_under: nested"),
    plugin("nest", "operation: lift; nested_under: attributes; add_prefix: a_"),
    plugin("parser", "key_name: log; parser: json; preserve_key: on; reserve_data: on"),
    plugin("expect", "key_not_exists: never; action: warn"),
    plugin("grep", "exclude: name never_there"),
    unseen("grep", "regex: log .; logical_op: and"),
    plugin("rewrite_tag", "rule: $name .* {tag}.other.$TAG false"),
    plugin(
        "log_to_metrics",
        "metric_mode: counter; metric_name: n; metric_description: d; kubernetes_mode: off; \
            tag: m; label_field: name",
    ),
    plugin("lua", TOUCH),
    plugin(
        "lua",
        "call: touch; type_int_key: flags kind; type_array_key: events links; \
            code: 'function touch(tag, ts, record) return 1, ts, record end'",
    ),
    plugin("stdout", ""),
    plugin("ecs", "ecs_tag_prefix: x; agent_endpoint_retries: 0"),
];

const UPSERT: &str = "action: upsert; key: added; value: by_content_modifier; context: ";
const DELETE: &str = "action: delete; key: without_value; context: ";
const CONVERT: &str = "action: convert; key: number; converted_type: string; context: ";
const HASH: &str = "action: hash; key: log; context: ";

/// Processors; each has an input of its own. The first text is the signal.
pub fn processors() -> Vec<(Plugin, &'static str, String)> {
    let mut all = Vec::new();
    let contexts = [
        ("logs", [3, 0], &["attributes", "body"][..]),
        ("metrics", [3, 0], &["name", "description", "labels"]),
        ("traces", [3, 0], &["span_name", "span_attributes"]),
        ("logs", [3, 2], &["otel_resource_attributes", "otel_scope_attributes"]),
        ("logs", [5, 0], &["otel_log_attributes"]),
        ("metrics", [3, 2], &["otel_resource_attributes", "otel_scope_attributes"]),
    ];
    for (signal, [major, minor], contexts) in contexts {
        for context in contexts {
            let row = since(major, minor, unseen("content_modifier", ""));
            for action in [UPSERT, DELETE, CONVERT, HASH] {
                all.push((row, signal, format!("{action}{context}")));
            }
        }
    }
    for query in ["SELECT * FROM STREAM;", "SELECT log, name AS n FROM STREAM WHERE log = 'x';"] {
        all.push((unseen("sql", ""), "logs", format!("query: \"{query}\"")));
    }
    all.push((since(3, 2, plugin("opentelemetry_envelope", "")), "logs", String::new()));
    for options in ["upsert: added x", "delete: number", "hash: bytes", "insert: other y"] {
        all.push((unseen("labels", ""), "metrics", options.to_owned()));
    }
    for action in ["include", "exclude"] {
        let options = format!("metric_name: /metric_7/; action: {action}");
        all.push((unseen("metrics_selector", ""), "metrics", options));
    }
    let share = "type: probabilistic; sampling_settings:\n              sampling_percentage: 50";
    all.push((since(4, 0, unseen("sampling", "")), "traces", share.to_owned()));
    let wait = "type: tail; sampling_settings:\n              decision_wait: 1s";
    all.push((since(4, 0, unseen("sampling", "")), "traces", wait.to_owned()));
    all.push((since(5, 1, unseen("cumulative_to_delta", "")), "metrics", String::new()));
    all
}
