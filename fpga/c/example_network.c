/* Images on bare metal: identify the network accelerator, give it its tape, stream images through it, compare logits.
 *
 * example_network_job.h has the tape, the images and the logits expected: `taylorvit c-job --model` makes it. board.h
 * declares what a board has to provide; taylorvit_mmio.c connects the driver to the bus.
 */
#include "board.h"
#include "example_network_job.h"
#include "example_print.h"
#include "taylorvit_network.h"

/* How often to read whether a job has finished. Each read takes a few bus cycles at least, and a job takes fewer cycles
 * than this in any configuration, if its data come. */
#define POLLS 100000000u

static struct taylorvit_network accelerator;
static int32_t logits[EXAMPLE_IMAGES][EXAMPLE_CLASSES];

static void print_counters(const struct taylorvit_network_counters *counters)
{
    print_labelled("", counters->images_done, " images in ");
    print_labelled("", counters->cycles, " cycles, array busy in ");
    print_labelled("", counters->array_busy, ", waiting for the tape in ");
    print_labelled("", counters->stall_tape, ", for images in ");
    print_labelled("", counters->stall_image, "\n");
}

static void print_events(uint32_t events)
{
    for (uint32_t event = 1; event; event <<= 1)
        if (events & event) {
            board_print(taylorvit_network_event_name(event));
            print_labelled(" (counted ", taylorvit_network_error_count(&accelerator, event), " times)\n");
        }
}

static uint32_t class_of(const int32_t *of_image)
{
    uint32_t best = 0;

    for (uint32_t index = 1; index < EXAMPLE_CLASSES; index++)
        if (of_image[index] > of_image[best])
            best = index;
    return best;
}

int main(void)
{
    enum taylorvit_network_status status;
    struct taylorvit_network_counters counters;
    uint32_t events, wrong = 0;

    status = taylorvit_network_open(&accelerator, board_taylorvit_base());
    if (status != TAYLORVIT_NETWORK_OK)
        return fail("open", taylorvit_network_status_text(status));
    print_labelled("TaylorViT network, array of ", accelerator.build.rows, " x ");
    print_labelled("", accelerator.build.columns, ", up to ");
    print_labelled("", accelerator.build.max_tokens, " tokens\n");

    status = taylorvit_network_load(&accelerator, example_tape, sizeof example_tape, POLLS);
    if (status != TAYLORVIT_NETWORK_OK)
        return fail("load", taylorvit_network_status_text(status));
    status = taylorvit_network_configure(&accelerator, &example_job);
    if (status != TAYLORVIT_NETWORK_OK)
        return fail("configure", taylorvit_network_status_text(status));

    status = taylorvit_network_start(&accelerator);
    if (status != TAYLORVIT_NETWORK_OK)
        return fail("start", taylorvit_network_status_text(status));
    for (uint32_t image = 0; image < EXAMPLE_IMAGES; image++) {
        board_receive(logits[image], sizeof logits[image]);
        board_send(BOARD_STREAM_IMAGE, example_images[image], EXAMPLE_IMAGE_BYTES);
    }

    status = taylorvit_network_wait(&accelerator, POLLS, &events);
    if (status != TAYLORVIT_NETWORK_OK) {
        print_events(events);
        return fail("wait", taylorvit_network_status_text(status));
    }
    counters = taylorvit_network_read_counters(&accelerator);
    print_counters(&counters);

    if (!board_wait_received()) {
        board_print("the logits did not come\n");
        return 1;
    }
    for (uint32_t image = 0; image < EXAMPLE_IMAGES; image++) {
        print_labelled(image ? ", " : "classes ", class_of(logits[image]), "");
        for (uint32_t index = 0; index < EXAMPLE_CLASSES; index++)
            wrong += logits[image][index] != example_logits[image][index];
    }
    print_labelled("; ", EXAMPLE_IMAGES * EXAMPLE_CLASSES, " logits, ");
    print_labelled("", wrong, " of them wrong\n");
    return wrong != 0;
}
