//! `include/fluent_bit_ai_host.h` as Rust, made by bindgen; `make bindings` renews it.
#![expect(
    non_camel_case_types,
    unreachable_pub,
    reason = "names and visibility are those of the C header"
)]
use libc::pthread_mutex_t;

#[repr(C)]
#[derive(Debug)]
pub struct fb_config {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug)]
pub struct fb_input_instance {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug)]
pub struct fb_filter_instance {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug)]
pub struct fb_output_instance {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_list {
    pub prev: *mut fb_list,
    pub next: *mut fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_kv {
    pub key: *mut ::std::os::raw::c_char,
    pub val: *mut ::std::os::raw::c_char,
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_net_host {
    pub ipv6: ::std::os::raw::c_int,
    pub address: *mut ::std::os::raw::c_char,
    pub port: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub listen: *mut ::std::os::raw::c_char,
    pub uri: *mut ::std::os::raw::c_void,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_event_chunk {
    pub type_: ::std::os::raw::c_int,
    pub tag: *mut ::std::os::raw::c_char,
    pub data: *mut ::std::os::raw::c_void,
    pub size: usize,
    pub total_events: usize,
    pub trace: *mut ::std::os::raw::c_void,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_coro_valgrind {
    pub valgrind_stack_id: ::std::os::raw::c_uint,
    pub caller: *mut ::std::os::raw::c_void,
    pub callee: *mut ::std::os::raw::c_void,
    pub data: *mut ::std::os::raw::c_void,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_coro_plain {
    pub caller: *mut ::std::os::raw::c_void,
    pub callee: *mut ::std::os::raw::c_void,
    pub data: *mut ::std::os::raw::c_void,
}
#[repr(C)]
pub struct fb_task {
    pub id: ::std::os::raw::c_int,
    pub ref_id: u64,
    pub status: u8,
    pub users: ::std::os::raw::c_int,
    pub event_chunk: *mut fb_event_chunk,
    pub ic: *mut ::std::os::raw::c_void,
    pub records: ::std::os::raw::c_int,
    pub routes: fb_list,
    pub retries: fb_list,
    pub head: fb_list,
    pub i_ins: *mut fb_input_instance,
    pub config: *mut fb_config,
    pub lock: pthread_mutex_t,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_task_route_3_0_0 {
    pub status: ::std::os::raw::c_int,
    pub out: *mut fb_output_instance,
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_task_route_4_2_4 {
    pub status: ::std::os::raw::c_int,
    pub records: ::std::os::raw::c_int,
    pub bytes: usize,
    pub out: *mut fb_output_instance,
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_output_flush {
    pub id: ::std::os::raw::c_int,
    pub buffer: *const ::std::os::raw::c_void,
    pub task: *mut fb_task,
    pub config: *mut fb_config,
    pub o_ins: *mut fb_output_instance,
    pub coro: *mut ::std::os::raw::c_void,
    pub processed_event_chunk: *mut fb_event_chunk,
    pub head: fb_list,
}
pub type fb_input_init = ::std::option::Option<
    unsafe extern "C" fn(
        arg1: *mut fb_input_instance,
        arg2: *mut fb_config,
        arg3: *mut ::std::os::raw::c_void,
    ) -> ::std::os::raw::c_int,
>;
pub type fb_filter_init = ::std::option::Option<
    unsafe extern "C" fn(
        arg1: *mut fb_filter_instance,
        arg2: *mut fb_config,
        arg3: *mut ::std::os::raw::c_void,
    ) -> ::std::os::raw::c_int,
>;
pub type fb_output_init = ::std::option::Option<
    unsafe extern "C" fn(
        arg1: *mut fb_output_instance,
        arg2: *mut fb_config,
        arg3: *mut ::std::os::raw::c_void,
    ) -> ::std::os::raw::c_int,
>;
pub type fb_pause = ::std::option::Option<
    unsafe extern "C" fn(context: *mut ::std::os::raw::c_void, arg1: *mut fb_config),
>;
pub type fb_exit = ::std::option::Option<
    unsafe extern "C" fn(
        context: *mut ::std::os::raw::c_void,
        arg1: *mut fb_config,
    ) -> ::std::os::raw::c_int,
>;
pub type fb_filter = ::std::option::Option<
    unsafe extern "C" fn(
        data: *const ::std::os::raw::c_void,
        bytes: usize,
        tag: *const ::std::os::raw::c_char,
        tag_len: ::std::os::raw::c_int,
        out_data: *mut *mut ::std::os::raw::c_void,
        out_bytes: *mut usize,
        arg1: *mut fb_filter_instance,
        arg2: *mut fb_input_instance,
        context: *mut ::std::os::raw::c_void,
        arg3: *mut fb_config,
    ) -> ::std::os::raw::c_int,
>;
pub type fb_flush = ::std::option::Option<
    unsafe extern "C" fn(
        arg1: *mut fb_event_chunk,
        arg2: *mut fb_output_flush,
        arg3: *mut fb_input_instance,
        context: *mut ::std::os::raw::c_void,
        arg4: *mut fb_config,
    ),
>;
pub type fb_unused = ::std::option::Option<unsafe extern "C" fn()>;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_input_plugin_3_0_0 {
    pub type_: ::std::os::raw::c_int,
    pub proxy: *mut ::std::os::raw::c_void,
    pub flags: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub description: *mut ::std::os::raw::c_char,
    pub config_map: *mut ::std::os::raw::c_void,
    pub cb_init: fb_input_init,
    pub cb_pre_run: fb_input_init,
    pub cb_collect: fb_input_init,
    pub cb_flush_buf: fb_unused,
    pub cb_flush_end: fb_unused,
    pub cb_pause: fb_pause,
    pub cb_resume: fb_pause,
    pub cb_ingest: fb_unused,
    pub cb_exit: fb_exit,
    pub cb_destroy: fb_unused,
    pub instance: *mut ::std::os::raw::c_void,
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_input_plugin_3_2_0 {
    pub type_: ::std::os::raw::c_int,
    pub proxy: *mut ::std::os::raw::c_void,
    pub flags: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub description: *mut ::std::os::raw::c_char,
    pub config_map: *mut ::std::os::raw::c_void,
    pub cb_init: fb_input_init,
    pub cb_pre_run: fb_input_init,
    pub cb_collect: fb_input_init,
    pub cb_notification: fb_unused,
    pub cb_flush_buf: fb_unused,
    pub cb_flush_end: fb_unused,
    pub cb_pause: fb_pause,
    pub cb_resume: fb_pause,
    pub cb_ingest: fb_unused,
    pub cb_exit: fb_exit,
    pub cb_destroy: fb_unused,
    pub instance: *mut ::std::os::raw::c_void,
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_input_plugin_3_2_3 {
    pub type_: ::std::os::raw::c_int,
    pub proxy: *mut ::std::os::raw::c_void,
    pub flags: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub description: *mut ::std::os::raw::c_char,
    pub config_map: *mut ::std::os::raw::c_void,
    pub cb_init: fb_input_init,
    pub cb_pre_run: fb_input_init,
    pub cb_collect: fb_input_init,
    pub cb_notification: fb_unused,
    pub cb_flush_buf: fb_unused,
    pub cb_flush_end: fb_unused,
    pub cb_pause: fb_pause,
    pub cb_resume: fb_pause,
    pub cb_ingest: fb_unused,
    pub cb_exit: fb_exit,
    pub cb_destroy: fb_unused,
    pub unused_test_formatter: [*mut ::std::os::raw::c_void; 6usize],
    pub instance: *mut ::std::os::raw::c_void,
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_input_plugin_5_1_0 {
    pub type_: ::std::os::raw::c_int,
    pub proxy: *mut ::std::os::raw::c_void,
    pub flags: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub description: *mut ::std::os::raw::c_char,
    pub config_map: *mut ::std::os::raw::c_void,
    pub cb_init: fb_input_init,
    pub cb_pre_run: fb_input_init,
    pub cb_collect: fb_input_init,
    pub cb_notification: fb_unused,
    pub cb_flush_buf: fb_unused,
    pub cb_flush_end: fb_unused,
    pub cb_pause: fb_pause,
    pub cb_resume: fb_pause,
    pub cb_pause_checked: fb_unused,
    pub cb_resume_checked: fb_unused,
    pub cb_ingest: fb_unused,
    pub cb_pre_exit: fb_unused,
    pub cb_exit: fb_exit,
    pub cb_destroy: fb_unused,
    pub unused_test_formatter: [*mut ::std::os::raw::c_void; 6usize],
    pub instance: *mut ::std::os::raw::c_void,
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_filter_plugin_3_0_0 {
    pub event_type: ::std::os::raw::c_int,
    pub flags: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub description: *mut ::std::os::raw::c_char,
    pub config_map: *mut ::std::os::raw::c_void,
    pub cb_pre_run: fb_filter_init,
    pub cb_init: fb_filter_init,
    pub cb_filter: fb_filter,
    pub cb_exit: fb_exit,
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_filter_plugin_3_2_0 {
    pub event_type: ::std::os::raw::c_int,
    pub flags: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub description: *mut ::std::os::raw::c_char,
    pub config_map: *mut ::std::os::raw::c_void,
    pub cb_pre_run: fb_filter_init,
    pub cb_init: fb_filter_init,
    pub cb_filter: fb_filter,
    pub cb_exit: fb_exit,
    pub cb_notification: fb_unused,
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_output_plugin_3_0_0 {
    pub event_type: ::std::os::raw::c_int,
    pub type_: ::std::os::raw::c_int,
    pub proxy: *mut ::std::os::raw::c_void,
    pub flags: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub description: *mut ::std::os::raw::c_char,
    pub config_map: *mut ::std::os::raw::c_void,
    pub host: fb_net_host,
    pub cb_init: fb_output_init,
    pub cb_pre_run: fb_unused,
    pub cb_flush: fb_flush,
    pub cb_exit: fb_exit,
    pub cb_destroy: fb_unused,
    pub workers: ::std::os::raw::c_int,
    pub unused_test_formatter: [*mut ::std::os::raw::c_void; 6usize],
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_output_plugin_3_2_0 {
    pub event_type: ::std::os::raw::c_int,
    pub type_: ::std::os::raw::c_int,
    pub proxy: *mut ::std::os::raw::c_void,
    pub flags: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub description: *mut ::std::os::raw::c_char,
    pub config_map: *mut ::std::os::raw::c_void,
    pub host: fb_net_host,
    pub cb_init: fb_output_init,
    pub cb_pre_run: fb_unused,
    pub cb_flush: fb_flush,
    pub cb_exit: fb_exit,
    pub cb_destroy: fb_unused,
    pub workers: ::std::os::raw::c_int,
    pub cb_worker_init: fb_unused,
    pub cb_worker_exit: fb_unused,
    pub cb_notification: fb_unused,
    pub unused_test_formatter: [*mut ::std::os::raw::c_void; 6usize],
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_output_plugin_3_2_2 {
    pub event_type: ::std::os::raw::c_int,
    pub type_: ::std::os::raw::c_int,
    pub proxy: *mut ::std::os::raw::c_void,
    pub flags: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub description: *mut ::std::os::raw::c_char,
    pub config_map: *mut ::std::os::raw::c_void,
    pub host: fb_net_host,
    pub cb_init: fb_output_init,
    pub cb_pre_run: fb_unused,
    pub cb_flush: fb_flush,
    pub cb_exit: fb_exit,
    pub cb_destroy: fb_unused,
    pub workers: ::std::os::raw::c_int,
    pub cb_worker_init: fb_unused,
    pub cb_worker_exit: fb_unused,
    pub cb_notification: fb_unused,
    pub unused_test_formatter: [*mut ::std::os::raw::c_void; 6usize],
    pub unused_test_response: [*mut ::std::os::raw::c_void; 6usize],
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_output_plugin_5_1_0 {
    pub event_type: ::std::os::raw::c_int,
    pub type_: ::std::os::raw::c_int,
    pub proxy: *mut ::std::os::raw::c_void,
    pub flags: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub description: *mut ::std::os::raw::c_char,
    pub config_map: *mut ::std::os::raw::c_void,
    pub host: fb_net_host,
    pub cb_init: fb_output_init,
    pub cb_pre_run: fb_unused,
    pub cb_flush: fb_flush,
    pub cb_exit: fb_exit,
    pub cb_destroy: fb_unused,
    pub workers: ::std::os::raw::c_int,
    pub cb_worker_init: fb_unused,
    pub cb_worker_exit: fb_unused,
    pub cb_notification: fb_unused,
    pub unused_test_formatter: [*mut ::std::os::raw::c_void; 7usize],
    pub unused_test_response: [*mut ::std::os::raw::c_void; 6usize],
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_config_map_3_0_0 {
    pub type_: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub def_value: *mut ::std::os::raw::c_char,
    pub flags: ::std::os::raw::c_int,
    pub set_property: ::std::os::raw::c_int,
    pub offset: usize,
    pub desc: *mut ::std::os::raw::c_char,
    pub value: [*mut ::std::os::raw::c_void; 4usize],
    pub head: fb_list,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct fb_config_map_5_0_3 {
    pub type_: ::std::os::raw::c_int,
    pub name: *mut ::std::os::raw::c_char,
    pub def_value: *mut ::std::os::raw::c_char,
    pub flags: ::std::os::raw::c_int,
    pub set_property: ::std::os::raw::c_int,
    pub offset: usize,
    pub desc: *mut ::std::os::raw::c_char,
    pub value: [*mut ::std::os::raw::c_void; 5usize],
    pub head: fb_list,
}
