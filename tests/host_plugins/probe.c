/*
 * An input, a filter and an output that know nothing but the offsets of row.h, which the test
 * writes from the row's data. They prove the bundled host without the plugins of the library.
 */
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "row.h"

#define AT(type, base, offset) (*(type *) ((char *) (base) + (offset)))

extern void flb_log_print(int type, const char *file, int line, const char *fmt, ...);
extern void flb_input_set_context(void *ins, void *context);
extern void flb_filter_set_context(void *ins, void *context);
extern void flb_output_set_context(void *ins, void *context);
extern const char *flb_input_get_property(const char *key, void *ins);
extern const char *flb_filter_get_property(const char *key, void *ins);
extern const char *flb_output_get_property(const char *key, void *ins);
extern int flb_input_set_collector_time(void *ins, int (*cb)(void *, void *, void *), time_t sec,
                                        long nsec, void *config);
extern int flb_input_set_collector_event(void *ins, int (*cb)(void *, void *, void *), int fd,
                                         void *config);
extern int flb_input_log_append(void *ins, const char *tag, size_t len, const void *buf, size_t size);
extern int flb_engine_flush(void *config, void *plugin);
extern void flb_output_flush_prepare_destroy(void *flush);
extern void *flb_output_thread_instance_get(void);
extern void co_switch(void *to);
extern void *co_active(void);
extern void flb_coro_set(void *coro);
extern void *flb_sched_ctx_get(void);
extern int flb_sched_timer_cb_create(void *sched, int type, int ms, void (*cb)(void *, void *),
                                     void *data, void **out);
extern void *cmt_counter_create(void *cmt, char *ns, char *subsystem, char *name, char *help,
                                int count, char **labels);
extern int cmt_counter_add(void *counter, uint64_t time, double by, int count, char **labels);

char in_probe_plugin[512];
char filter_probe_plugin[512];
char out_probe_plugin[512];

static char in_options[8 * ROW_MAP_SIZE];
static char filter_options[8 * ROW_MAP_SIZE];
static char out_options[8 * ROW_MAP_SIZE];

static void option(char *table, int index, int type, const char *name, const char *value, int flags)
{
    char *entry = table + index * ROW_MAP_SIZE;

    AT(int, entry, ROW_MAP_TYPE) = type;
    AT(const char *, entry, ROW_MAP_NAME) = name;
    AT(const char *, entry, ROW_MAP_DEFAULT) = value;
    AT(int, entry, ROW_MAP_FLAGS) = flags;
    AT(const char *, entry, ROW_MAP_DESC) = "an option of the probe";
}

/* ---- input ---- */

struct input {
    void *ins;
    void *config;
    int left;
    int bell;
    int pauses;
    int refused;
};

/* [[5, {}], {"n": 1}] */
static const unsigned char RECORD[] = {0x92, 0x92, 0x05, 0x80, 0x81, 0xa1, 'n', 0x01};

static int append(struct input *self)
{
    int rc = flb_input_log_append(self->ins, NULL, 0, RECORD, sizeof(RECORD));

    if (rc != 0) {
        self->refused++;
    }
    return rc;
}

static int on_time(void *ins, void *config, void *context)
{
    struct input *self = context;

    (void) ins;
    (void) config;
    if (self->left > 0 && append(self) == 0) {
        self->left--;
    }
    return 0;
}

static int on_bell(void *ins, void *config, void *context)
{
    struct input *self = context;
    uint64_t value;

    (void) ins;
    (void) config;
    if (read(self->bell, &value, sizeof(value)) == sizeof(value) && append(self) != 0) {
        if (write(self->bell, &value, sizeof(value)) != sizeof(value)) {
            return -1;
        }
    }
    return 0;
}

static int in_init(void *ins, void *config, void *data)
{
    struct input *self = calloc(1, sizeof(*self));
    const char *count = flb_input_get_property("count", ins);
    uint64_t one = 1;

    (void) data;
    if (strncmp(&AT(char, ins, ROW_IN_NAME), "probe.", 6) != 0 ||
        AT(void *, ins, ROW_IN_CONFIG) != config ||
        strcmp(AT(char *, AT(char *, ins, ROW_IN_P), ROW_IN_PLUGIN_NAME), "probe") != 0) {
        flb_log_print(1, __FILE__, __LINE__, "[probe] the instance is not where the row says");
        return -1;
    }
    self->ins = ins;
    self->config = config;
    self->left = count != NULL ? atoi(count) : 3;
    self->bell = eventfd(0, EFD_NONBLOCK);
    flb_input_set_context(ins, self);
    flb_input_set_collector_time(ins, on_time, 0, 10000000, config);
    flb_input_set_collector_event(ins, on_bell, self->bell, config);
    return write(self->bell, &one, sizeof(one)) == sizeof(one) ? 0 : -1;
}

