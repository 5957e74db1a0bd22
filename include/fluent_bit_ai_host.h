/*
 * The few structures of Fluent Bit's plugin interface, as the host layer knows them.
 *
 * Fluent Bit has no versioned plugin headers: these structures change from release to release, and
 * each release only knows its own. So a structure that changed is declared once for each shape,
 * named after the first release that has it (fb_input_plugin_3_2_3 is what 3.2.3 to 5.0.9 have).
 * Only Linux with glibc on x86-64 and aarch64 is declared. What a plugin never touches is named `unused_`.
 *
 * bindgen turns this file into src/host/abi/bindings.rs (`make bindings`), from which src/host/abi takes
 * the layouts of these structures. Tests compare its rows with what tests/abi/probe.c printed of hosts'
 * real headers (`make abi`).
 */
#ifndef FLUENT_BIT_AI_HOST_H
#define FLUENT_BIT_AI_HOST_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* Structures of the host that are only passed through. */
typedef struct fb_config fb_config;
typedef struct fb_input_instance fb_input_instance;
typedef struct fb_filter_instance fb_filter_instance;
typedef struct fb_output_instance fb_output_instance;

/* A doubly linked list, circular through its head. */
typedef struct fb_list {
    struct fb_list *prev;
    struct fb_list *next;
} fb_list;

/* A property as the user gave it. */
typedef struct fb_kv {
    char *key;
    char *val;
    fb_list head;
} fb_kv;

/* An address that the host keeps for a plugin. */
typedef struct fb_net_host {
    int ipv6;
    char *address;
    int port;
    char *name;
    char *listen;
    void *uri;
} fb_net_host;

/* The content of a task. */
typedef struct fb_event_chunk {
    int type;
    char *tag;
    void *data;
    size_t size;
    size_t total_events;
    void *trace;
} fb_event_chunk;

/* A coroutine, in hosts built where Valgrind's header was and was not installed. */
typedef struct fb_coro_valgrind {
    unsigned int valgrind_stack_id;
    void *caller;
    void *callee;
    void *data;
} fb_coro_valgrind;

typedef struct fb_coro_plain {
    void *caller;
    void *callee;
    void *data;
} fb_coro_plain;

/* A chunk on its way to its outputs. The lock has another size on each machine. */
typedef struct fb_task {
    int id;
    uint64_t ref_id;
    uint8_t status;
    int users;
    fb_event_chunk *event_chunk;
    void *ic;
    int records;
    fb_list routes;
    fb_list retries;
    fb_list head;
    fb_input_instance *i_ins;
    fb_config *config;
    pthread_mutex_t lock;
} fb_task;

/* One output that a task goes to. */
typedef struct fb_task_route_3_0_0 {
    int status;
    fb_output_instance *out;
    fb_list head;
} fb_task_route_3_0_0;

typedef struct fb_task_route_4_2_4 {
    int status;
    int records;
    size_t bytes;
    fb_output_instance *out;
    fb_list head;
} fb_task_route_4_2_4;

/* One call of an output's flush. */
typedef struct fb_output_flush {
    int id;
    const void *buffer;
    fb_task *task;
    fb_config *config;
    fb_output_instance *o_ins;
    void *coro;
    fb_event_chunk *processed_event_chunk;
    fb_list head;
} fb_output_flush;

/* The callbacks. */
typedef int (*fb_input_init)(fb_input_instance *, fb_config *, void *);
typedef int (*fb_filter_init)(fb_filter_instance *, fb_config *, void *);
typedef int (*fb_output_init)(fb_output_instance *, fb_config *, void *);
typedef void (*fb_pause)(void *context, fb_config *);
typedef int (*fb_exit)(void *context, fb_config *);
typedef int (*fb_filter)(const void *data, size_t bytes, const char *tag, int tag_len,
                         void **out_data, size_t *out_bytes, fb_filter_instance *,
                         fb_input_instance *, void *context, fb_config *);
typedef void (*fb_flush)(fb_event_chunk *, fb_output_flush *, fb_input_instance *, void *context,
                         fb_config *);
typedef void (*fb_unused)(void);


/* An input plugin. */
typedef struct fb_input_plugin_3_0_0 {
    int type;
    void *proxy;
    int flags;
    char *name;
    char *description;
    void *config_map;
    fb_input_init cb_init;
    fb_input_init cb_pre_run;
    fb_input_init cb_collect;
    fb_unused cb_flush_buf;
    fb_unused cb_flush_end;
    fb_pause cb_pause;
    fb_pause cb_resume;
    fb_unused cb_ingest;
    fb_exit cb_exit;
    fb_unused cb_destroy;
    void *instance;
    fb_list head;
} fb_input_plugin_3_0_0;

typedef struct fb_input_plugin_3_2_0 {
    int type;
    void *proxy;
    int flags;
    char *name;
    char *description;
    void *config_map;
    fb_input_init cb_init;
    fb_input_init cb_pre_run;
    fb_input_init cb_collect;
    fb_unused cb_notification;
    fb_unused cb_flush_buf;
    fb_unused cb_flush_end;
    fb_pause cb_pause;
    fb_pause cb_resume;
    fb_unused cb_ingest;
    fb_exit cb_exit;
    fb_unused cb_destroy;
    void *instance;
    fb_list head;
} fb_input_plugin_3_2_0;

