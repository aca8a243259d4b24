/* Driver of a TaylorViT network accelerator for a processor that reaches its registers over AXI4-Lite.
 *
 * C99, freestanding: no library, no allocation, no state but `struct taylorvit_network`. Compile it with the
 * taylorvit_registers.h that the generator wrote beside the Verilog. The driver does not move images and logits: DMA
 * engines, or whatever else is connected to the AXI4-Stream ports, do.
 *
 *     struct taylorvit_network accelerator;
 *     uint32_t events;
 *     taylorvit_network_open(&accelerator, BASE_ADDRESS);             which accelerator is this?
 *     taylorvit_network_load(&accelerator, tape, TAPE_BYTES, POLLS);  unless the tape is there already
 *     taylorvit_network_configure(&accelerator, &job);                images, their sizes, the tape
 *     taylorvit_network_start(&accelerator);
 *     ... images into their stream, logits out of theirs, a packet each ...
 *     taylorvit_network_wait(&accelerator, POLLS, &events);
 *
 * The tape is that of a compiled model (`taylorvit compile`). An accelerator with memory on the chip gets it by
 * `taylorvit_network_load`; of one that reads it from the memory of the system, put it there, and see by
 * `taylorvit_network_check` whether the accelerator reads it as it is.
 *
 * With interrupts, in place of `taylorvit_network_wait`: call `taylorvit_network_enable_interrupts` once, collect
 * `events |= taylorvit_network_take_events(&accelerator)` into a volatile variable in the handler, and call
 * `taylorvit_network_judge(events)`.
 */
#ifndef TAYLORVIT_NETWORK_H
#define TAYLORVIT_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "taylorvit_port.h"
#include "taylorvit_registers.h"

#ifndef TAYLORVIT_TAPE_LENGTH_OFFSET
#error "taylorvit_network.h must be compiled for a network accelerator; taylorvit.h is for an attention accelerator"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Result of a call. Every call that can fail returns one of these. */
enum taylorvit_network_status {
    TAYLORVIT_NETWORK_OK,
    TAYLORVIT_NETWORK_WRONG_ID,          /* there is no TaylorViT network accelerator at this address */
    TAYLORVIT_NETWORK_OTHER_BUILD,       /* there is one, but not the one that taylorvit_registers.h describes */
    TAYLORVIT_NETWORK_BAD_IMAGES,        /* a parameter exceeds what was built; nothing was written */
    TAYLORVIT_NETWORK_BAD_PATCHES,
    TAYLORVIT_NETWORK_BAD_PATCH_PIXELS,
    TAYLORVIT_NETWORK_BAD_CLASSES,
    TAYLORVIT_NETWORK_BAD_RASTER,
    TAYLORVIT_NETWORK_BAD_TAPE,          /* no tape for this accelerator, or longer than its memory */
    TAYLORVIT_NETWORK_NO_MEMORY,         /* the accelerator has no memory for tapes that registers fill */
    TAYLORVIT_NETWORK_BAD_MEMORY,        /* the memory does not read as it was written */
    TAYLORVIT_NETWORK_BAD_TIMEOUT,
    TAYLORVIT_NETWORK_NOT_TAKEN,         /* a register does not read as it was written */
    TAYLORVIT_NETWORK_BUSY,              /* a job runs */
    TAYLORVIT_NETWORK_NOT_DONE,          /* the job has not finished, or not within the polls allowed */
    TAYLORVIT_NETWORK_JOB_ERRORS         /* the job has ended by an error event, or some logits may be wrong */
};

/* What was built, by the registers. Sizes are maxima of a job, widths are in bits. */
struct taylorvit_network_build {
    uint32_t version_major, version_minor, version_patch; /* of the generator */
    uint32_t rows, columns;                               /* of the systolic array */
    uint32_t image_lanes;                                 /* pixels a beat */
    uint32_t tape_bytes;                                  /* bytes of a word of the tape */
    uint32_t tape_memory_bytes;                           /* memory on the chip for tapes; 0 if there is none */
    uint32_t tape_hash[2];                                /* what a tape must name, lowest word first */
    uint32_t tape_version;                                /* of the format of tapes */
    uint32_t max_tokens, max_patch, max_classes;
    uint32_t counter_width;                               /* of TIMEOUT and the counters */
};

/* One accelerator. `taylorvit_network_open` fills it in, and nothing changes it afterwards: a program may have several. */
struct taylorvit_network {
    uintptr_t base;
    struct taylorvit_network_build build;
};

/* A job. Images come patch by patch if `patch_size` is 0, else row by row. */
struct taylorvit_network_job {
    uint32_t images;
    uint32_t patches;       /* of an image */
    uint32_t patch_pixels;  /* of a patch, colours counted */
    uint32_t classes;
    uint32_t patch_size;    /* pixels of a side of a patch, a multiple of `image_lanes`; or 0 */
    uint32_t patches_a_row; /* patches beside each other, if `patch_size` is not 0 */
    uint32_t tape_address;  /* of the tape's first byte; 0 after `taylorvit_network_load` */
    uint32_t tape_length;   /* bytes */
};

