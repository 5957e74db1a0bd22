/*
 * Prints where a host's own headers say that fields are, in the words of src/host/abi/structs.rs.
 * tests/abi/probe.sh compiles and runs it; the output is a fixture that a test compares with the
 * row of that release.
 */
#include <stddef.h>
#include <stdio.h>

#include <fluent-bit.h>
#include <fluent-bit/flb_config_map.h>
#include <fluent-bit/flb_coro.h>
#include <fluent-bit/flb_filter.h>
#include <fluent-bit/flb_input.h>
#include <fluent-bit/flb_kv.h>
#include <fluent-bit/flb_log.h>
#include <fluent-bit/flb_output.h>
#include <fluent-bit/flb_output_thread.h>
#include <fluent-bit/flb_task.h>
#include <fluent-bit/flb_version.h>

#define AT_LEAST(major, minor, patch)                                  \
    (FLB_VERSION_MAJOR * 10000 + FLB_VERSION_MINOR * 100               \
     + FLB_VERSION_PATCH >= (major) * 10000 + (minor) * 100 + (patch))

#define SIZE(ours, theirs) printf(ours ".size %zu\n", sizeof(struct theirs))
#define FIELD(ours, theirs, field) printf(ours " %zu\n", offsetof(struct theirs, field))

int main(void)
{
    printf("release %d.%d.%d\n", FLB_VERSION_MAJOR, FLB_VERSION_MINOR, FLB_VERSION_PATCH);

    SIZE("input_plugin", flb_input_plugin);
    FIELD("input_plugin.flags", flb_input_plugin, flags);
    FIELD("input_plugin.name", flb_input_plugin, name);
    FIELD("input_plugin.description", flb_input_plugin, description);
    FIELD("input_plugin.config_map", flb_input_plugin, config_map);
    FIELD("input_plugin.cb_init", flb_input_plugin, cb_init);
    FIELD("input_plugin.cb_pre_run", flb_input_plugin, cb_pre_run);
    FIELD("input_plugin.cb_collect", flb_input_plugin, cb_collect);
    FIELD("input_plugin.cb_flush_buf", flb_input_plugin, cb_flush_buf);
    FIELD("input_plugin.cb_pause", flb_input_plugin, cb_pause);
    FIELD("input_plugin.cb_resume", flb_input_plugin, cb_resume);
    FIELD("input_plugin.cb_ingest", flb_input_plugin, cb_ingest);
    FIELD("input_plugin.cb_exit", flb_input_plugin, cb_exit);
    FIELD("input_plugin.cb_destroy", flb_input_plugin, cb_destroy);
    FIELD("input_plugin.instance", flb_input_plugin, instance);

    SIZE("filter_plugin", flb_filter_plugin);
    FIELD("filter_plugin.event_type", flb_filter_plugin, event_type);
    FIELD("filter_plugin.flags", flb_filter_plugin, flags);
    FIELD("filter_plugin.name", flb_filter_plugin, name);
    FIELD("filter_plugin.description", flb_filter_plugin, description);
    FIELD("filter_plugin.config_map", flb_filter_plugin, config_map);
    FIELD("filter_plugin.cb_pre_run", flb_filter_plugin, cb_pre_run);
    FIELD("filter_plugin.cb_init", flb_filter_plugin, cb_init);
    FIELD("filter_plugin.cb_filter", flb_filter_plugin, cb_filter);
    FIELD("filter_plugin.cb_exit", flb_filter_plugin, cb_exit);

    SIZE("output_plugin", flb_output_plugin);
    FIELD("output_plugin.event_type", flb_output_plugin, event_type);
    FIELD("output_plugin.flags", flb_output_plugin, flags);
    FIELD("output_plugin.name", flb_output_plugin, name);
    FIELD("output_plugin.description", flb_output_plugin, description);
    FIELD("output_plugin.config_map", flb_output_plugin, config_map);
    FIELD("output_plugin.host", flb_output_plugin, host);
    FIELD("output_plugin.cb_init", flb_output_plugin, cb_init);
    FIELD("output_plugin.cb_pre_run", flb_output_plugin, cb_pre_run);
    FIELD("output_plugin.cb_flush", flb_output_plugin, cb_flush);
    FIELD("output_plugin.cb_exit", flb_output_plugin, cb_exit);
    FIELD("output_plugin.cb_destroy", flb_output_plugin, cb_destroy);
    FIELD("output_plugin.workers", flb_output_plugin, workers);

    SIZE("config_map", flb_config_map);
    FIELD("config_map.kind", flb_config_map, type);
    FIELD("config_map.name", flb_config_map, name);
    FIELD("config_map.def_value", flb_config_map, def_value);
    FIELD("config_map.flags", flb_config_map, flags);
    FIELD("config_map.set_property", flb_config_map, set_property);
    FIELD("config_map.offset", flb_config_map, offset);
    FIELD("config_map.desc", flb_config_map, desc);
    FIELD("config_map.value", flb_config_map, value);

    SIZE("input", flb_input_instance);
    FIELD("input.processor", flb_input_instance, processor);
    FIELD("input.flags", flb_input_instance, flags);
    FIELD("input.id", flb_input_instance, id);
    FIELD("input.chunk_trace_ctxt", flb_input_instance, chunk_trace_ctxt);
    FIELD("input.log_level", flb_input_instance, log_level);
    FIELD("input.name", flb_input_instance, name);
    FIELD("input.alias", flb_input_instance, alias);
    FIELD("input.context", flb_input_instance, context);
    FIELD("input.ch_events", flb_input_instance, ch_events);
    FIELD("input.p", flb_input_instance, p);
    FIELD("input.tag", flb_input_instance, tag);
    FIELD("input.tag_len", flb_input_instance, tag_len);
    FIELD("input.routable", flb_input_instance, routable);
    FIELD("input.host", flb_input_instance, host);
    FIELD("input.mem_buf_status", flb_input_instance, mem_buf_status);
    FIELD("input.storage_buf_status", flb_input_instance, storage_buf_status);
    FIELD("input.config_map", flb_input_instance, config_map);
    FIELD("input.properties", flb_input_instance, properties);
    FIELD("input.is_threaded", flb_input_instance, is_threaded);
    FIELD("input.cmt", flb_input_instance, cmt);
    FIELD("input.use_tls", flb_input_instance, use_tls);
    FIELD("input.tls_verify", flb_input_instance, tls_verify);
    FIELD("input.tls_ca_file", flb_input_instance, tls_ca_file);
    FIELD("input.tls_crt_file", flb_input_instance, tls_crt_file);
    FIELD("input.tls_key_file", flb_input_instance, tls_key_file);
    FIELD("input.tls_key_passwd", flb_input_instance, tls_key_passwd);
    FIELD("input.storage_type", flb_input_instance, storage_type);
    FIELD("input.mem_chunks_size", flb_input_instance, mem_chunks_size);
    FIELD("input.mem_buf_limit", flb_input_instance, mem_buf_limit);
    FIELD("input.tls_debug", flb_input_instance, tls_debug);
#if AT_LEAST(3, 1, 0)
    FIELD("input.tls_verify_hostname", flb_input_instance, tls_verify_hostname);
#endif
    FIELD("input.tls_vhost", flb_input_instance, tls_vhost);
    FIELD("input.tls_ca_path", flb_input_instance, tls_ca_path);
    FIELD("input.net_properties", flb_input_instance, net_properties);
#if AT_LEAST(5, 0, 0)
    FIELD("input.oauth2_jwt_properties", flb_input_instance, oauth2_jwt_properties);
#endif
#if AT_LEAST(4, 0, 0)
    FIELD("input.tls_min_version", flb_input_instance, tls_min_version);
    FIELD("input.tls_max_version", flb_input_instance, tls_max_version);
    FIELD("input.tls_ciphers", flb_input_instance, tls_ciphers);
#endif
#if AT_LEAST(5, 0, 0)
    FIELD("input.tls_verify_client", flb_input_instance, tls_verify_client);
#endif
    FIELD("input.config", flb_input_instance, config);

    SIZE("filter", flb_filter_instance);
    FIELD("filter.event_type", flb_filter_instance, event_type);
    FIELD("filter.id", flb_filter_instance, id);
    FIELD("filter.log_level", flb_filter_instance, log_level);
    FIELD("filter.name", flb_filter_instance, name);
    FIELD("filter.alias", flb_filter_instance, alias);
    FIELD("filter.match_rule", flb_filter_instance, match);
    FIELD("filter.match_regex", flb_filter_instance, match_regex);
    FIELD("filter.parent_processor", flb_filter_instance, parent_processor);
    FIELD("filter.context", flb_filter_instance, context);
    FIELD("filter.data", flb_filter_instance, data);
    FIELD("filter.p", flb_filter_instance, p);
    FIELD("filter.properties", flb_filter_instance, properties);
    FIELD("filter.config_map", flb_filter_instance, config_map);
    FIELD("filter.cmt", flb_filter_instance, cmt);
    FIELD("filter.config", flb_filter_instance, config);

    SIZE("output", flb_output_instance);
    FIELD("output.event_type", flb_output_instance, event_type);
    FIELD("output.id", flb_output_instance, id);
    FIELD("output.log_level", flb_output_instance, log_level);
    FIELD("output.name", flb_output_instance, name);
    FIELD("output.alias", flb_output_instance, alias);
    FIELD("output.flags", flb_output_instance, flags);
    FIELD("output.ch_events", flb_output_instance, ch_events);
    FIELD("output.p", flb_output_instance, p);
    FIELD("output.context", flb_output_instance, context);
    FIELD("output.retry_limit", flb_output_instance, retry_limit);
#if AT_LEAST(5, 0, 3)
    FIELD("output.retry_limit_is_set", flb_output_instance, retry_limit_is_set);
#endif
    FIELD("output.match_rule", flb_output_instance, match);
    FIELD("output.match_regex", flb_output_instance, match_regex);
    FIELD("output.use_tls", flb_output_instance, use_tls);
    FIELD("output.tls_verify", flb_output_instance, tls_verify);
    FIELD("output.tls_ca_file", flb_output_instance, tls_ca_file);
    FIELD("output.tls_crt_file", flb_output_instance, tls_crt_file);
    FIELD("output.tls_key_file", flb_output_instance, tls_key_file);
    FIELD("output.tls_key_passwd", flb_output_instance, tls_key_passwd);
    FIELD("output.tls_debug", flb_output_instance, tls_debug);
    FIELD("output.tls_vhost", flb_output_instance, tls_vhost);
    FIELD("output.tls_ca_path", flb_output_instance, tls_ca_path);
    FIELD("output.net_properties", flb_output_instance, net_properties);
#if AT_LEAST(3, 1, 0)
    FIELD("output.tls_verify_hostname", flb_output_instance, tls_verify_hostname);
#endif
#if AT_LEAST(4, 0, 0)
    FIELD("output.tls_min_version", flb_output_instance, tls_min_version);
    FIELD("output.tls_max_version", flb_output_instance, tls_max_version);
    FIELD("output.tls_ciphers", flb_output_instance, tls_ciphers);
#endif
#if AT_LEAST(5, 0, 0)
    FIELD("output.oauth2_properties", flb_output_instance, oauth2_properties);
#endif
#if AT_LEAST(5, 1, 0)
    FIELD("output.tls_proxy_verify", flb_output_instance, tls_proxy_verify);
    FIELD("output.tls_proxy_verify_hostname", flb_output_instance, tls_proxy_verify_hostname);
    FIELD("output.tls_proxy_ca_path", flb_output_instance, tls_proxy_ca_path);
    FIELD("output.tls_proxy_ca_file", flb_output_instance, tls_proxy_ca_file);
#endif
    FIELD("output.host", flb_output_instance, host);
    FIELD("output.properties", flb_output_instance, properties);
    FIELD("output.config_map", flb_output_instance, config_map);
    FIELD("output.cmt", flb_output_instance, cmt);
    FIELD("output.tp_workers", flb_output_instance, tp_workers);
    FIELD("output.is_threaded", flb_output_instance, is_threaded);
    FIELD("output.config", flb_output_instance, config);

    SIZE("config", flb_config);
    FIELD("config.is_ingestion_active", flb_config, is_ingestion_active);
    FIELD("config.is_shutting_down", flb_config, is_shutting_down);
    FIELD("config.is_running", flb_config, is_running);
    FIELD("config.grace", flb_config, grace);
    FIELD("config.log", flb_config, log);

    SIZE("log", flb_log);
    FIELD("log.level", flb_log, level);

    SIZE("task", flb_task);
    FIELD("task.id", flb_task, id);
    FIELD("task.event_chunk", flb_task, event_chunk);
    FIELD("task.ic", flb_task, ic);
    FIELD("task.routes", flb_task, routes);
    FIELD("task.i_ins", flb_task, i_ins);
    FIELD("task.lock", flb_task, lock);

    SIZE("route", flb_task_route);
    FIELD("route.status", flb_task_route, status);
#if AT_LEAST(4, 2, 4)
    FIELD("route.records", flb_task_route, records);
#endif
#if AT_LEAST(4, 2, 4)
    FIELD("route.bytes", flb_task_route, bytes);
#endif
    FIELD("route.out", flb_task_route, out);
    FIELD("route.head", flb_task_route, _head);

    SIZE("event_chunk", flb_event_chunk);
    FIELD("event_chunk.kind", flb_event_chunk, type);
    FIELD("event_chunk.tag", flb_event_chunk, tag);
    FIELD("event_chunk.data", flb_event_chunk, data);
    FIELD("event_chunk.length", flb_event_chunk, size);
    FIELD("event_chunk.total_events", flb_event_chunk, total_events);
#if defined(FLB_HAVE_CHUNK_TRACE)
    FIELD("event_chunk.trace", flb_event_chunk, trace);
#endif

    SIZE("flush", flb_output_flush);
    FIELD("flush.id", flb_output_flush, id);
    FIELD("flush.task", flb_output_flush, task);
    FIELD("flush.config", flb_output_flush, config);
    FIELD("flush.o_ins", flb_output_flush, o_ins);
    FIELD("flush.coro", flb_output_flush, coro);
    FIELD("flush.processed_event_chunk", flb_output_flush, processed_event_chunk);

    SIZE("coro", flb_coro);
    FIELD("coro.caller", flb_coro, caller);
    FIELD("coro.callee", flb_coro, callee);
    FIELD("coro.data", flb_coro, data);

    SIZE("out_thread", flb_out_thread_instance);
    FIELD("out_thread.ch_thread_events", flb_out_thread_instance, ch_thread_events);

    SIZE("kv", flb_kv);
    FIELD("kv.key", flb_kv, key);
    FIELD("kv.val", flb_kv, val);
    FIELD("kv.head", flb_kv, _head);

    SIZE("net_host", flb_net_host);
    FIELD("net_host.port", flb_net_host, port);
    FIELD("net_host.name", flb_net_host, name);
    FIELD("net_host.listen", flb_net_host, listen);

    SIZE("list", mk_list);
    FIELD("list.prev", mk_list, prev);
    FIELD("list.next", mk_list, next);
    return 0;
}