static void in_pause(void *context, void *config)
{
    struct input *self = context;

    self->pauses++;
    if (AT(int, config, ROW_CONFIG_STOPPING) && self->pauses < 1000) {
        self->pauses = 1000;
        append(self);
        flb_engine_flush(config, NULL);
    }
}

static void in_resume(void *context, void *config)
{
    (void) config;
    flb_log_print(3, __FILE__, __LINE__, "[probe] resumed after %d pauses",
                  ((struct input *) context)->pauses);
}

static int in_exit(void *context, void *config)
{
    struct input *self = context;

    (void) config;
    flb_log_print(3, __FILE__, __LINE__, "[probe] input ends: %d left, %d refused", self->left,
                  self->refused);
    close(self->bell);
    free(self);
    return 0;
}

/* ---- filter: every record twice ---- */

static int filter_init(void *ins, void *config, void *data)
{
    (void) config;
    (void) data;
    flb_filter_set_context(ins, ins);
    return flb_filter_get_property("refuse", ins) != NULL ? -1 : 0;
}

static __attribute__((noinline)) void use_much(int len)
{
    char much[17000];

    memset(much, len, sizeof(much));
    __asm__ volatile("" : : "r"(much) : "memory");
}

static int filter(const void *data, size_t size, const char *tag, int len, void **out,
                  size_t *out_size, void *ins, void *input, void *context, void *config)
{
    const char *greedy = flb_filter_get_property("greedy", ins);

    (void) input;
    (void) context;
    (void) config;
    if (greedy != NULL) {
        use_much(len);
    }
    if (strlen(tag) != (size_t) len) {
        return 0;
    }
    *out = malloc(2 * size);
    memcpy(*out, data, size);
    memcpy((char *) *out + size, data, size);
    *out_size = 2 * size;
    return 1;
}

static int filter_exit(void *context, void *config)
{
    (void) context;
    (void) config;
    flb_log_print(3, __FILE__, __LINE__, "[probe] filter ends");
    return 0;
}

/* ---- output ---- */

struct output {
    void *ins;
    void *sent;
    const char *path;
    int first; /* what becomes of every other flush */
    int wait;
    int flushes;
};

static int out_init(void *ins, void *config, void *data)
{
    struct output *self = calloc(1, sizeof(*self));
    const char *first = flb_output_get_property("first", ins);
    char *label = "name";

    (void) config;
    (void) data;
    self->ins = ins;
    self->path = flb_output_get_property("path", ins);
    self->wait = flb_output_get_property("wait", ins) != NULL;
    self->first = first == NULL ? 1 : strcmp(first, "retry") == 0 ? 2 : 0;
    self->sent = cmt_counter_create(AT(void *, ins, ROW_OUT_CMT), "probe", "output", "sent_total",
                                    "Chunks sent.", 1, &label);
    flb_output_set_context(ins, self);
    return 0;
}

/* The steps of FLB_OUTPUT_RETURN. */
static void flush_return(void *flush, int outcome)
{
    char *task = AT(char *, flush, ROW_FLUSH_TASK);
    char *ins = AT(char *, flush, ROW_FLUSH_O_INS);
    char *coro = AT(char *, flush, ROW_FLUSH_CORO);
    char *chunk = AT(char *, task, ROW_TASK_CHUNK);
    char *thread = flb_output_thread_instance_get();
    char *head = task + ROW_TASK_ROUTES;
    char *node;
    uint64_t value;
    int fd;

    pthread_mutex_lock((pthread_mutex_t *) (task + ROW_TASK_LOCK));
    for (node = AT(char *, head, 8); node != head; node = AT(char *, node, 8)) {
        char *route = node - ROW_ROUTE_HEAD;

        if (AT(char *, route, ROW_ROUTE_OUT) == ins) {
#ifdef ROW_ROUTE_RECORDS
            AT(int, route, ROW_ROUTE_RECORDS) = (int) AT(size_t, chunk, ROW_CHUNK_TOTAL);
            AT(size_t, route, ROW_ROUTE_BYTES) = AT(size_t, chunk, ROW_CHUNK_LENGTH);
#endif
            AT(int, route, ROW_ROUTE_STATUS) = 0;
        }
    }
    pthread_mutex_unlock((pthread_mutex_t *) (task + ROW_TASK_LOCK));
    (void) chunk;
    value = (uint64_t) 2 << 32 | (uint32_t) outcome << 28 |
            (uint32_t) AT(int, task, ROW_TASK_ID) << 14 | (uint32_t) AT(int, ins, ROW_OUT_ID);
    fd = thread != NULL ? AT(int, thread, ROW_THREAD_EVENTS + 4) : AT(int, ins, ROW_OUT_EVENTS + 4);
    if (write(fd, &value, sizeof(value)) != sizeof(value)) {
        abort();
    }
    flb_output_flush_prepare_destroy(flush);
    co_switch(AT(void *, coro, ROW_CORO_CALLER));
}

