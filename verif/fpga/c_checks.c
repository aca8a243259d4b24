/* Calls of the C driver that the example does not make, on a simulated accelerator: refusals, errors, interrupts.
 *
 * Each `CHECK` that fails is printed with its line; `main` returns how many held, or 0 if one failed.
 */
#include "board.h"
#include "example_job.h"
#include "taylorvit.h"

#define POLLS 100000u
#define TIMEOUT 500u /* cycles: more than the job below waits for its data otherwise */

extern uint32_t (*bench_wait_interrupt)(void); /* whether the interrupt rose within a bound */
extern uint32_t (*bench_bus_errors)(void);     /* accesses that were answered with an error since the last call */

static struct taylorvit accelerator;
static uint8_t z[EXAMPLE_HEADS][EXAMPLE_HEAD_BYTES];
static volatile uint32_t interrupt_events;
static int held, failed;

#define CHECK(condition) check(condition, #condition, __LINE__)

static void check(bool condition, const char *text, unsigned line)
{
    char digits[] = "c_checks.c:000: ";

    held += condition;
    if (condition)
        return;
    failed++;
    for (char *digit = digits + 13; line; line /= 10)
        *digit-- = (char)('0' + line % 10);
    board_print(digits);
    board_print(text);
    board_print("\n");
}

static uint32_t read_at(uint32_t offset) { return taylorvit_read32(accelerator.base + offset); }
static void write_at(uint32_t offset, uint32_t value) { taylorvit_write32(accelerator.base + offset, value); }

static void interrupt_handler(void)
{
    interrupt_events |= taylorvit_take_events(&accelerator);
}

/* All packets of the job, but on stream K that of head `shorter` lacks its last beat, and on V that of head `missing` is
 * left out; -1 for neither. */
static void stream_heads(int shorter, int missing)
{
    uint32_t beat = accelerator.build.stream_lanes * accelerator.build.element_width / 8;

    for (int head = 0; head < (int)EXAMPLE_HEADS; head++) {
        board_receive(z[head], EXAMPLE_HEAD_BYTES);
        board_send(BOARD_STREAM_K, example_k[head], head == shorter ? EXAMPLE_HEAD_BYTES - beat : EXAMPLE_HEAD_BYTES);
        if (head != missing)
            board_send(BOARD_STREAM_V, example_v[head], EXAMPLE_HEAD_BYTES);
        board_send(BOARD_STREAM_Q, example_q[head], EXAMPLE_HEAD_BYTES);
    }
}

static bool z_is_right(void)
{
    for (uint32_t head = 0; head < EXAMPLE_HEADS; head++)
        for (uint32_t byte = 0; byte < EXAMPLE_HEAD_BYTES; byte++)
            if (byte % EXAMPLE_TOKEN_BYTES < EXAMPLE_TOKEN_BYTES_USED && z[head][byte] != example_z[head][byte])
                return false;
    return true;
}

