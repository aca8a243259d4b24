/* Driver of a TaylorViT accelerator for a processor that reaches its registers over AXI4-Lite.
 *
 * C99, freestanding: no library, no allocation, no state but `struct taylorvit`. Compile it with the
 * taylorvit_registers.h that the generator wrote beside the Verilog. The driver does not move the tensors: DMA engines,
 * or whatever else is connected to the AXI4-Stream ports, do.
 *
 *     struct taylorvit accelerator;
 *     uint32_t events;
 *     taylorvit_open(&accelerator, BASE_ADDRESS);      which accelerator is this?
 *     taylorvit_configure(&accelerator, &job);         sizes, shifts, constants
 *     taylorvit_start(&accelerator);
 *     ... K, V, Q of each head into their streams, Z out of its stream ...
 *     taylorvit_wait(&accelerator, POLLS, &events);
 *
 * With interrupts, in place of `taylorvit_wait`: call `taylorvit_enable_interrupts` once, collect
 * `events |= taylorvit_take_events(&accelerator)` into a volatile variable in the handler, and call
 * `taylorvit_judge(events)`.
 *
 * Values are checked before they are written, and read back: an accelerator refuses a value with an error on the bus,
 * which most processors take for a fault or ignore.
 */
#ifndef TAYLORVIT_H
#define TAYLORVIT_H

#include <stdbool.h>
#include <stdint.h>

#include "taylorvit_port.h"
#include "taylorvit_registers.h"

#ifndef TAYLORVIT_TOKENS_OFFSET
#error "taylorvit.h must be compiled for an attention accelerator; taylorvit_network.h is for a network accelerator"
#endif
#if TAYLORVIT_CONSTANT_WIDTHS_KERNEL_VALUE > 1
#error "taylorvit.h must be compiled for an accelerator with Taylor or softmax attention: the registers of its jobs are here"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Result of a call. Every call that can fail returns one of these. */
enum taylorvit_status {
    TAYLORVIT_OK,
    TAYLORVIT_WRONG_ID,      /* there is no TaylorViT at this address */
    TAYLORVIT_OTHER_KERNEL,  /* there is one with another kind of attention than taylorvit_registers.h says */
    TAYLORVIT_OTHER_BUILD,   /* there is one, but not the one that taylorvit_registers.h describes */
    TAYLORVIT_BAD_TOKENS,    /* a parameter exceeds what was built; nothing was written */
    TAYLORVIT_BAD_HEAD_DIM,
    TAYLORVIT_BAD_HEADS,
    TAYLORVIT_BAD_SHIFT_G,
    TAYLORVIT_BAD_SHIFT_Z,
    TAYLORVIT_BAD_C_V,
    TAYLORVIT_BAD_C_D,
    TAYLORVIT_BAD_SHIFT_S,
    TAYLORVIT_BAD_EXPONENTIALS,
    TAYLORVIT_BAD_TIMEOUT,
    TAYLORVIT_NOT_TAKEN,     /* a register does not read as it was written */
    TAYLORVIT_BUSY,          /* a job runs */
    TAYLORVIT_NOT_DONE,      /* the job has not finished, or not within the polls allowed */
    TAYLORVIT_JOB_ERRORS     /* the job has finished with error events: some of its Z may be wrong */
};

/* What was built, by the registers. Sizes are maxima of a job, widths are in bits. */
struct taylorvit_build {
    uint32_t version_major, version_minor, version_patch; /* of the generator */
    uint32_t rows, columns;                               /* of the systolic array */
    uint32_t data_width, element_width;                   /* of an element, of its container on a stream */
    uint32_t stream_lanes;                                /* elements a beat */
    uint32_t max_tokens, max_head_dim, max_heads;
    int32_t shift_z_min, shift_z_max;
#if TAYLORVIT_CONSTANT_WIDTHS_KERNEL_VALUE == 0 /* Taylor attention */
    uint32_t c_v_width, c_d_width;
    int32_t shift_g_max;
#else /* softmax attention */
    uint32_t exponential_width, exponential_entries;
    int32_t shift_s_max;
#endif
    uint32_t counter_width, error_count_width;            /* of TIMEOUT and the counters, of error counts */
};

/* One accelerator. `taylorvit_open` fills it in, and nothing changes it afterwards: a program may have several. */
struct taylorvit {
    uintptr_t base;
    struct taylorvit_build build;
};

