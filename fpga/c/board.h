/* What the example needs of a board: to be written for yours, usually a few lines each around its DMA engines and its
 * serial port. */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stdint.h>

enum board_stream { BOARD_STREAM_Q, BOARD_STREAM_K, BOARD_STREAM_V };

/* Address of the accelerator's first register. */
uintptr_t board_taylorvit_base(void);

/* Sends a text, with its ends of lines, to whoever reads. */
void board_print(const char *text);

/* Has a DMA engine send one packet, with TLAST on its last beat, after those before it; returns at once. The packet
 * stays as it is until it has been sent. */
void board_send(enum board_stream stream, const void *packet, uint32_t bytes);

/* Has a DMA engine put the next packet of Z there; returns at once. */
void board_receive(void *packet, uint32_t bytes);

/* Waits until all these packets are in memory and the processor sees them there; false if they do not come. */
bool board_wait_received(void);

#endif /* BOARD_H */