static void check_open(void)
{
    const struct taylorvit_build *build = &accelerator.build;

    CHECK(taylorvit_open(&accelerator, board_taylorvit_base() + 4) == TAYLORVIT_WRONG_ID);
    CHECK(taylorvit_open(&accelerator, board_taylorvit_base()) == TAYLORVIT_OK);
    CHECK(build->version_major == TAYLORVIT_VERSION_MAJOR_VALUE);
    CHECK(build->version_minor == TAYLORVIT_VERSION_MINOR_VALUE);
    CHECK(build->version_patch == TAYLORVIT_VERSION_PATCH_VALUE);
    CHECK(build->rows == TAYLORVIT_ARRAY_SIZE_ROWS_VALUE);
    CHECK(build->columns == TAYLORVIT_ARRAY_SIZE_COLUMNS_VALUE);
    CHECK(build->data_width == TAYLORVIT_NUMBER_FORMAT_DATA_WIDTH_VALUE);
    CHECK(build->element_width == TAYLORVIT_NUMBER_FORMAT_ELEMENT_WIDTH_VALUE);
    CHECK(build->stream_lanes == TAYLORVIT_STREAM_LANES_VALUE);
    CHECK(build->max_tokens == TAYLORVIT_TOKENS_MAX);
    CHECK(build->max_head_dim == TAYLORVIT_HEAD_DIM_MAX);
    CHECK(build->max_heads == TAYLORVIT_HEADS_MAX);
    CHECK(build->shift_g_max == TAYLORVIT_SHIFT_G_MAX);
    CHECK(build->shift_z_min == TAYLORVIT_SHIFT_Z_MIN);
    CHECK(build->shift_z_max == TAYLORVIT_SHIFT_Z_MAX);
    CHECK(build->c_v_width == TAYLORVIT_CONSTANT_WIDTHS_C_V_WIDTH_VALUE);
    CHECK(build->c_d_width == TAYLORVIT_CONSTANT_WIDTHS_C_D_WIDTH_VALUE);
    CHECK(build->counter_width == TAYLORVIT_COUNTER_WIDTHS_COUNTER_WIDTH_VALUE);
    CHECK(build->error_count_width == TAYLORVIT_COUNTER_WIDTHS_ERROR_COUNT_WIDTH_VALUE);
    CHECK(taylorvit_head_bytes(&accelerator, example_job.tokens, example_job.head_dim) == EXAMPLE_HEAD_BYTES);
    CHECK(bench_bus_errors() == 0);
}

/* `configure` of the example's job with one member changed; the job that was set up before must stay. */
#define CHECK_REFUSED(member, value, status) do { \
        struct taylorvit_job job = example_job; \
        job.member = (value); \
        CHECK(taylorvit_configure(&accelerator, &job) == (status)); \
    } while (0)

