/* Calls of the network accelerator's C driver that the example does not make, on a simulated accelerator.
 *
 * Each `CHECK` that fails is printed; `main` returns how many held, or 0 if one failed.
 */
#include "board.h"
#include "example_network_job.h"
#include "taylorvit_network.h"

#define POLLS 100000u

extern uint32_t (*bench_wait_interrupt)(void); /* whether the interrupt rose within a bound */
extern uint32_t (*bench_bus_errors)(void);     /* accesses that were answered with an error since the last call */

static struct taylorvit_network accelerator;
static uint8_t tape[sizeof example_tape];
static int32_t logits[EXAMPLE_IMAGES][EXAMPLE_CLASSES];
static int held, failed;

#define CHECK(condition) check(condition, #condition "\n")

static void check(bool condition, const char *text)
{
    held += condition;
    if (condition)
        return;
    failed++;
    board_print(text);
}

static enum taylorvit_network_status with(uint32_t images, uint32_t patches, uint32_t pixels, uint32_t classes)
{
    struct taylorvit_network_job job = example_job;

    job.images = images;
    job.patches = patches;
    job.patch_pixels = pixels;
    job.classes = classes;
    return taylorvit_network_configure(&accelerator, &job);
}

static enum taylorvit_network_status raster(uint32_t side, uint32_t across)
{
    struct taylorvit_network_job job = example_job;

    job.patch_size = side;
    job.patches_a_row = across;
    return taylorvit_network_configure(&accelerator, &job);
}

static enum taylorvit_network_status tape_at(uint32_t address, uint32_t length)
{
    struct taylorvit_network_job job = example_job;

    job.tape_address = address;
    job.tape_length = length;
    return taylorvit_network_configure(&accelerator, &job);
}

static enum taylorvit_network_status load_changed(uint32_t place)
{
    for (uint32_t index = 0; index < sizeof tape; index++)
        tape[index] = example_tape[index];
    tape[place] ^= 1;
    return taylorvit_network_load(&accelerator, tape, sizeof tape, POLLS);
}

static bool logits_are_right(void)
{
    bool right = true;

    for (uint32_t image = 0; image < EXAMPLE_IMAGES; image++)
        for (uint32_t index = 0; index < EXAMPLE_CLASSES; index++)
            right &= logits[image][index] == example_logits[image][index];
    return right;
}

static void stream_images(void)
{
    for (uint32_t image = 0; image < EXAMPLE_IMAGES; image++) {
        board_receive(logits[image], sizeof logits[image]);
        board_send(BOARD_STREAM_IMAGE, example_images[image], EXAMPLE_IMAGE_BYTES);
    }
}

static void refusals(void)
{
    const struct taylorvit_network_build *build = &accelerator.build;
    const struct taylorvit_network_job *job = &example_job;
    uint32_t memory = build->tape_memory_bytes, length = job->tape_length;

    CHECK(with(0, job->patches, job->patch_pixels, job->classes) == TAYLORVIT_NETWORK_BAD_IMAGES);
    CHECK(with(65536, job->patches, job->patch_pixels, job->classes) == TAYLORVIT_NETWORK_BAD_IMAGES);
    CHECK(with(1, 0, job->patch_pixels, job->classes) == TAYLORVIT_NETWORK_BAD_PATCHES);
    CHECK(with(1, build->max_tokens, job->patch_pixels, job->classes) == TAYLORVIT_NETWORK_BAD_PATCHES);
    CHECK(with(1, job->patches, build->max_patch + 1, job->classes) == TAYLORVIT_NETWORK_BAD_PATCH_PIXELS);
    CHECK(with(1, job->patches, job->patch_pixels, build->max_classes + 1) == TAYLORVIT_NETWORK_BAD_CLASSES);
    CHECK(raster(build->image_lanes + 1, 1) == TAYLORVIT_NETWORK_BAD_RASTER);
    CHECK(raster(65536, 1) == TAYLORVIT_NETWORK_BAD_RASTER);
    CHECK(tape_at(0, 31) == TAYLORVIT_NETWORK_BAD_TAPE);
    CHECK(tape_at(0, memory + 4) == TAYLORVIT_NETWORK_BAD_TAPE);
    CHECK(tape_at(memory - length + 4, length) == TAYLORVIT_NETWORK_BAD_TAPE);
    CHECK(tape_at(0xfffffffc, length) == TAYLORVIT_NETWORK_BAD_TAPE);
    CHECK(tape_at(memory - length, length) == TAYLORVIT_NETWORK_OK);
    CHECK(taylorvit_network_load(&accelerator, example_tape, 31, POLLS) == TAYLORVIT_NETWORK_BAD_TAPE);
    CHECK(taylorvit_network_load(&accelerator, example_tape, length - 4, POLLS) == TAYLORVIT_NETWORK_BAD_TAPE);
    CHECK(load_changed(0) == TAYLORVIT_NETWORK_BAD_TAPE);  /* magic */
    CHECK(load_changed(4) == TAYLORVIT_NETWORK_BAD_TAPE);  /* version */
    CHECK(load_changed(15) == TAYLORVIT_NETWORK_BAD_TAPE); /* configuration */
    CHECK(load_changed(16) == TAYLORVIT_NETWORK_BAD_TAPE); /* length */
    CHECK(taylorvit_network_set_timeout(&accelerator, 0) == TAYLORVIT_NETWORK_BAD_TIMEOUT);
    CHECK(bench_bus_errors() == 0);
}