static void go_on(void *config, void *data)
{
    char *coro = data;

    (void) config;
    flb_coro_set(coro);
    AT(void *, coro, ROW_CORO_CALLER) = co_active();
    co_switch(AT(void *, coro, ROW_CORO_CALLEE));
}

static void out_flush(void *chunk, void *flush, void *input, void *context, void *config)
{
    struct output *self = context;
    char *coro = AT(char *, flush, ROW_FLUSH_CORO);
    char *label = "x";
    int outcome = self->flushes++ % 2 == 0 ? self->first : 1;

    (void) input;
    (void) config;
    if (self->wait) {
        flb_sched_timer_cb_create(flb_sched_ctx_get(), 3, 20, go_on, coro, NULL);
        co_switch(AT(void *, coro, ROW_CORO_CALLER));
    }
    if (outcome == 1) {
        FILE *file = fopen(self->path, "a");

        if (file == NULL) {
            outcome = 0;
        }
        else {
            fwrite(AT(void *, chunk, ROW_CHUNK_DATA), 1, AT(size_t, chunk, ROW_CHUNK_LENGTH), file);
            fclose(file);
            cmt_counter_add(self->sent, 0, 1.0, 1, &label);
        }
    }
    flush_return(flush, outcome);
}

static int out_exit(void *context, void *config)
{
    (void) config;
    flb_log_print(3, __FILE__, __LINE__, "[probe] output ends");
    free(context);
    return 0;
}

__attribute__((constructor)) static void describe(void)
{
    option(in_options, 0, 2, "count", "3", 0);
    option(in_options, 1, 0, "rule", NULL, 1);
    option(filter_options, 0, 3, "refuse", NULL, 0);
    option(filter_options, 1, 3, "greedy", NULL, 0);
    option(out_options, 0, 0, "path", NULL, 0);
    option(out_options, 1, 0, "first", NULL, 0);
    option(out_options, 2, 3, "wait", NULL, 0);
    option(out_options, 3, 1, "end.", NULL, 0);

    AT(const char *, in_probe_plugin, ROW_IN_PLUGIN_NAME) = "probe";
    AT(const char *, in_probe_plugin, ROW_IN_PLUGIN_DESC) = "makes records";
    AT(void *, in_probe_plugin, ROW_IN_PLUGIN_MAP) = in_options;
    AT(void *, in_probe_plugin, ROW_IN_PLUGIN_INIT) = in_init;
    AT(void *, in_probe_plugin, ROW_IN_PLUGIN_PAUSE) = in_pause;
    AT(void *, in_probe_plugin, ROW_IN_PLUGIN_RESUME) = in_resume;
    AT(void *, in_probe_plugin, ROW_IN_PLUGIN_EXIT) = in_exit;

    AT(const char *, filter_probe_plugin, ROW_FILTER_PLUGIN_NAME) = "probe";
    AT(const char *, filter_probe_plugin, ROW_FILTER_PLUGIN_DESC) = "doubles records";
    AT(void *, filter_probe_plugin, ROW_FILTER_PLUGIN_MAP) = filter_options;
    AT(void *, filter_probe_plugin, ROW_FILTER_PLUGIN_INIT) = filter_init;
    AT(void *, filter_probe_plugin, ROW_FILTER_PLUGIN_FILTER) = filter;
    AT(void *, filter_probe_plugin, ROW_FILTER_PLUGIN_EXIT) = filter_exit;

    AT(const char *, out_probe_plugin, ROW_OUT_PLUGIN_NAME) = "probe";
    AT(const char *, out_probe_plugin, ROW_OUT_PLUGIN_DESC) = "writes chunks";
    AT(void *, out_probe_plugin, ROW_OUT_PLUGIN_MAP) = out_options;
    AT(void *, out_probe_plugin, ROW_OUT_PLUGIN_INIT) = out_init;
    AT(void *, out_probe_plugin, ROW_OUT_PLUGIN_FLUSH) = out_flush;
    AT(void *, out_probe_plugin, ROW_OUT_PLUGIN_EXIT) = out_exit;
}