static void check_ranges(void)
{
    const struct taylorvit_build *build = &accelerator.build;
    struct taylorvit careless = accelerator;
    struct taylorvit_job job = example_job;

    CHECK(taylorvit_configure(&accelerator, &example_job) == TAYLORVIT_OK);
    CHECK_REFUSED(tokens, 0, TAYLORVIT_BAD_TOKENS);
    CHECK_REFUSED(tokens, build->max_tokens + 1, TAYLORVIT_BAD_TOKENS);
    CHECK_REFUSED(head_dim, 0, TAYLORVIT_BAD_HEAD_DIM);
    CHECK_REFUSED(head_dim, build->max_head_dim + 1, TAYLORVIT_BAD_HEAD_DIM);
    CHECK_REFUSED(heads, 0, TAYLORVIT_BAD_HEADS);
    CHECK_REFUSED(heads, build->max_heads + 1, TAYLORVIT_BAD_HEADS);
    CHECK_REFUSED(shift_g, -1, TAYLORVIT_BAD_SHIFT_G);
    CHECK_REFUSED(shift_g, build->shift_g_max + 1, TAYLORVIT_BAD_SHIFT_G);
    CHECK_REFUSED(shift_z, build->shift_z_min - 1, TAYLORVIT_BAD_SHIFT_Z);
    CHECK_REFUSED(shift_z, build->shift_z_max + 1, TAYLORVIT_BAD_SHIFT_Z);
    CHECK_REFUSED(c_v[0], TAYLORVIT_C_V_0_MAX + 1, TAYLORVIT_BAD_C_V);
    CHECK_REFUSED(c_v[1], 1, TAYLORVIT_BAD_C_V);
    CHECK_REFUSED(c_d[1], TAYLORVIT_C_D_1_MAX + 1, TAYLORVIT_BAD_C_D);
    CHECK_REFUSED(c_d[2], 1, TAYLORVIT_BAD_C_D);
    CHECK(taylorvit_set_timeout(&accelerator, 0) == TAYLORVIT_BAD_TIMEOUT);
    CHECK(bench_bus_errors() == 0);
    CHECK(read_at(TAYLORVIT_TOKENS_OFFSET) == example_job.tokens);
    CHECK(read_at(TAYLORVIT_C_D_0_OFFSET) == example_job.c_d[0]);

    /* The largest of everything, and the most negative shift. */
    job.tokens = build->max_tokens;
    job.head_dim = build->max_head_dim;
    job.heads = build->max_heads;
    job.shift_g = build->shift_g_max;
    job.shift_z = build->shift_z_min;
    job.c_v[0] = TAYLORVIT_C_V_0_MAX;
    job.c_d[0] = TAYLORVIT_C_D_0_MAX;
    job.c_d[1] = TAYLORVIT_C_D_1_MAX;
    CHECK(taylorvit_configure(&accelerator, &job) == TAYLORVIT_OK);
    CHECK(bench_bus_errors() == 0);
    CHECK((int32_t)read_at(TAYLORVIT_SHIFT_Z_OFFSET) == build->shift_z_min);

    /* A value that the accelerator refuses: an error on the bus, an event, a count, and the old value stays. */
    write_at(TAYLORVIT_TOKENS_OFFSET, 0);
    CHECK(bench_bus_errors() == 1);
    CHECK(read_at(TAYLORVIT_TOKENS_OFFSET) == build->max_tokens);
    careless.build.max_tokens++;
    job.tokens++;
    CHECK(taylorvit_configure(&careless, &job) == TAYLORVIT_NOT_TAKEN);
    CHECK(bench_bus_errors() == 1);
    CHECK(taylorvit_error_count(&accelerator, TAYLORVIT_EVENTS_BAD_VALUE_MASK) == 2);
    CHECK(taylorvit_take_events(&accelerator) == TAYLORVIT_EVENTS_BAD_VALUE_MASK);
    CHECK(taylorvit_take_events(&accelerator) == 0);
    taylorvit_clear_error_counts(&accelerator);
    CHECK(taylorvit_error_count(&accelerator, TAYLORVIT_EVENTS_BAD_VALUE_MASK) == 0);
    CHECK(taylorvit_error_count(&accelerator, TAYLORVIT_EVENTS_DONE_MASK) == 0);
    CHECK(bench_bus_errors() == 0);
}

static void check_busy(void)
{
    uint32_t events;

    CHECK(taylorvit_configure(&accelerator, &example_job) == TAYLORVIT_OK);
    CHECK(!taylorvit_is_busy(&accelerator));
    write_at(TAYLORVIT_TOKENS_OFFSET, 0); /* an event that the start must forget */
    CHECK(bench_bus_errors() == 1);
    CHECK(taylorvit_start(&accelerator) == TAYLORVIT_OK);
    CHECK(taylorvit_is_busy(&accelerator));
    CHECK(taylorvit_start(&accelerator) == TAYLORVIT_BUSY);
    CHECK(bench_bus_errors() == 0);
    write_at(TAYLORVIT_CONTROL_OFFSET, TAYLORVIT_CONTROL_START_MASK);
    CHECK(bench_bus_errors() == 1);
    CHECK(taylorvit_wait(&accelerator, 5, &events) == TAYLORVIT_NOT_DONE);
    CHECK(events == TAYLORVIT_EVENTS_START_WHILE_BUSY_MASK);
    CHECK(taylorvit_error_count(&accelerator, TAYLORVIT_EVENTS_START_WHILE_BUSY_MASK) == 1);

    /* The disturbed job goes on to its end, and is right. */
    stream_heads(-1, -1);
    CHECK(taylorvit_wait(&accelerator, POLLS, &events) == TAYLORVIT_OK);
    CHECK(events == TAYLORVIT_EVENTS_DONE_MASK);
    CHECK(board_wait_received());
    CHECK(z_is_right());

    CHECK(taylorvit_start(&accelerator) == TAYLORVIT_OK);
    CHECK(taylorvit_soft_reset(&accelerator) == TAYLORVIT_OK);
    CHECK(!taylorvit_is_busy(&accelerator));
    CHECK(read_at(TAYLORVIT_TOKENS_OFFSET) == example_job.tokens);
    CHECK(bench_bus_errors() == 0);
}

