/* How the examples print numbers and failures, on the serial port of a board for example. */
#ifndef EXAMPLE_PRINT_H
#define EXAMPLE_PRINT_H

#include <stdint.h>

#include "board.h"

static inline void print_number(uint32_t number)
{
    char digits[11]; /* 2^32 has ten */
    char *digit = digits + sizeof digits - 1;

    *digit = '\0';
    do
        *--digit = (char)('0' + number % 10);
    while (number /= 10);
    board_print(digit);
}

static inline void print_labelled(const char *before, uint32_t number, const char *after)
{
    board_print(before);
    print_number(number);
    board_print(after);
}

/* Prints what failed and why; the exit status of `main`. */
static inline int fail(const char *what, const char *why)
{
    board_print(what);
    board_print(": ");
    board_print(why);
    board_print("\n");
    return 1;
}

#endif /* EXAMPLE_PRINT_H */