/* Performance counters of the running or last job; all but the last are clock cycles. An accelerator may lack some of
 * them: these are 0. */
struct taylorvit_network_counters {
    uint32_t cycles;       /* of the job */
    uint32_t array_busy;   /* of these, cycles in which the array got an operand */
    uint32_t stall_tape;   /* of these, cycles in which the array waited for the tape, */
    uint32_t stall_image;  /* for an image, */
    uint32_t stall_output; /* for room for logits, */
    uint32_t stall_data;   /* for earlier products or a LayerNorm */
    uint32_t image_cycles; /* from the logits of the last image but one to those of the last one */
    uint32_t images_done;
};

/* Reads what was built at `base` into `device`. After TAYLORVIT_NETWORK_WRONG_ID, `device` must not be used. After
 * TAYLORVIT_NETWORK_OTHER_BUILD it is filled in, and the driver keeps to its limits; it can be used if it has the
 * registers that the header has: counters, counts of errors, those of the tape. */
enum taylorvit_network_status taylorvit_network_open(struct taylorvit_network *device, uintptr_t base);

/* Bytes of the packet of an image. */
uint32_t taylorvit_network_image_bytes(const struct taylorvit_network *device, const struct taylorvit_network_job *job);

/* Has a tape in the memory on the chip: writes it unless it is there, and checks it. Each check is polled `polls` times
 * at most. No job must run. */
enum taylorvit_network_status taylorvit_network_load(const struct taylorvit_network *device, const void *tape,
                                                     uint32_t bytes, uint32_t polls);

/* Has the accelerator compute the CRC-32 of `length` bytes from `address` on, wherever it reads its tape; both are whole
 * words of the tape. `taylorvit_network_crc` is what it must be. Address and length take the place of those of the next
 * job: call `taylorvit_network_configure` afterwards, as after `taylorvit_network_load`. */
enum taylorvit_network_status taylorvit_network_check(const struct taylorvit_network *device, uint32_t address,
                                                      uint32_t length, uint32_t polls, uint32_t *sum);

/* CRC-32 of bytes, as zlib computes it. */
uint32_t taylorvit_network_crc(const void *data, uint32_t bytes);

/* Checks and writes the parameters of the next job. A running job keeps its own. */
enum taylorvit_network_status taylorvit_network_configure(const struct taylorvit_network *device,
                                                          const struct taylorvit_network_job *job);

/* Sets how many cycles a running job waits for the tape or an image before it is ended: at least 1, at most what
 * `counter_width` bits hold. */
enum taylorvit_network_status taylorvit_network_set_timeout(const struct taylorvit_network *device, uint32_t cycles);

/* Clears all events, then starts a job with the parameters as they are. TAYLORVIT_NETWORK_BUSY: nothing was done. */
enum taylorvit_network_status taylorvit_network_start(const struct taylorvit_network *device);

bool taylorvit_network_is_busy(const struct taylorvit_network *device);

/* Reads EVENTS until the job has ended, at most `polls` times, and judges the job. `*events` gets all events that were
 * read; they are cleared in the accelerator. */
enum taylorvit_network_status taylorvit_network_wait(const struct taylorvit_network *device, uint32_t polls,
                                                     uint32_t *events);

/* The events since they were last taken (TAYLORVIT_EVENTS_..._MASK), each only once. Ends an interrupt. */
uint32_t taylorvit_network_take_events(const struct taylorvit_network *device);

/* TAYLORVIT_NETWORK_OK, .._NOT_DONE or .._JOB_ERRORS, by all events since the start of the job. DENOMINATOR is no error:
 * the integer model saturates the same rows of attention. */
enum taylorvit_network_status taylorvit_network_judge(uint32_t events);

/* Selects the events that raise the interrupt, until they are taken; 0 for none. */
void taylorvit_network_enable_interrupts(const struct taylorvit_network *device, uint32_t events);

struct taylorvit_network_counters taylorvit_network_read_counters(const struct taylorvit_network *device);

/* How often the error `event`, a single bit, has occurred since the counts were cleared; 0 for any other event, and for
 * an accelerator that does not count errors. */
uint32_t taylorvit_network_error_count(const struct taylorvit_network *device, uint32_t event);

void taylorvit_network_clear_error_counts(const struct taylorvit_network *device);

/* Stops the job and empties the datapath. Registers, events, counts and the tape keep their values. Stop the DMA engines
 * first, and start again with whole images. TAYLORVIT_NETWORK_BUSY: the job still runs, which must not happen. */
enum taylorvit_network_status taylorvit_network_soft_reset(const struct taylorvit_network *device);

/* A status in words; the name of an event, a single bit, as in the register map. "?" for any other value. */
const char *taylorvit_network_status_text(enum taylorvit_network_status status);
const char *taylorvit_network_event_name(uint32_t event);

#ifdef __cplusplus
}
#endif

#endif /* TAYLORVIT_NETWORK_H */