typedef struct fb_input_plugin_3_2_3 {
    int type;
    void *proxy;
    int flags;
    char *name;
    char *description;
    void *config_map;
    fb_input_init cb_init;
    fb_input_init cb_pre_run;
    fb_input_init cb_collect;
    fb_unused cb_notification;
    fb_unused cb_flush_buf;
    fb_unused cb_flush_end;
    fb_pause cb_pause;
    fb_pause cb_resume;
    fb_unused cb_ingest;
    fb_exit cb_exit;
    fb_unused cb_destroy;
    void *unused_test_formatter[6];
    void *instance;
    fb_list head;
} fb_input_plugin_3_2_3;

typedef struct fb_input_plugin_5_1_0 {
    int type;
    void *proxy;
    int flags;
    char *name;
    char *description;
    void *config_map;
    fb_input_init cb_init;
    fb_input_init cb_pre_run;
    fb_input_init cb_collect;
    fb_unused cb_notification;
    fb_unused cb_flush_buf;
    fb_unused cb_flush_end;
    fb_pause cb_pause;
    fb_pause cb_resume;
    fb_unused cb_pause_checked;
    fb_unused cb_resume_checked;
    fb_unused cb_ingest;
    fb_unused cb_pre_exit;
    fb_exit cb_exit;
    fb_unused cb_destroy;
    void *unused_test_formatter[6];
    void *instance;
    fb_list head;
} fb_input_plugin_5_1_0;

/* A filter plugin. */
typedef struct fb_filter_plugin_3_0_0 {
    int event_type;
    int flags;
    char *name;
    char *description;
    void *config_map;
    fb_filter_init cb_pre_run;
    fb_filter_init cb_init;
    fb_filter cb_filter;
    fb_exit cb_exit;
    fb_list head;
} fb_filter_plugin_3_0_0;

typedef struct fb_filter_plugin_3_2_0 {
    int event_type;
    int flags;
    char *name;
    char *description;
    void *config_map;
    fb_filter_init cb_pre_run;
    fb_filter_init cb_init;
    fb_filter cb_filter;
    fb_exit cb_exit;
    fb_unused cb_notification;
    fb_list head;
} fb_filter_plugin_3_2_0;

/* An output plugin. */
typedef struct fb_output_plugin_3_0_0 {
    int event_type;
    int type;
    void *proxy;
    int flags;
    char *name;
    char *description;
    void *config_map;
    fb_net_host host;
    fb_output_init cb_init;
    fb_unused cb_pre_run;
    fb_flush cb_flush;
    fb_exit cb_exit;
    fb_unused cb_destroy;
    int workers;
    void *unused_test_formatter[6];
    fb_list head;
} fb_output_plugin_3_0_0;

typedef struct fb_output_plugin_3_2_0 {
    int event_type;
    int type;
    void *proxy;
    int flags;
    char *name;
    char *description;
    void *config_map;
    fb_net_host host;
    fb_output_init cb_init;
    fb_unused cb_pre_run;
    fb_flush cb_flush;
    fb_exit cb_exit;
    fb_unused cb_destroy;
    int workers;
    fb_unused cb_worker_init;
    fb_unused cb_worker_exit;
    fb_unused cb_notification;
    void *unused_test_formatter[6];
    fb_list head;
} fb_output_plugin_3_2_0;

typedef struct fb_output_plugin_3_2_2 {
    int event_type;
    int type;
    void *proxy;
    int flags;
    char *name;
    char *description;
    void *config_map;
    fb_net_host host;
    fb_output_init cb_init;
    fb_unused cb_pre_run;
    fb_flush cb_flush;
    fb_exit cb_exit;
    fb_unused cb_destroy;
    int workers;
    fb_unused cb_worker_init;
    fb_unused cb_worker_exit;
    fb_unused cb_notification;
    void *unused_test_formatter[6];
    void *unused_test_response[6];
    fb_list head;
} fb_output_plugin_3_2_2;

typedef struct fb_output_plugin_5_1_0 {
    int event_type;
    int type;
    void *proxy;
    int flags;
    char *name;
    char *description;
    void *config_map;
    fb_net_host host;
    fb_output_init cb_init;
    fb_unused cb_pre_run;
    fb_flush cb_flush;
    fb_exit cb_exit;
    fb_unused cb_destroy;
    int workers;
    fb_unused cb_worker_init;
    fb_unused cb_worker_exit;
    fb_unused cb_notification;
    void *unused_test_formatter[7];
    void *unused_test_response[6];
    fb_list head;
} fb_output_plugin_5_1_0;

/* An entry of an option table. */
typedef struct fb_config_map_3_0_0 {
    int type;
    char *name;
    char *def_value;
    int flags;
    int set_property;
    uintptr_t offset;
    char *desc;
    void *value[4];
    fb_list head;
} fb_config_map_3_0_0;

typedef struct fb_config_map_5_0_3 {
    int type;
    char *name;
    char *def_value;
    int flags;
    int set_property;
    uintptr_t offset;
    char *desc;
    void *value[5];
    fb_list head;
} fb_config_map_5_0_3;

#endif
