/* Driver of a TaylorViT accelerator; taylorvit.h describes it. */
#include "taylorvit.h"
#include "taylorvit_common.h"

static uint32_t read_register(const struct taylorvit *device, uint32_t offset)
{
    return taylorvit_read32(device->base + offset);
}

static bool write_checked(const struct taylorvit *device, uint32_t offset, uint32_t value)
{
    return write_checked_at(device->base + offset, value);
}

enum taylorvit_status taylorvit_open(struct taylorvit *device, uintptr_t base)
{
    struct taylorvit_build *build = &device->build;
    uint32_t word;

    device->base = base;
    if (read_register(device, TAYLORVIT_ID_OFFSET) != TAYLORVIT_ID_VALUE)
        return TAYLORVIT_WRONG_ID;
    word = read_register(device, TAYLORVIT_CONSTANT_WIDTHS_OFFSET);
    if (taylorvit_constant_widths_kernel(word) != TAYLORVIT_CONSTANT_WIDTHS_KERNEL_VALUE)
        return TAYLORVIT_OTHER_KERNEL;

    word = read_register(device, TAYLORVIT_VERSION_OFFSET);
    build->version_major = taylorvit_version_major(word);
    build->version_minor = taylorvit_version_minor(word);
    build->version_patch = taylorvit_version_patch(word);
    word = read_register(device, TAYLORVIT_ARRAY_SIZE_OFFSET);
    build->rows = taylorvit_array_size_rows(word);
    build->columns = taylorvit_array_size_columns(word);
    word = read_register(device, TAYLORVIT_NUMBER_FORMAT_OFFSET);
    build->data_width = taylorvit_number_format_data_width(word);
    build->element_width = taylorvit_number_format_element_width(word);
    word = read_register(device, TAYLORVIT_STREAM_OFFSET);
    build->stream_lanes = taylorvit_stream_lanes(word);
    word = read_register(device, TAYLORVIT_MAX_SIZES_OFFSET);
    build->max_tokens = taylorvit_max_sizes_max_tokens(word);
    build->max_head_dim = taylorvit_max_sizes_max_head_dim(word);
    build->max_heads = read_register(device, TAYLORVIT_MAX_HEADS_OFFSET);
    word = read_register(device, TAYLORVIT_CONSTANT_WIDTHS_OFFSET);
#if TAYLORVIT_CONSTANT_WIDTHS_KERNEL_VALUE == 0
    build->c_v_width = taylorvit_constant_widths_c_v_width(word);
    build->c_d_width = taylorvit_constant_widths_c_d_width(word);
    word = read_register(device, TAYLORVIT_SHIFT_LIMITS_OFFSET);
    build->shift_g_max = (int32_t)taylorvit_shift_limits_shift_g_max(word);
#else
    build->exponential_width = taylorvit_constant_widths_exponential_width(word);
    build->exponential_entries = 1u << taylorvit_constant_widths_exponential_entries(word);
    word = read_register(device, TAYLORVIT_SHIFT_LIMITS_OFFSET);
    build->shift_s_max = (int32_t)taylorvit_shift_limits_shift_s_max(word);
#endif
    build->shift_z_min = taylorvit_shift_limits_shift_z_min(word);
    build->shift_z_max = (int32_t)taylorvit_shift_limits_shift_z_max(word);
    word = read_register(device, TAYLORVIT_COUNTER_WIDTHS_OFFSET);
    build->counter_width = taylorvit_counter_widths_counter_width(word);
    build->error_count_width = taylorvit_counter_widths_error_count_width(word);

    return is_of_header(base) ? TAYLORVIT_OK : TAYLORVIT_OTHER_BUILD;
}

uint32_t taylorvit_head_bytes(const struct taylorvit *device, uint32_t tokens, uint32_t head_dim)
{
    uint32_t lanes = device->build.stream_lanes;
    uint32_t beats = (head_dim + lanes - 1) / lanes;

    return tokens * beats * lanes * (device->build.element_width / 8);
}

#if TAYLORVIT_CONSTANT_WIDTHS_KERNEL_VALUE == 0

