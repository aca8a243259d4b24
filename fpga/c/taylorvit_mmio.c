/* The usual port of the driver: the registers are in the processor's memory map.
 *
 * Map them as device memory, not cached and not reordered, if the processor has a choice.
 */
#include "taylorvit_port.h"

uint32_t taylorvit_read32(uintptr_t address)
{
    return *(const volatile uint32_t *)address;
}

void taylorvit_write32(uintptr_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}
