/* What the drivers need of a processor: one access of 32 bits to a register each, in the order of the calls.
 *
 * The port defines both functions. taylorvit_mmio.c is the usual port, for a processor with the registers in its memory
 * map. */
#ifndef TAYLORVIT_PORT_H
#define TAYLORVIT_PORT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

uint32_t taylorvit_read32(uintptr_t address);
void taylorvit_write32(uintptr_t address, uint32_t value);

#ifdef __cplusplus
}
#endif

#endif /* TAYLORVIT_PORT_H */
