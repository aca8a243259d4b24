/* Driver of a TaylorViT network accelerator; taylorvit_network.h describes it. */
#include "taylorvit_network.h"
#include "taylorvit_common.h"

#define HARMLESS (TAYLORVIT_EVENTS_DONE_MASK | TAYLORVIT_EVENTS_DENOMINATOR_MASK)

/* Of the header of a tape. */
#define MAGIC 0x54695654u
#define HEADER_BYTES 32u

static uint32_t read_register(const struct taylorvit_network *device, uint32_t offset)
{
    return taylorvit_read32(device->base + offset);
}

static bool write_checked(const struct taylorvit_network *device, uint32_t offset, uint32_t value)
{
    return write_checked_at(device->base + offset, value);
}

enum taylorvit_network_status taylorvit_network_open(struct taylorvit_network *device, uintptr_t base)
{
    struct taylorvit_network_build *build = &device->build;
    uint32_t word;

    device->base = base;
    if (read_register(device, TAYLORVIT_ID_OFFSET) != TAYLORVIT_ID_VALUE)
        return TAYLORVIT_NETWORK_WRONG_ID;

    word = read_register(device, TAYLORVIT_VERSION_OFFSET);
    build->version_major = taylorvit_version_major(word);
    build->version_minor = taylorvit_version_minor(word);
    build->version_patch = taylorvit_version_patch(word);
    word = read_register(device, TAYLORVIT_ARRAY_SIZE_OFFSET);
    build->rows = taylorvit_array_size_rows(word);
    build->columns = taylorvit_array_size_columns(word);
    word = read_register(device, TAYLORVIT_STREAM_OFFSET);
    build->image_lanes = taylorvit_stream_image_lanes(word);
    build->tape_bytes = taylorvit_stream_tape_bytes(word);
    build->tape_memory_bytes = read_register(device, TAYLORVIT_TAPE_MEMORY_OFFSET);
    build->tape_hash[0] = read_register(device, TAYLORVIT_TAPE_HASH_0_OFFSET);
    build->tape_hash[1] = read_register(device, TAYLORVIT_TAPE_HASH_1_OFFSET);
    build->tape_version = taylorvit_tape_format(read_register(device, TAYLORVIT_TAPE_OFFSET));
    word = read_register(device, TAYLORVIT_MAX_SIZES_OFFSET);
    build->max_tokens = taylorvit_max_sizes_max_tokens(word);
    build->max_patch = taylorvit_max_sizes_max_patch(word);
    build->max_classes = read_register(device, TAYLORVIT_MAX_CLASSES_OFFSET);
    word = read_register(device, TAYLORVIT_COUNTER_WIDTHS_OFFSET);
    build->counter_width = taylorvit_counter_widths_counter_width(word);

    return is_of_header(base) ? TAYLORVIT_NETWORK_OK : TAYLORVIT_NETWORK_OTHER_BUILD;
}

uint32_t taylorvit_network_image_bytes(const struct taylorvit_network *device, const struct taylorvit_network_job *job)
{
    uint32_t lanes = device->build.image_lanes;

    if (job->patch_size)
        return job->patches * job->patch_pixels;
    return job->patches * ((job->patch_pixels + lanes - 1) / lanes) * lanes;
}

/* The tape */

