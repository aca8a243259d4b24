// A board's top level under Verilator, with a serial line at its UART pins.
//
// Carries out what comes from standard input and answers on standard output; numbers are little-endian.
//
//   'W' count u32, bytes     send these bytes to uart_rx, behind those that wait already; no answer
//   'R' cycles u64           run until a byte has come from uart_tx, at most so many cycles; then, while more bytes
//                            follow each other, until they are MANY. Answer: cycle u64, count u32, bytes
//   'B' level u8, cycles u64 hold the button at a level for some cycles, and release it. Answer: cycle u64
//
// It ends with the end of its input. Arguments: clock frequency, baud, level of the button that resets (or -1: the board
// has none); further ones begin with + and are the model's.
// The line is 8N1; a bit begins at the clock cycle nearest to where it should, so any ratio will do.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "Vdesign.h"
#include "verilated.h"

namespace {

constexpr int FRAME_BITS = 10;  // start, eight data, stop
constexpr size_t MANY = 256;    // bytes that one answer brings

// The names of a model's ports are members of its class: those that not every board has are set if they are there.
template <typename Design>
auto setButton(Design& design, int level, int) -> decltype(design.button, void()) {
    design.button = level;
}
template <typename Design>
void setButton(Design&, int, long) {}

class Board {
public:
    Board(uint64_t clockHz, uint64_t baud, int buttonPressed)
        : m_clockHz{clockHz}, m_baud{baud}, m_buttonPressed{buttonPressed} {
        m_design->uart_rx = 1;
        if (m_buttonPressed >= 0) setButton(*m_design, !m_buttonPressed, 0);
    }

    uint64_t cycle() const { return m_cycle; }
    void send(uint8_t byte) { m_toSend.push_back(byte); }
    const std::vector<uint8_t>& received() const { return m_received; }

    void run(uint64_t cycles) {
        m_received.clear();
        const uint64_t end = m_cycle + cycles;
        const uint64_t quiet = bitStart(0, 2 * FRAME_BITS);
        while (m_cycle < end && m_received.size() < MANY) {
            tick();
            if (!m_received.empty() && !m_receiving && m_cycle - m_lastReceived > quiet) break;
        }
    }

    void holdButton(int level, uint64_t cycles) {
        setButton(*m_design, level, 0);
        for (uint64_t count = 0; count < cycles; ++count) tick();
        setButton(*m_design, !m_buttonPressed, 0);
    }

private:
    // Clock cycle in which bit `bit` of a frame that began in cycle `start` begins; nearest to the exact time.
    uint64_t bitStart(uint64_t start, uint64_t bit) const { return start + (2 * bit * m_clockHz + m_baud) / (2 * m_baud); }

    void tick() {
        drive();
        m_design->clock = 0;
        m_design->eval();
        m_design->clock = 1;
        m_design->eval();
        ++m_cycle;
        sample();
    }

    void drive() {
        if (m_sending && m_cycle >= bitStart(m_sendStart, FRAME_BITS)) m_sending = false;
        if (!m_sending && !m_toSend.empty()) {
            m_frame = static_cast<uint16_t>(m_toSend.front() << 1 | 0x200);
            m_toSend.pop_front();
            m_sendStart = m_cycle;
            m_sendBit = 0;
            m_sending = true;
        }
        if (!m_sending) return;
        while (m_sendBit + 1 < FRAME_BITS && m_cycle >= bitStart(m_sendStart, m_sendBit + 1)) ++m_sendBit;
        m_design->uart_rx = m_frame >> m_sendBit & 1;
    }

    // Takes each bit in its middle. A frame without a stop bit, or a start bit that does not last, is no byte.
    void sample() {
        const int level = m_design->uart_tx & 1;
        if (!m_receiving) {
            if (level) return;
            m_receiving = true;
            m_receiveStart = m_cycle;
            m_receiveBit = 0;
            m_byte = 0;
        }
        const uint64_t middle = (bitStart(m_receiveStart, m_receiveBit) + bitStart(m_receiveStart, m_receiveBit + 1)) / 2;
        if (m_cycle < middle) return;
        if (m_receiveBit == 0 && level) {
            m_receiving = false;
        } else if (m_receiveBit == FRAME_BITS - 1) {
            if (level) m_received.push_back(m_byte);
            m_receiving = false;
            m_lastReceived = m_cycle;
        } else if (m_receiveBit > 0) {
            m_byte = static_cast<uint8_t>(m_byte | level << (m_receiveBit - 1));
        }
        ++m_receiveBit;
    }

    const std::unique_ptr<Vdesign> m_design = std::make_unique<Vdesign>();
    const uint64_t m_clockHz;
    const uint64_t m_baud;
    const int m_buttonPressed;
    uint64_t m_cycle = 0;

    std::deque<uint8_t> m_toSend;
    bool m_sending = false;
    uint64_t m_sendStart = 0;
    int m_sendBit = 0;
    uint16_t m_frame = 0;

    std::vector<uint8_t> m_received;
    bool m_receiving = false;
    uint64_t m_receiveStart = 0;
    uint64_t m_lastReceived = 0;
    int m_receiveBit = 0;
    uint8_t m_byte = 0;
};

bool readAll(void* data, size_t size) { return std::fread(data, 1, size, stdin) == size; }

template <typename Number>
bool readNumber(Number& number) {
    uint8_t bytes[sizeof number];
    if (!readAll(bytes, sizeof bytes)) return false;
    number = 0;
    for (size_t index = 0; index < sizeof bytes; ++index) number |= static_cast<Number>(bytes[index]) << 8 * index;
    return true;
}

template <typename Number>
void writeNumber(Number number) {
    for (size_t index = 0; index < sizeof number; ++index) std::putchar(static_cast<int>(number >> 8 * index & 0xff));
}

bool carryOut(Board& board, int command) {
    uint32_t count;
    uint64_t cycles;
    uint8_t level;
    switch (command) {
    case 'W':
        if (!readNumber(count)) return false;
        for (uint8_t byte; count > 0; --count) {
            if (!readNumber(byte)) return false;
            board.send(byte);
        }
        return true;
    case 'R':
        if (!readNumber(cycles)) return false;
        board.run(cycles);
        writeNumber(board.cycle());
        writeNumber(static_cast<uint32_t>(board.received().size()));
        for (const uint8_t byte : board.received()) std::putchar(byte);
        return std::fflush(stdout) == 0;
    case 'B':
        if (!readNumber(level) || !readNumber(cycles)) return false;
        board.holdButton(level, cycles);
        writeNumber(board.cycle());
        return std::fflush(stdout) == 0;
    default:
        std::fprintf(stderr, "command must be W, R or B, not %d\n", command);
        std::exit(2);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "arguments must be clock frequency, baud and button, not %d\n", argc - 1);
        return 2;
    }
    Verilated::commandArgs(argc, argv);  // further ones are the model's
    Board board{std::strtoull(argv[1], nullptr, 10), std::strtoull(argv[2], nullptr, 10),
                static_cast<int>(std::strtol(argv[3], nullptr, 10))};
    for (int command; (command = std::getchar()) != EOF;) {
        if (!carryOut(board, command)) return 1;
    }
    return 0;
}