static void check_interrupts(void)
{
    struct taylorvit_counters counters;

    taylorvit_enable_interrupts(&accelerator, TAYLORVIT_EVENTS_DONE_MASK);
    CHECK(read_at(TAYLORVIT_INTERRUPT_ENABLE_OFFSET) == TAYLORVIT_EVENTS_DONE_MASK);
    for (int round = 0; round < 2; round++) { /* the second finds the interrupt low again */
        interrupt_events = 0;
        CHECK(taylorvit_start(&accelerator) == TAYLORVIT_OK);
        CHECK(taylorvit_judge(interrupt_events) == TAYLORVIT_NOT_DONE);
        stream_heads(-1, -1);
        CHECK(bench_wait_interrupt());
        interrupt_handler();
        CHECK(taylorvit_judge(interrupt_events) == TAYLORVIT_OK);
        CHECK(board_wait_received());
        CHECK(z_is_right());
    }
    taylorvit_enable_interrupts(&accelerator, 0);
    CHECK(read_at(TAYLORVIT_INTERRUPT_ENABLE_OFFSET) == 0);

    counters = taylorvit_read_counters(&accelerator);
    CHECK(counters.heads_done == EXAMPLE_HEADS);
    CHECK(counters.array_busy > 0);
    CHECK(counters.array_busy + counters.stall_input + counters.stall_output <= counters.cycles);
    CHECK(bench_bus_errors() == 0);
}

static void check_stream_errors(void)
{
    const int last = EXAMPLE_HEADS - 1;
    uint32_t events;

    taylorvit_clear_error_counts(&accelerator);
    CHECK(taylorvit_start(&accelerator) == TAYLORVIT_OK);
    stream_heads(last, -1);
    CHECK(taylorvit_wait(&accelerator, POLLS, &events) == TAYLORVIT_JOB_ERRORS);
    CHECK(events == (TAYLORVIT_EVENTS_DONE_MASK | TAYLORVIT_EVENTS_TLAST_EARLY_K_MASK));
    CHECK(taylorvit_error_count(&accelerator, TAYLORVIT_EVENTS_TLAST_EARLY_K_MASK) == 1);
    CHECK(taylorvit_error_count(&accelerator, TAYLORVIT_EVENTS_TLAST_EARLY_Q_MASK) == 0);
    CHECK(board_wait_received());
    CHECK(!z_is_right());

    CHECK(taylorvit_set_timeout(&accelerator, TIMEOUT) == TAYLORVIT_OK);
    CHECK(taylorvit_start(&accelerator) == TAYLORVIT_OK);
    stream_heads(-1, last);
    CHECK(taylorvit_wait(&accelerator, POLLS, &events) == TAYLORVIT_JOB_ERRORS);
    CHECK(events == (TAYLORVIT_EVENTS_DONE_MASK | TAYLORVIT_EVENTS_INPUT_TIMEOUT_MASK));
    CHECK(taylorvit_error_count(&accelerator, TAYLORVIT_EVENTS_INPUT_TIMEOUT_MASK) == 1);
    CHECK(taylorvit_read_counters(&accelerator).stall_input >= TIMEOUT);
    CHECK(board_wait_received());

    /* Nothing of this is left over for the next job. */
    CHECK(taylorvit_start(&accelerator) == TAYLORVIT_OK);
    stream_heads(-1, -1);
    CHECK(taylorvit_wait(&accelerator, POLLS, &events) == TAYLORVIT_OK);
    CHECK(board_wait_received());
    CHECK(z_is_right());
    CHECK(bench_bus_errors() == 0);
}

int main(void)
{
    check_open();
    check_ranges();
    check_busy();
    check_interrupts();
    check_stream_errors();
    return failed ? 0 : held;
}
