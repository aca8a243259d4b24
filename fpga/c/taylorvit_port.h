/* What the drivers need of a processor: one access of 32 bits to a register each, in the order of the calls.
 *
 * The port defines both functions. taylorvit_mmio.c is the usual port, for a processor with the registers in its memory
 * map. */
#ifndef TAYLORVIT_PORT_H
#define TAYLORVIT_PORT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

uint32_t taylorvit_read32(uintptr_t address);
void taylorvit_write32(uintptr_t address, uint32_t value);

/* Writes a register; whether it reads as it was written: an accelerator refuses a value with an error on the bus, which
 * most processors take for a fault or ignore. */
static inline bool taylorvit_write_checked(uintptr_t address, uint32_t value)
{
    taylorvit_write32(address, value);
    return taylorvit_read32(address) == value;
}

/* Whether a value is at least 1 and at most `limit`. */
static inline bool taylorvit_within(uint32_t value, uint32_t limit)
{
    return 1 <= value && value <= limit;
}

#ifdef __cplusplus
}
#endif

#endif /* TAYLORVIT_PORT_H */
