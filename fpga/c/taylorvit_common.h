/* What both drivers do alike, with the registers that both accelerators have. Only the drivers include it; a program
 * includes taylorvit.h or taylorvit_network.h. */
#ifndef TAYLORVIT_COMMON_H
#define TAYLORVIT_COMMON_H

#include <stdbool.h>
#include <stdint.h>

#include "taylorvit_port.h"
#include "taylorvit_registers.h"

#define EVENT_BIT(NAME) | TAYLORVIT_EVENTS_##NAME##_MASK
#define ALL_EVENTS (0u TAYLORVIT_FOR_EACH_EVENT(EVENT_BIT))
#define ALL_ERRORS (0u TAYLORVIT_FOR_EACH_ERROR(EVENT_BIT))

/* Writes a register; whether it reads as it was written: an accelerator refuses a value with an error on the bus, which
 * most processors take for a fault or ignore. */
static inline bool write_checked_at(uintptr_t address, uint32_t value)
{
    taylorvit_write32(address, value);
    return taylorvit_read32(address) == value;
}

/* Whether a value is at least 1 and at most `limit`. */
static inline bool within(uint32_t value, uint32_t limit)
{
    return 1 <= value && value <= limit;
}

/* Whether an unsigned value, lowest word first, has no bit beyond `width`. */
static inline bool fits(const uint32_t *words, uint32_t count, uint32_t width)
{
    for (uint32_t index = 0; index < count; index++, width = width > 32 ? width - 32 : 0)
        if (width < 32 && words[index] >> width)
            return false;
    return true;
}

/* Whether the accelerator is the one that taylorvit_registers.h describes. */
static inline bool is_of_header(uintptr_t base)
{
#define COMPARE(NAME) \
    if (taylorvit_read32(base + TAYLORVIT_##NAME##_OFFSET) != TAYLORVIT_##NAME##_VALUE) \
        return false;
    TAYLORVIT_FOR_EACH_CONSTANT(COMPARE)
#undef COMPARE
    return true;
}

static inline bool is_timeout(uint32_t cycles, uint32_t counter_width)
{
    return cycles >= TAYLORVIT_TIMEOUT_MIN && fits(&cycles, 1, counter_width);
}

static inline bool is_busy_at(uintptr_t base)
{
    return taylorvit_read32(base + TAYLORVIT_STATUS_OFFSET) & TAYLORVIT_STATUS_BUSY_MASK;
}

/* Clears all events, then starts what a bit of CONTROL starts; false, and nothing was done, if a job runs. */
static inline bool start_at(uintptr_t base, uint32_t control)
{
    if (is_busy_at(base))
        return false;
    taylorvit_write32(base + TAYLORVIT_EVENTS_OFFSET, ALL_EVENTS);
    taylorvit_write32(base + TAYLORVIT_CONTROL_OFFSET, control);
    return true;
}

/* Clears only what was read: an event that came in between stays for the next call. */
static inline uint32_t take_events_at(uintptr_t base)
{
    uint32_t events = taylorvit_read32(base + TAYLORVIT_EVENTS_OFFSET);

    if (events)
        taylorvit_write32(base + TAYLORVIT_EVENTS_OFFSET, events);
    return events;
}

static inline void enable_interrupts_at(uintptr_t base, uint32_t events)
{
    taylorvit_write32(base + TAYLORVIT_INTERRUPT_ENABLE_OFFSET, events & ALL_EVENTS);
}

static inline uint32_t error_count_at(uintptr_t base, uint32_t event)
{
#define COUNT(NAME) \
    if (event == TAYLORVIT_EVENTS_##NAME##_MASK) \
        return taylorvit_read32(base + TAYLORVIT_COUNT_##NAME##_OFFSET);
    TAYLORVIT_FOR_EACH_ERROR(COUNT)
#undef COUNT
    (void)base; /* where nothing may be counted */
    (void)event;
    return 0;
}

static inline void clear_error_counts_at(uintptr_t base)
{
#define CLEAR(NAME) taylorvit_write32(base + TAYLORVIT_COUNT_##NAME##_OFFSET, 0);
    TAYLORVIT_FOR_EACH_ERROR(CLEAR)
#undef CLEAR
    (void)base;
}

/* Whether no job runs after it. */
static inline bool soft_reset_at(uintptr_t base)
{
    taylorvit_write32(base + TAYLORVIT_CONTROL_OFFSET, TAYLORVIT_CONTROL_SOFT_RESET_MASK);
    return !is_busy_at(base);
}

static inline const char *name_of_event(uint32_t event)
{
#define NAME_OF(NAME) \
    if (event == TAYLORVIT_EVENTS_##NAME##_MASK) \
        return #NAME;
    TAYLORVIT_FOR_EACH_EVENT(NAME_OF)
#undef NAME_OF
    return "?";
}

#endif /* TAYLORVIT_COMMON_H */