static enum taylorvit_status check_constants(const struct taylorvit_build *build, const struct taylorvit_job *job)
{
    if (job->shift_g < 0 || job->shift_g > build->shift_g_max)
        return TAYLORVIT_BAD_SHIFT_G;
    if (!fits(job->c_v, TAYLORVIT_C_V_WORDS, build->c_v_width))
        return TAYLORVIT_BAD_C_V;
    if (!fits(job->c_d, TAYLORVIT_C_D_WORDS, build->c_d_width))
        return TAYLORVIT_BAD_C_D;
    return TAYLORVIT_OK;
}

static bool write_constants(const struct taylorvit *device, const struct taylorvit_job *job)
{
    bool taken = write_checked(device, TAYLORVIT_SHIFT_G_OFFSET, (uint32_t)job->shift_g);

    for (uint32_t word = 0; word < TAYLORVIT_C_V_WORDS; word++)
        taken &= write_checked(device, TAYLORVIT_C_V_0_OFFSET + 4 * word, job->c_v[word]);
    for (uint32_t word = 0; word < TAYLORVIT_C_D_WORDS; word++)
        taken &= write_checked(device, TAYLORVIT_C_D_0_OFFSET + 4 * word, job->c_d[word]);
    return taken;
}

#else

static enum taylorvit_status check_constants(const struct taylorvit_build *build, const struct taylorvit_job *job)
{
    if (job->shift_s < 0 || job->shift_s > build->shift_s_max)
        return TAYLORVIT_BAD_SHIFT_S;
    if (job->exponentials_count != build->exponential_entries || job->exponentials[0] == 0)
        return TAYLORVIT_BAD_EXPONENTIALS;
    for (uint32_t entry = 0; entry < job->exponentials_count; entry++)
        if ((uint32_t)job->exponentials[entry] >> build->exponential_width)
            return TAYLORVIT_BAD_EXPONENTIALS;
    return TAYLORVIT_OK;
}

/* The table cannot be read back: it is written last, and has been checked. */
static bool write_constants(const struct taylorvit *device, const struct taylorvit_job *job)
{
    bool taken = write_checked(device, TAYLORVIT_SHIFT_S_OFFSET, (uint32_t)job->shift_s);

    for (uint32_t entry = 0; entry < job->exponentials_count; entry++)
        taylorvit_write32(device->base + TAYLORVIT_EXPONENTIALS_OFFSET, entry << 16 | job->exponentials[entry]);
    return taken;
}

#endif

enum taylorvit_status taylorvit_configure(const struct taylorvit *device, const struct taylorvit_job *job)
{
    const struct taylorvit_build *build = &device->build;
    enum taylorvit_status constants;
    bool taken = true;

    if (!within(job->tokens, build->max_tokens))
        return TAYLORVIT_BAD_TOKENS;
    if (!within(job->head_dim, build->max_head_dim))
        return TAYLORVIT_BAD_HEAD_DIM;
    if (!within(job->heads, build->max_heads))
        return TAYLORVIT_BAD_HEADS;
    if (job->shift_z < build->shift_z_min || job->shift_z > build->shift_z_max)
        return TAYLORVIT_BAD_SHIFT_Z;
    constants = check_constants(build, job);
    if (constants != TAYLORVIT_OK)
        return constants;
#if TAYLORVIT_CONSTANT_WIDTHS_KERNEL_VALUE != 0
    if (taylorvit_is_busy(device))
        return TAYLORVIT_BUSY;
#endif

    taken &= write_checked(device, TAYLORVIT_TOKENS_OFFSET, job->tokens);
    taken &= write_checked(device, TAYLORVIT_HEAD_DIM_OFFSET, job->head_dim);
    taken &= write_checked(device, TAYLORVIT_HEADS_OFFSET, job->heads);
    taken &= write_checked(device, TAYLORVIT_SHIFT_Z_OFFSET, (uint32_t)job->shift_z);
    taken &= write_constants(device, job);
    return taken ? TAYLORVIT_OK : TAYLORVIT_NOT_TAKEN;
}

enum taylorvit_status taylorvit_set_timeout(const struct taylorvit *device, uint32_t cycles)
{
    if (!is_timeout(cycles, device->build.counter_width))
        return TAYLORVIT_BAD_TIMEOUT;
    return write_checked(device, TAYLORVIT_TIMEOUT_OFFSET, cycles) ? TAYLORVIT_OK : TAYLORVIT_NOT_TAKEN;
}