static void damaged_tape(void)
{
    uint32_t events, sum = 0;

    CHECK(load_changed(40) == TAYLORVIT_NETWORK_OK); /* which is what the accelerator finds out */
    CHECK(taylorvit_network_check(&accelerator, 0, sizeof tape, POLLS, &sum) == TAYLORVIT_NETWORK_OK);
    CHECK(sum == taylorvit_network_crc(tape, sizeof tape));
    CHECK(sum != taylorvit_network_crc(example_tape, sizeof tape));
    CHECK(taylorvit_network_configure(&accelerator, &example_job) == TAYLORVIT_NETWORK_OK);
    CHECK(taylorvit_network_start(&accelerator) == TAYLORVIT_NETWORK_OK);
    CHECK(taylorvit_network_wait(&accelerator, POLLS, &events) == TAYLORVIT_NETWORK_JOB_ERRORS);
    CHECK(events == TAYLORVIT_EVENTS_COMMAND_MASK);
    CHECK(!taylorvit_network_is_busy(&accelerator));
    CHECK(taylorvit_network_error_count(&accelerator, TAYLORVIT_EVENTS_COMMAND_MASK) == 1);
    CHECK(taylorvit_network_error_count(&accelerator, TAYLORVIT_EVENTS_DONE_MASK) == 0);
    taylorvit_network_clear_error_counts(&accelerator);
    CHECK(taylorvit_network_error_count(&accelerator, TAYLORVIT_EVENTS_COMMAND_MASK) == 0);
}

/* A whole tape: as every tape that ends with its own CRC, it has the same CRC as the example's. */
static void other_tape(void)
{
    uint32_t place = sizeof tape - 4, crc, sum = 0;

    for (uint32_t index = 0; index < place; index++)
        tape[index] = example_tape[index];
    tape[place - 1] ^= 1;
    crc = taylorvit_network_crc(tape, place);
    for (uint32_t byte = 0; byte < 4; byte++)
        tape[place + byte] = (uint8_t)(crc >> 8 * byte);
    CHECK(taylorvit_network_crc(tape, sizeof tape) == taylorvit_network_crc(example_tape, sizeof tape));
    CHECK(taylorvit_network_load(&accelerator, example_tape, sizeof example_tape, POLLS) == TAYLORVIT_NETWORK_OK);
    CHECK(taylorvit_network_load(&accelerator, tape, sizeof tape, POLLS) == TAYLORVIT_NETWORK_OK);
    CHECK(taylorvit_network_check(&accelerator, 0, place, POLLS, &sum) == TAYLORVIT_NETWORK_OK);
    CHECK(sum == crc);
}

static void jobs(void)
{
    uint32_t events, sum;

    other_tape();
    CHECK(taylorvit_network_load(&accelerator, example_tape, sizeof example_tape, POLLS) == TAYLORVIT_NETWORK_OK);
    CHECK(taylorvit_network_configure(&accelerator, &example_job) == TAYLORVIT_NETWORK_OK);
    CHECK(taylorvit_network_image_bytes(&accelerator, &example_job) == EXAMPLE_IMAGE_BYTES);
    /* One that gets no images is stopped, and then given up. */
    CHECK(taylorvit_network_start(&accelerator) == TAYLORVIT_NETWORK_OK);
    CHECK(taylorvit_network_is_busy(&accelerator));
    CHECK(taylorvit_network_start(&accelerator) == TAYLORVIT_NETWORK_BUSY);
    CHECK(taylorvit_network_check(&accelerator, 0, sizeof tape, 1, &sum) == TAYLORVIT_NETWORK_BUSY);
    CHECK(taylorvit_network_wait(&accelerator, 3, &events) == TAYLORVIT_NETWORK_NOT_DONE);
    CHECK(taylorvit_network_soft_reset(&accelerator) == TAYLORVIT_NETWORK_OK);
    CHECK(taylorvit_network_set_timeout(&accelerator, 500) == TAYLORVIT_NETWORK_OK);
    CHECK(taylorvit_network_start(&accelerator) == TAYLORVIT_NETWORK_OK);
    CHECK(taylorvit_network_wait(&accelerator, POLLS, &events) == TAYLORVIT_NETWORK_JOB_ERRORS);
    CHECK(events == TAYLORVIT_EVENTS_IMAGE_TIMEOUT_MASK);
    /* The next one is right, and interrupts. */
    CHECK(taylorvit_network_set_timeout(&accelerator, 50000) == TAYLORVIT_NETWORK_OK);
    taylorvit_network_enable_interrupts(&accelerator, TAYLORVIT_EVENTS_DONE_MASK);
    CHECK(taylorvit_network_start(&accelerator) == TAYLORVIT_NETWORK_OK);
    stream_images();
    CHECK(bench_wait_interrupt());
    events = taylorvit_network_take_events(&accelerator);
    CHECK(taylorvit_network_judge(events) == TAYLORVIT_NETWORK_OK);
    CHECK(taylorvit_network_take_events(&accelerator) == 0);
    CHECK(board_wait_received());
    CHECK(logits_are_right());
    CHECK(taylorvit_network_read_counters(&accelerator).images_done == EXAMPLE_IMAGES);
    CHECK(bench_bus_errors() == 0);
}

int main(void)
{
    CHECK(taylorvit_network_open(&accelerator, board_taylorvit_base()) == TAYLORVIT_NETWORK_OK);
    CHECK(accelerator.build.tape_memory_bytes == TAYLORVIT_TAPE_MEMORY_VALUE);
    refusals();
    damaged_tape();
    jobs();
    return failed ? 0 : held;
}
