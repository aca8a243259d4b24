/* One job on bare metal: identify the accelerator, configure it, stream the heads through it, compare the results.
 *
 * example_job.h has the job and the Z expected: `taylorvit c-job` makes it from your tensors. board.h declares what a
 * board has to provide; taylorvit_mmio.c connects the driver to the bus.
 */
#include "board.h"
#include "example_job.h"
#include "example_print.h"
#include "taylorvit.h"

/* How often to read whether the job has finished. Each read takes a few bus cycles at least, and a job takes fewer
 * cycles than this in any configuration, if its data come. */
#define POLLS 100000000u

static struct taylorvit accelerator;
static uint8_t z[EXAMPLE_HEADS][EXAMPLE_HEAD_BYTES];

static void print_build(const struct taylorvit_build *build)
{
    print_labelled("TaylorViT ", build->version_major, ".");
    print_labelled("", build->version_minor, ".");
    print_labelled("", build->version_patch, ", ");
    print_labelled("array of ", build->rows, " x ");
    print_labelled("", build->columns, ", up to ");
    print_labelled("", build->max_tokens, " tokens x ");
    print_labelled("", build->max_head_dim, " features\n");
}

static void print_counters(const struct taylorvit_counters *counters)
{
    print_labelled("", counters->heads_done, " heads in ");
    print_labelled("", counters->cycles, " cycles, array busy in ");
    print_labelled("", counters->array_busy, ", waiting for input in ");
    print_labelled("", counters->stall_input, ", for output in ");
    print_labelled("", counters->stall_output, "\n");
}

static void print_events(uint32_t events)
{
    for (uint32_t event = 1; event; event <<= 1)
        if (events & event) {
            board_print(taylorvit_event_name(event));
            print_labelled(" (counted ", taylorvit_error_count(&accelerator, event), " times)\n");
        }
}

/* Bytes of Z that differ from the golden model. Bytes of a token's last beat beyond its features are undefined. */
static uint32_t count_wrong(void)
{
    uint32_t wrong = 0;

    for (uint32_t head = 0; head < EXAMPLE_HEADS; head++)
        for (uint32_t byte = 0; byte < EXAMPLE_HEAD_BYTES; byte++)
            if (byte % EXAMPLE_TOKEN_BYTES < EXAMPLE_TOKEN_BYTES_USED)
                wrong += z[head][byte] != example_z[head][byte];
    return wrong;
}

int main(void)
{
    enum taylorvit_status status;
    struct taylorvit_counters counters;
    uint32_t events, wrong;

    status = taylorvit_open(&accelerator, board_taylorvit_base());
    if (status != TAYLORVIT_OK)
        return fail("open", taylorvit_status_text(status));
    print_build(&accelerator.build);

    status = taylorvit_configure(&accelerator, &example_job);
    if (status != TAYLORVIT_OK)
        return fail("configure", taylorvit_status_text(status));

    status = taylorvit_start(&accelerator);
    if (status != TAYLORVIT_OK)
        return fail("start", taylorvit_status_text(status));
    for (uint32_t head = 0; head < EXAMPLE_HEADS; head++) {
        board_receive(z[head], EXAMPLE_HEAD_BYTES);
        board_send(BOARD_STREAM_K, example_k[head], EXAMPLE_HEAD_BYTES);
        board_send(BOARD_STREAM_V, example_v[head], EXAMPLE_HEAD_BYTES);
        board_send(BOARD_STREAM_Q, example_q[head], EXAMPLE_HEAD_BYTES);
    }

    status = taylorvit_wait(&accelerator, POLLS, &events);
    if (status != TAYLORVIT_OK) {
        print_events(events);
        return fail("wait", taylorvit_status_text(status));
    }
    counters = taylorvit_read_counters(&accelerator);
    print_counters(&counters);

    if (!board_wait_received()) {
        board_print("the packets of Z did not come\n");
        return 1;
    }
    wrong = count_wrong();
    print_labelled("", EXAMPLE_HEADS * example_job.tokens * EXAMPLE_TOKEN_BYTES_USED, " bytes of Z, ");
    print_labelled("", wrong, " of them wrong\n");
    return wrong != 0;
}