/* A job. All of its heads have the same sizes and constants; the constants come with the quantized tensors. */
struct taylorvit_job {
    uint32_t heads, tokens, head_dim;
#if TAYLORVIT_CONSTANT_WIDTHS_KERNEL_VALUE == 0
    int32_t shift_g, shift_z;
    uint32_t c_v[TAYLORVIT_C_V_WORDS]; /* lowest word first */
    uint32_t c_d[TAYLORVIT_C_D_WORDS];
#else
    int32_t shift_s, shift_z;
    const uint16_t *exponentials; /* `exponential_entries` of them */
    uint32_t exponentials_count;
#endif
};

/* Performance counters of the running or last job; all but the last are clock cycles. */
struct taylorvit_counters {
    uint32_t cycles;       /* of the job */
    uint32_t array_busy;   /* of these, cycles in which the array got an operand */
    uint32_t stall_input;  /* of these, cycles in which the array waited for an input stream */
    uint32_t stall_output; /* of these, cycles in which the array waited for the output stream */
    uint32_t heads_done;
};

/* Reads what was built at `base` into `device`. After TAYLORVIT_WRONG_ID or TAYLORVIT_OTHER_KERNEL, `device` must not
 * be used. After TAYLORVIT_OTHER_BUILD it is filled in and can be used, if the caller's buffers fit its limits; the
 * driver keeps to them. */
enum taylorvit_status taylorvit_open(struct taylorvit *device, uintptr_t base);

/* Bytes of one head's packet on each of the streams Q, K, V and Z. Each token begins a new beat; an element takes
 * `element_width` bits. */
uint32_t taylorvit_head_bytes(const struct taylorvit *device, uint32_t tokens, uint32_t head_dim);

/* Checks and writes the parameters of the next job. A running job keeps its own; but an accelerator with softmax
 * attention has one table of exponentials, so that it must not run a job: else TAYLORVIT_BUSY, and nothing was done. */
enum taylorvit_status taylorvit_configure(const struct taylorvit *device, const struct taylorvit_job *job);

/* Sets how many cycles a running job waits for an input beat before it gives up the rest of the head: at least 1, at
 * most what `counter_width` bits hold. */
enum taylorvit_status taylorvit_set_timeout(const struct taylorvit *device, uint32_t cycles);

/* Clears all events, then starts a job with the parameters as they are. TAYLORVIT_BUSY: nothing was done. */
enum taylorvit_status taylorvit_start(const struct taylorvit *device);

bool taylorvit_is_busy(const struct taylorvit *device);

/* Reads EVENTS until the job has finished, at most `polls` times, and judges the job. `*events` gets all events that
 * were read; they are cleared in the accelerator. */
enum taylorvit_status taylorvit_wait(const struct taylorvit *device, uint32_t polls, uint32_t *events);

/* The events since they were last taken (TAYLORVIT_EVENTS_..._MASK), each only once. Ends an interrupt. */
uint32_t taylorvit_take_events(const struct taylorvit *device);

/* TAYLORVIT_OK, TAYLORVIT_NOT_DONE or TAYLORVIT_JOB_ERRORS, by all events since the start of the job. */
enum taylorvit_status taylorvit_judge(uint32_t events);

/* Selects the events that raise the interrupt, until they are taken; 0 for none. */
void taylorvit_enable_interrupts(const struct taylorvit *device, uint32_t events);

struct taylorvit_counters taylorvit_read_counters(const struct taylorvit *device);

/* How often the error `event`, a single bit, has occurred since the counts were cleared; 0 for any other event. */
uint32_t taylorvit_error_count(const struct taylorvit *device, uint32_t event);

void taylorvit_clear_error_counts(const struct taylorvit *device);

/* Stops the job and empties the datapath. Registers, events and counts keep their values. Stop the DMA engines first,
 * and start again with whole heads. TAYLORVIT_BUSY: the job still runs, which must not happen. */
enum taylorvit_status taylorvit_soft_reset(const struct taylorvit *device);

/* A status in words; the name of an event, a single bit, as in the register map. "?" for any other value. */
const char *taylorvit_status_text(enum taylorvit_status status);
const char *taylorvit_event_name(uint32_t event);

#ifdef __cplusplus
}
#endif

#endif /* TAYLORVIT_H */
