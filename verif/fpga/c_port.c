/* The C drivers' and the examples' port to a simulation: every call goes on to the bench, which sets these pointers. */
#include "board.h"
#include "taylorvit_port.h"

uint32_t (*bench_read32)(uint64_t address);
void (*bench_write32)(uint64_t address, uint32_t value);
void (*bench_print)(const char *text);
void (*bench_send)(uint32_t stream, const void *packet, uint32_t bytes);
void (*bench_receive)(void *packet, uint32_t bytes);
uint32_t (*bench_wait_received)(void);
uint32_t (*bench_wait_interrupt)(void);
uint32_t (*bench_bus_errors)(void);
uint64_t bench_base;

uint32_t taylorvit_read32(uintptr_t address) { return bench_read32(address); }
void taylorvit_write32(uintptr_t address, uint32_t value) { bench_write32(address, value); }
uintptr_t board_taylorvit_base(void) { return (uintptr_t)bench_base; }
void board_print(const char *text) { bench_print(text); }
void board_send(enum board_stream stream, const void *packet, uint32_t bytes) { bench_send(stream, packet, bytes); }
void board_receive(void *packet, uint32_t bytes) { bench_receive(packet, bytes); }
bool board_wait_received(void) { return bench_wait_received(); }
