/* What the examples need of a board. Write these functions for yours: a few lines each, usually, around its DMA engines
 * and its serial port. */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stdint.h>

enum board_stream { BOARD_STREAM_Q, BOARD_STREAM_K, BOARD_STREAM_V, BOARD_STREAM_IMAGE };

/* Address of the accelerator's first register. */
uintptr_t board_taylorvit_base(void);

/* Prints a text, which has its own line ends, on a serial port for example. */
void board_print(const char *text);

/* Makes a DMA engine send one packet, with TLAST on its last beat, after those before it; returns at once. The packet
 * does not change until it has been sent. */
void board_send(enum board_stream stream, const void *packet, uint32_t bytes);

/* Makes a DMA engine write the next packet of Z or of logits there; returns at once. */
void board_receive(void *packet, uint32_t bytes);

/* Waits until all packets of results are in memory and visible to the processor; false if they do not come. */
bool board_wait_received(void);

#endif /* BOARD_H */
