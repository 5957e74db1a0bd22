//! The C side of the test host, and what the host exports.

use std::fmt::Write;
use std::path::PathBuf;

/// What `flb-host` exports under the names of Fluent Bit's functions.
const HOST_FUNCTIONS: &[&str] = &[
    "cfl_time_now",
    "cmt_counter_add",
    "cmt_counter_create",
    "cmt_counter_inc",
    "cmt_counter_set",
    "cmt_gauge_add",
    "cmt_gauge_create",
    "cmt_gauge_dec",
    "cmt_gauge_inc",
    "cmt_gauge_set",
    "cmt_gauge_sub",
    "co_active",
    "co_create",
    "co_delete",
    "co_switch",
    "flb_chunk_trace_output",
    "flb_coro_get",
    "flb_coro_set",
    "flb_engine_flush",
    "flb_event_chunk_destroy",
    "flb_filter_get_property",
    "flb_filter_name",
    "flb_filter_set_context",
    "flb_filter_set_property",
    "flb_input_chunk_append_raw",
    "flb_input_chunk_get_name",
    "flb_input_collector_pause",
    "flb_input_collector_resume",
    "flb_input_collector_running",
    "flb_input_collector_start",
    "flb_input_get_property",
    "flb_input_log_append",
    "flb_input_log_append_records",
    "flb_input_name",
    "flb_input_pause",
    "flb_input_resume",
    "flb_input_set_collector_event",
    "flb_input_set_collector_socket",
    "flb_input_set_collector_time",
    "flb_input_set_context",
    "flb_input_set_property",
    "flb_log_print",
    "flb_output_flush_prepare_destroy",
    "flb_output_get_property",
    "flb_output_name",
    "flb_output_set_context",
    "flb_output_set_property",
    "flb_output_thread_instance_get",
    "flb_pipe_w",
    "flb_sched_ctx_get",
    "flb_sched_timer_cb_create",
    "flb_sched_timer_cb_destroy",
    "flb_sched_timer_cb_disable",
    "flb_sched_timer_invalidate",
    "fluent_bit_ai_bundled_host_lacks",
    "fluent_bit_ai_bundled_host_row",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let shim = "src/shim.c";
    println!("cargo::rerun-if-changed={shim}");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    cc::Build::new().file(shim).warnings(true).cargo_metadata(false).compile("flb_host_shim");
    let mut list = String::from("{\n");
    for function in HOST_FUNCTIONS {
        writeln!(list, "    {function};")?;
    }
    list.push_str("};\n");
    let path = out.join("flb-host.symbols");
    std::fs::write(&path, list)?;
    println!("cargo::rustc-link-arg-bin=flb-host={}", out.join("libflb_host_shim.a").display());
    println!("cargo::rustc-link-arg-bin=flb-host=-Wl,--dynamic-list={}", path.display());
    Ok(())
}