enum taylorvit_status taylorvit_start(const struct taylorvit *device)
{
    return start_at(device->base, TAYLORVIT_CONTROL_START_MASK) ? TAYLORVIT_OK : TAYLORVIT_BUSY;
}

bool taylorvit_is_busy(const struct taylorvit *device)
{
    return is_busy_at(device->base);
}

enum taylorvit_status taylorvit_wait(const struct taylorvit *device, uint32_t polls, uint32_t *events)
{
    *events = 0;
    while (polls-- && !(*events & TAYLORVIT_EVENTS_DONE_MASK))
        *events |= taylorvit_take_events(device);
    return taylorvit_judge(*events);
}

uint32_t taylorvit_take_events(const struct taylorvit *device)
{
    return take_events_at(device->base);
}

enum taylorvit_status taylorvit_judge(uint32_t events)
{
    if (!(events & TAYLORVIT_EVENTS_DONE_MASK))
        return TAYLORVIT_NOT_DONE;
    return events & ALL_ERRORS ? TAYLORVIT_JOB_ERRORS : TAYLORVIT_OK;
}

void taylorvit_enable_interrupts(const struct taylorvit *device, uint32_t events)
{
    enable_interrupts_at(device->base, events);
}

struct taylorvit_counters taylorvit_read_counters(const struct taylorvit *device)
{
    struct taylorvit_counters counters;

    counters.cycles = read_register(device, TAYLORVIT_CYCLES_OFFSET);
    counters.array_busy = read_register(device, TAYLORVIT_ARRAY_BUSY_OFFSET);
    counters.stall_input = read_register(device, TAYLORVIT_STALL_INPUT_OFFSET);
    counters.stall_output = read_register(device, TAYLORVIT_STALL_OUTPUT_OFFSET);
    counters.heads_done = read_register(device, TAYLORVIT_HEADS_DONE_OFFSET);
    return counters;
}

uint32_t taylorvit_error_count(const struct taylorvit *device, uint32_t event)
{
    return error_count_at(device->base, event);
}

void taylorvit_clear_error_counts(const struct taylorvit *device)
{
    clear_error_counts_at(device->base);
}

enum taylorvit_status taylorvit_soft_reset(const struct taylorvit *device)
{
    return soft_reset_at(device->base) ? TAYLORVIT_OK : TAYLORVIT_BUSY;
}

const char *taylorvit_status_text(enum taylorvit_status status)
{
    switch (status) {
    case TAYLORVIT_OK: return "ok";
    case TAYLORVIT_WRONG_ID: return "no TaylorViT at this address";
    case TAYLORVIT_OTHER_KERNEL: return "a TaylorViT with another kind of attention";
    case TAYLORVIT_OTHER_BUILD: return "a TaylorViT of another configuration or version";
    case TAYLORVIT_BAD_TOKENS: return "tokens out of range";
    case TAYLORVIT_BAD_HEAD_DIM: return "head_dim out of range";
    case TAYLORVIT_BAD_HEADS: return "heads out of range";
    case TAYLORVIT_BAD_SHIFT_G: return "shift_g out of range";
    case TAYLORVIT_BAD_SHIFT_Z: return "shift_z out of range";
    case TAYLORVIT_BAD_C_V: return "c_v too wide";
    case TAYLORVIT_BAD_C_D: return "c_d too wide";
    case TAYLORVIT_BAD_SHIFT_S: return "shift_s out of range";
    case TAYLORVIT_BAD_EXPONENTIALS: return "exponentials are too few, too many or too wide, or the first is 0";
    case TAYLORVIT_BAD_TIMEOUT: return "timeout out of range";
    case TAYLORVIT_NOT_TAKEN: return "a register did not take its value";
    case TAYLORVIT_BUSY: return "a job runs";
    case TAYLORVIT_NOT_DONE: return "the job has not finished";
    case TAYLORVIT_JOB_ERRORS: return "the job finished with errors";
    }
    return "?";
}

const char *taylorvit_event_name(uint32_t event)
{
    return name_of_event(event);
}