uint32_t taylorvit_network_crc(const void *data, uint32_t bytes)
{
    const uint8_t *byte = data;
    uint32_t crc = 0xffffffffu;

    for (; bytes; bytes--) {
        crc ^= *byte++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

enum taylorvit_network_status taylorvit_network_check(const struct taylorvit_network *device, uint32_t address,
                                                      uint32_t length, uint32_t polls, uint32_t *sum)
{
    enum taylorvit_network_status status;
    uint32_t events;

    if (taylorvit_network_is_busy(device))
        return TAYLORVIT_NETWORK_BUSY;
#ifdef TAYLORVIT_TAPE_BASE_OFFSET
    if (!write_checked(device, TAYLORVIT_TAPE_BASE_OFFSET, address))
        return TAYLORVIT_NETWORK_NOT_TAKEN;
#else
    (void)address;
#endif
    if (!write_checked(device, TAYLORVIT_TAPE_LENGTH_OFFSET, length))
        return TAYLORVIT_NETWORK_NOT_TAKEN;
    if (!start_at(device->base, TAYLORVIT_CONTROL_CHECK_MASK))
        return TAYLORVIT_NETWORK_BUSY;
    status = taylorvit_network_wait(device, polls, &events);
    if (status == TAYLORVIT_NETWORK_OK)
        *sum = read_register(device, TAYLORVIT_TAPE_SUM_OFFSET);
    return status;
}

static uint32_t word_at(const uint8_t *bytes, uint32_t count)
{
    uint32_t word = 0;

    for (uint32_t index = 0; index < count; index++)
        word |= (uint32_t)bytes[index] << 8 * index;
    return word;
}

static bool is_tape(const struct taylorvit_network_build *build, const uint8_t *tape, uint32_t bytes)
{
    return bytes >= HEADER_BYTES && word_at(tape, 4) == MAGIC && word_at(tape + 4, 2) == build->tape_version &&
           word_at(tape + 8, 4) == build->tape_hash[0] && word_at(tape + 12, 4) == build->tape_hash[1] &&
           word_at(tape + 16, 4) == bytes;
}

#ifdef TAYLORVIT_TAPE_DATA_OFFSET
/* Whether the memory has the tape. A tape ends with its own CRC, and so has the CRC of any other of its length: the
 * bytes before it are compared first. A tape without such bytes is too short for the accelerator to sum them. */
static enum taylorvit_network_status is_there(const struct taylorvit_network *device, const uint8_t *tape,
                                              uint32_t bytes, uint32_t polls, bool *there)
{
    uint32_t columns = device->build.columns, word = device->build.tape_bytes, unit = columns > word ? columns : word;
    uint32_t lengths[2] = {bytes - (4 + unit - 1) / unit * unit, bytes}, sum;
    enum taylorvit_network_status status = TAYLORVIT_NETWORK_OK;

    *there = true;
    for (int index = 0; index < 2 && *there; index++) {
        status = taylorvit_network_check(device, 0, lengths[index], polls, &sum);
        if (status == TAYLORVIT_NETWORK_NOT_TAKEN && index == 0)
            continue;
        if (status != TAYLORVIT_NETWORK_OK)
            return status;
        *there = sum == taylorvit_network_crc(tape, lengths[index]);
    }
    return status;
}
#endif

enum taylorvit_network_status taylorvit_network_load(const struct taylorvit_network *device, const void *tape,
                                                     uint32_t bytes, uint32_t polls)
{
#ifdef TAYLORVIT_TAPE_DATA_OFFSET
    const uint8_t *byte = tape;
    bool there;
    enum taylorvit_network_status status;

    if (!is_tape(&device->build, byte, bytes) || bytes > device->build.tape_memory_bytes)
        return TAYLORVIT_NETWORK_BAD_TAPE;
    status = is_there(device, byte, bytes, polls, &there);
    if (status != TAYLORVIT_NETWORK_OK || there)
        return status;

    if (!write_checked(device, TAYLORVIT_TAPE_ADDRESS_OFFSET, 0))
        return TAYLORVIT_NETWORK_NOT_TAKEN;
    for (uint32_t place = 0; place < bytes; place += 4)
        taylorvit_write32(device->base + TAYLORVIT_TAPE_DATA_OFFSET,
                          word_at(byte + place, bytes - place < 4 ? bytes - place : 4));
    status = is_there(device, byte, bytes, polls, &there);
    if (status == TAYLORVIT_NETWORK_OK && !there)
        status = TAYLORVIT_NETWORK_BAD_MEMORY;
    return status;
#else
    (void)polls;
    return is_tape(&device->build, tape, bytes) ? TAYLORVIT_NETWORK_NO_MEMORY : TAYLORVIT_NETWORK_BAD_TAPE;
#endif
}

/* Jobs */

static bool is_raster(const struct taylorvit_network_build *build, const struct taylorvit_network_job *job)
{
    uint32_t side = job->patch_size;

    if (side > build->max_patch / side || side % build->image_lanes || job->patch_pixels % (side * side))
        return false;
    return within(job->patches_a_row, build->max_tokens - 1) && job->patches % job->patches_a_row == 0;
}

enum taylorvit_network_status taylorvit_network_configure(const struct taylorvit_network *device,
                                                          const struct taylorvit_network_job *job)
{
    const struct taylorvit_network_build *build = &device->build;
    bool taken = true;

    if (!within(job->images, TAYLORVIT_IMAGES_MAX))
        return TAYLORVIT_NETWORK_BAD_IMAGES;
    if (!within(job->patches, build->max_tokens - 1))
        return TAYLORVIT_NETWORK_BAD_PATCHES;
    if (!within(job->patch_pixels, build->max_patch))
        return TAYLORVIT_NETWORK_BAD_PATCH_PIXELS;
    if (!within(job->classes, build->max_classes))
        return TAYLORVIT_NETWORK_BAD_CLASSES;
    if (job->patch_size && !is_raster(build, job))
        return TAYLORVIT_NETWORK_BAD_RASTER;
    if (job->tape_length < HEADER_BYTES ||
        (build->tape_memory_bytes && (job->tape_length > build->tape_memory_bytes ||
                                      job->tape_address > build->tape_memory_bytes - job->tape_length)))
        return TAYLORVIT_NETWORK_BAD_TAPE;

    taken &= write_checked(device, TAYLORVIT_IMAGES_OFFSET, job->images);
    taken &= write_checked(device, TAYLORVIT_PATCHES_OFFSET, job->patches);
    taken &= write_checked(device, TAYLORVIT_PATCH_PIXELS_OFFSET, job->patch_pixels);
    taken &= write_checked(device, TAYLORVIT_CLASSES_OFFSET, job->classes);
    taken &= write_checked(device, TAYLORVIT_IMAGE_ORDER_OFFSET, job->patch_size != 0);
    if (job->patch_size) {
        taken &= write_checked(device, TAYLORVIT_PATCH_SIZE_OFFSET, job->patch_size);
        taken &= write_checked(device, TAYLORVIT_PATCHES_A_ROW_OFFSET, job->patches_a_row);
    }
#ifdef TAYLORVIT_TAPE_BASE_OFFSET
    taken &= write_checked(device, TAYLORVIT_TAPE_BASE_OFFSET, job->tape_address);
#endif
    taken &= write_checked(device, TAYLORVIT_TAPE_LENGTH_OFFSET, job->tape_length);
    return taken ? TAYLORVIT_NETWORK_OK : TAYLORVIT_NETWORK_NOT_TAKEN;
}

enum taylorvit_network_status taylorvit_network_set_timeout(const struct taylorvit_network *device, uint32_t cycles)
{
    if (!is_timeout(cycles, device->build.counter_width))
        return TAYLORVIT_NETWORK_BAD_TIMEOUT;
    return write_checked(device, TAYLORVIT_TIMEOUT_OFFSET, cycles) ? TAYLORVIT_NETWORK_OK : TAYLORVIT_NETWORK_NOT_TAKEN;
}

enum taylorvit_network_status taylorvit_network_start(const struct taylorvit_network *device)
{
    return start_at(device->base, TAYLORVIT_CONTROL_START_MASK) ? TAYLORVIT_NETWORK_OK : TAYLORVIT_NETWORK_BUSY;
}

bool taylorvit_network_is_busy(const struct taylorvit_network *device)
{
    return is_busy_at(device->base);
}

enum taylorvit_network_status taylorvit_network_wait(const struct taylorvit_network *device, uint32_t polls,
                                                     uint32_t *events)
{
    enum taylorvit_network_status status = TAYLORVIT_NETWORK_NOT_DONE;

    *events = 0;
    while (polls-- && status == TAYLORVIT_NETWORK_NOT_DONE) {
        bool busy = taylorvit_network_is_busy(device);

        *events |= taylorvit_network_take_events(device);
        status = taylorvit_network_judge(*events);
        if (status == TAYLORVIT_NETWORK_JOB_ERRORS && busy)
            status = TAYLORVIT_NETWORK_NOT_DONE; /* there may be more of them */
    }
    return taylorvit_network_judge(*events) == TAYLORVIT_NETWORK_JOB_ERRORS ? TAYLORVIT_NETWORK_JOB_ERRORS : status;
}

uint32_t taylorvit_network_take_events(const struct taylorvit_network *device)
{
    return take_events_at(device->base);
}

enum taylorvit_network_status taylorvit_network_judge(uint32_t events)
{
    if (events & ALL_EVENTS & ~HARMLESS)
        return TAYLORVIT_NETWORK_JOB_ERRORS;
    return events & TAYLORVIT_EVENTS_DONE_MASK ? TAYLORVIT_NETWORK_OK : TAYLORVIT_NETWORK_NOT_DONE;
}

void taylorvit_network_enable_interrupts(const struct taylorvit_network *device, uint32_t events)
{
    enable_interrupts_at(device->base, events);
}

struct taylorvit_network_counters taylorvit_network_read_counters(const struct taylorvit_network *device)
{
    struct taylorvit_network_counters counters = {0, 0, 0, 0, 0, 0, 0, 0};

    (void)device; /* whose counters may all be missing */
#ifdef TAYLORVIT_CYCLES_OFFSET
    counters.cycles = read_register(device, TAYLORVIT_CYCLES_OFFSET);
    counters.images_done = read_register(device, TAYLORVIT_IMAGES_DONE_OFFSET);
#endif
#ifdef TAYLORVIT_ARRAY_BUSY_OFFSET
    counters.array_busy = read_register(device, TAYLORVIT_ARRAY_BUSY_OFFSET);
    counters.stall_tape = read_register(device, TAYLORVIT_STALL_TAPE_OFFSET);
    counters.stall_image = read_register(device, TAYLORVIT_STALL_IMAGE_OFFSET);
    counters.stall_output = read_register(device, TAYLORVIT_STALL_OUTPUT_OFFSET);
    counters.stall_data = read_register(device, TAYLORVIT_STALL_DATA_OFFSET);
    counters.image_cycles = read_register(device, TAYLORVIT_IMAGE_CYCLES_OFFSET);
#endif
    return counters;
}

uint32_t taylorvit_network_error_count(const struct taylorvit_network *device, uint32_t event)
{
    return error_count_at(device->base, event);
}

void taylorvit_network_clear_error_counts(const struct taylorvit_network *device)
{
    clear_error_counts_at(device->base);
}

enum taylorvit_network_status taylorvit_network_soft_reset(const struct taylorvit_network *device)
{
    return soft_reset_at(device->base) ? TAYLORVIT_NETWORK_OK : TAYLORVIT_NETWORK_BUSY;
}

const char *taylorvit_network_status_text(enum taylorvit_network_status status)
{
    switch (status) {
    case TAYLORVIT_NETWORK_OK: return "ok";
    case TAYLORVIT_NETWORK_WRONG_ID: return "no TaylorViT network accelerator at this address";
    case TAYLORVIT_NETWORK_OTHER_BUILD: return "a TaylorViT network accelerator of another configuration or version";
    case TAYLORVIT_NETWORK_BAD_IMAGES: return "images out of range";
    case TAYLORVIT_NETWORK_BAD_PATCHES: return "patches out of range";
    case TAYLORVIT_NETWORK_BAD_PATCH_PIXELS: return "patch_pixels out of range";
    case TAYLORVIT_NETWORK_BAD_CLASSES: return "classes out of range";
    case TAYLORVIT_NETWORK_BAD_RASTER: return "patch_size or patches_a_row do not fit the image";
    case TAYLORVIT_NETWORK_BAD_TAPE: return "no tape for this accelerator, or one too long for its memory";
    case TAYLORVIT_NETWORK_NO_MEMORY: return "the accelerator has no memory for tapes that registers fill";
    case TAYLORVIT_NETWORK_BAD_MEMORY: return "the memory does not read as it was written";
    case TAYLORVIT_NETWORK_BAD_TIMEOUT: return "timeout out of range";
    case TAYLORVIT_NETWORK_NOT_TAKEN: return "a register did not take its value";
    case TAYLORVIT_NETWORK_BUSY: return "a job runs";
    case TAYLORVIT_NETWORK_NOT_DONE: return "the job has not finished";
    case TAYLORVIT_NETWORK_JOB_ERRORS: return "the job ended with errors";
    }
    return "?";
}

const char *taylorvit_network_event_name(uint32_t event)
{
    return name_of_event(event);
}
