/*
 * What Rust cannot write itself: a variadic function, and stacks that can be switched.
 *
 * The names are those under which plugins look the functions up in their host.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

/* Valgrind is told of the stacks where its header is at hand; elsewhere that is nothing. */
#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void) (id))
#define VALGRIND_MAKE_MEM_DEFINED(start, size) 0
#endif

/* Rust: takes the finished line. */
extern void flb_host_log_line(int level, const char *text, size_t length);

void flb_log_print(int type, const char *file, int line, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    int length;

    (void) file;
    (void) line;
    va_start(args, fmt);
    length = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (length < 0) {
        return;
    }
    if ((size_t) length >= sizeof(text)) {
        length = (int) sizeof(text) - 1;
    }
    flb_host_log_line(type, text, (size_t) length);
}

struct coroutine {
    ucontext_t context;
    void (*entry)(void *);
    void *argument;
    void *stack;
    unsigned int valgrind;
};

static __thread struct coroutine thread_main;
static __thread struct coroutine *active;

/* Not inlined: the address of a thread's variable must not be kept across a switch. */
__attribute__((noinline)) void *co_active(void)
{
    if (active == NULL) {
        active = &thread_main;
    }
    return active;
}

__attribute__((noinline)) void co_switch(void *to)
{
    struct coroutine *from = co_active();

    active = to;
    swapcontext(&from->context, &((struct coroutine *) to)->context);
}

static void enter(void)
{
    struct coroutine *self = co_active();

    self->entry(self->argument);
    /* Whoever runs on a coroutine ends by switching away; Rust reports this and does not return. */
    abort();
}

/* A coroutine on a stack that the caller owns. */
void *flb_host_coroutine(void *stack, size_t size, void (*entry)(void *), void *argument)
{
    struct coroutine *self = calloc(1, sizeof(*self));

    if (self == NULL || getcontext(&self->context) != 0) {
        free(self);
        return NULL;
    }
    self->entry = entry;
    self->argument = argument;
    self->valgrind = VALGRIND_STACK_REGISTER(stack, (char *) stack + size);
    self->context.uc_stack.ss_sp = stack;
    self->context.uc_stack.ss_size = size;
    self->context.uc_link = NULL;
    makecontext(&self->context, enter, 0);
    return self;
}

static void run_plain(void *argument)
{
    void (*function)(void);

    memcpy(&function, &argument, sizeof(function));
    function();
}

void *co_create(unsigned int size, void (*function)(void), size_t *out_size)
{
    struct coroutine *self;
    void *argument;
    void *stack = malloc(size);

    if (stack == NULL) {
        return NULL;
    }
    memcpy(&argument, &function, sizeof(argument));
    self = flb_host_coroutine(stack, size, run_plain, argument);
    if (self == NULL) {
        free(stack);
        return NULL;
    }
    self->stack = stack;
    *out_size = size;
    return self;
}

void co_delete(void *coroutine)
{
    struct coroutine *self = coroutine;

    VALGRIND_STACK_DEREGISTER(self->valgrind);
    free(self->stack);
    free(self);
}

/* What lies below a stack's pointer is dead to Valgrind; the host looks at its paint there. */
void flb_host_stack_readable(void *start, size_t size)
{
    (void) VALGRIND_MAKE_MEM_DEFINED(start, size);
}
