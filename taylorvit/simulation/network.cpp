// A network accelerator under Verilator: a host at its registers, a memory with the tape, a source of images and a sink
// of logits, all in C++, since that is five times as fast as a bench in Python.
//
// Carries out the lines of standard input, and answers each with a line on standard output:
//
//   write OFFSET WORD     a register; answer: written RESPONSE CYCLE
//   read OFFSET           a register; answer: value WORD RESPONSE
//   fill OFFSET           writes the whole tape, word by word, to one register; answer: written RESPONSE CYCLE
//   run CYCLES IMAGES     offers so many images more, and runs until the interrupt, at most so many cycles. A line for each
//                         image whose logits have come: image CYCLE COUNT; then the answer: interrupt CYCLE or limit CYCLE
//
// It ends with the end of its input. Arguments are NAME=VALUE; all of them are needed but the last three:
//
//   tape=FILE             the tape, which is at address 0 of the memory; other addresses answer DECERR
//   tape_bytes=N          of a beat
//   bytes_per_cycle=X     what the memory delivers, at most; a fraction will do
//   latency=N             cycles from the address of a burst to its first beat
//   images=FILE           beats of all images, one after another; image_beats=N of an image, image_bytes=N of a beat
//   logits=FILE           where the logits go, 32 bits each
//   pauses=N seed=N       each channel rests in so many of 256 cycles, at random
//   waves=FILE            a waveform, if the model was built for one
//   probes=FILE trace=FILE    what is written into memories of the design. A line of the first names a scope, which has
//                         the signals write_enable, write_address and write_data; of each write, the second gets the line's
//                         number, address and data, 32 bits each
//
// A port that was not built (an AXI4 master where the tape comes as a stream) is a member that the model does not have.
#include <poll.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "Vdesign.h"
#include "verilated.h"
#include "verilated_syms.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

enum Response : unsigned { OKAY = 0, SLVERR = 2, DECERR = 3 };
constexpr int RESET_CYCLES = 64;
constexpr uint64_t ACCESS_LIMIT = 10000;  // cycles that a register may take to answer
constexpr uint64_t CYCLES_BETWEEN_LOOKS = 1 << 16;
constexpr uint64_t CLOCK_PERIOD_PS = 10000;  // of waveforms

// Standard input is a pipe that ends with whoever has started this program.
bool starterIsGone() {
    pollfd input{0, 0, 0};
    return poll(&input, 1, 0) > 0 && (input.revents & POLLHUP);
}

[[noreturn]] void fail(const std::string& text) {
    std::fprintf(stderr, "%s\n", text.c_str());
    std::exit(2);
}

std::vector<uint8_t> contentOf(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    if (!file) fail("file must be readable: " + path);
    return {std::istreambuf_iterator<char>{file}, {}};
}

class Arguments {
public:
    Arguments(int argc, char** argv) : m_count{argc}, m_words{argv} {
        for (int index = 1; index < argc; ++index) {
            const std::string text{argv[index]};
            const size_t sign = text.find('=');
            if (sign == std::string::npos) fail("argument must be NAME=VALUE, not " + text);
            m_values[text.substr(0, sign)] = text.substr(sign + 1);
        }
    }
    // Those that begin with + are the model's.
    void giveTo(VerilatedContext& context) const { context.commandArgs(m_count, m_words); }
    std::string text(const std::string& name, const std::string& absent = "") const {
        const auto found = m_values.find(name);
        return found == m_values.end() ? absent : found->second;
    }
    uint64_t number(const std::string& name) const { return std::strtoull(text(name, "0").c_str(), nullptr, 10); }
    double real(const std::string& name) const { return std::strtod(text(name, "0").c_str(), nullptr); }

private:
    const int m_count;
    char** const m_words;
    std::map<std::string, std::string> m_values;
};

// Ports are integers up to 64 bits, and beyond that arrays of words, lowest first; x86 and ARM are little-endian.
template <typename PortType>
void setBytes(PortType& port, const uint8_t* bytes, size_t count) {
    if constexpr (std::is_integral_v<PortType>) {
        port = 0;
        std::memcpy(&port, bytes, count);
    } else {
        std::memcpy(&port[0], bytes, count);
    }
}

// Whether a channel rests in a cycle.
class Pauses {
public:
    Pauses(unsigned share, uint64_t seed) : m_share{share}, m_random{static_cast<uint32_t>(seed)} {}
    bool now() { return m_share && (m_random() >> 8 & 0xff) < m_share; }

private:
    const unsigned m_share;
    std::minstd_rand m_random;
};

// Packets of beats to a stream: the same bytes for each packet, or one packet after another.
class Source {
public:
    Source(std::vector<uint8_t> data, size_t beatBytes, size_t beats, bool repeat, Pauses pauses)
        : m_data{std::move(data)}, m_beatBytes{beatBytes}, m_beats{beats}, m_repeat{repeat}, m_pauses{pauses} {
        m_padded.resize(beatBytes);
    }
    void offer(uint64_t packets) { m_packets += packets; }

    template <typename Data, typename Bit>
    void drive(Data& data, Bit& valid, Bit& last, bool allowed) {
        // What has been offered stays until it is taken.
        if (!m_valid && m_packets > 0 && allowed && !m_pauses.now()) {
            const size_t begin = ((m_repeat ? 0 : m_packet * m_beats) + m_beat) * m_beatBytes;
            std::fill(m_padded.begin(), m_padded.end(), uint8_t{0});
            if (begin < m_data.size())
                std::memcpy(m_padded.data(), &m_data[begin], std::min(m_beatBytes, m_data.size() - begin));
            setBytes(data, m_padded.data(), m_beatBytes);
            last = m_beat + 1 == m_beats;
            m_valid = true;
        }
        valid = m_valid;
    }
    // True if a beat has moved.
    bool sample(bool ready) {
        if (!m_valid || !ready) return false;
        m_valid = false;
        if (++m_beat == m_beats) {
            m_beat = 0;
            ++m_packet;
            --m_packets;
        }
        return true;
    }

private:
    const std::vector<uint8_t> m_data;
    std::vector<uint8_t> m_padded;
    const size_t m_beatBytes;
    const size_t m_beats;
    const bool m_repeat;
    Pauses m_pauses;
    uint64_t m_packets = 0;  // still to be sent
    uint64_t m_packet = 0;
    size_t m_beat = 0;
    bool m_valid = false;
};

// When the next beat of a memory of limited bandwidth may come.
class Rate {
public:
    Rate(double bytesPerCycle, size_t beatBytes) : m_spacing{static_cast<double>(beatBytes) / bytesPerCycle} {
        if (m_spacing < 1) m_spacing = 1;
    }
    bool allows(uint64_t cycle) const { return static_cast<double>(cycle) >= m_next; }
    void moved(uint64_t cycle) {
        const auto now = static_cast<double>(cycle);
        m_next = (now - m_next < 1 ? m_next : now) + m_spacing;  // a fraction of a cycle is not lost
    }

private:
    double m_spacing;
    double m_next = 0;
};

struct Burst {
    uint64_t address;
    uint64_t beats;
    uint64_t ready;  // cycle from which on its first beat may come
    bool legal;
};

// Reads of an AXI4 slave, in order, as many bursts at once as are asked for.
class Memory {
public:
    Memory(std::vector<uint8_t> data, size_t beatBytes, double bytesPerCycle, uint64_t latency, Pauses pauses)
        : m_data{std::move(data)}, m_beatBytes{beatBytes}, m_latency{latency}, m_rate{bytesPerCycle, beatBytes},
          m_pauses{pauses}, m_addressPauses{pauses} {
        m_padded.resize(beatBytes);
    }

    template <typename Design>
    void drive(Design& design, uint64_t cycle) {
        design.m_axi_tape_arready = !m_addressPauses.now();
        if (!m_valid && !m_bursts.empty() && cycle >= m_bursts.front().ready && m_rate.allows(cycle) && !m_pauses.now()) {
            const Burst& burst = m_bursts.front();
            const bool inside = burst.legal && burst.address < m_data.size();
            std::fill(m_padded.begin(), m_padded.end(), uint8_t{0});
            if (inside)
                std::memcpy(m_padded.data(), &m_data[burst.address],
                            std::min<uint64_t>(m_beatBytes, m_data.size() - burst.address));
            setBytes(design.m_axi_tape_rdata, m_padded.data(), m_beatBytes);
            design.m_axi_tape_rresp = inside ? OKAY : burst.legal ? DECERR : SLVERR;
            design.m_axi_tape_rlast = burst.beats == 1;
            m_valid = true;
        }
        design.m_axi_tape_rvalid = m_valid;
    }

    template <typename Design>
    void sample(Design& design, uint64_t cycle) {
        if (m_valid && design.m_axi_tape_rready) {
            m_valid = false;
            m_rate.moved(cycle);
            Burst& burst = m_bursts.front();
            burst.address += m_beatBytes;
            if (--burst.beats == 0) m_bursts.pop_front();
        }
        if (design.m_axi_tape_arvalid && design.m_axi_tape_arready) {
            const uint64_t address = design.m_axi_tape_araddr, beats = uint64_t{design.m_axi_tape_arlen} + 1;
            const uint64_t last = address + beats * m_beatBytes - 1;
            const bool legal = design.m_axi_tape_arburst == 1 && (size_t{1} << design.m_axi_tape_arsize) == m_beatBytes &&
                               address % m_beatBytes == 0 && address / 4096 == last / 4096;
            m_bursts.push_back({address, beats, cycle + m_latency, legal});
        }
    }

private:
    const std::vector<uint8_t> m_data;
    std::vector<uint8_t> m_padded;
    const size_t m_beatBytes;
    const uint64_t m_latency;
    Rate m_rate;
    Pauses m_pauses;
    Pauses m_addressPauses;
    std::deque<Burst> m_bursts;
    bool m_valid = false;
};

// What is written into memories of the design.
class Trace {
public:
    Trace(const std::string& probes, const std::string& path) {
        if (probes.empty()) return;
        std::ifstream scopes{probes};
        for (std::string scope; std::getline(scopes, scope);)
            m_probes.push_back({find(scope, "write_enable"), find(scope, "write_address"), find(scope, "write_data")});
        m_file.open(path, std::ios::binary);
        if (!m_file) fail("file must be writable: " + path);
    }
    void sample() {
        for (size_t index = 0; index < m_probes.size(); ++index) {
            if (!valueOf(m_probes[index].enable)) continue;
            const uint32_t record[] = {static_cast<uint32_t>(index), valueOf(m_probes[index].address),
                                       valueOf(m_probes[index].data)};
            m_file.write(reinterpret_cast<const char*>(record), sizeof record);
        }
    }
    void flush() {
        if (m_file.is_open()) m_file.flush();
    }

private:
    struct Probe {
        VerilatedVar* enable;
        VerilatedVar* address;
        VerilatedVar* data;
    };
    static VerilatedVar* find(const std::string& scope, const char* name) {
        const VerilatedScope* const found = Verilated::threadContextp()->scopeFind(scope.c_str());
        VerilatedVar* const variable = found ? found->varFind(name) : nullptr;
        if (!variable || variable->entSize() > sizeof(uint32_t)) fail("design must have the signal " + scope + "." + name);
        return variable;
    }
    static uint32_t valueOf(VerilatedVar* variable) {
        uint32_t value = 0;
        std::memcpy(&value, variable->datap(), variable->entSize());
        return value;
    }

    std::vector<Probe> m_probes;
    std::ofstream m_file;
};

template <typename Design>
class Bench {
public:
    explicit Bench(const Arguments& arguments)
        : m_context{std::make_unique<VerilatedContext>()},
          m_design{std::make_unique<Design>(m_context.get(), "")},
          m_tape{contentOf(arguments.text("tape"))},
          m_tapeBytes{arguments.number("tape_bytes")},
          m_memory{m_tape, m_tapeBytes, arguments.real("bytes_per_cycle"), arguments.number("latency"),
                   pauses(arguments, 1)},
          m_tapeStream{m_tape, m_tapeBytes, (m_tape.size() + m_tapeBytes - 1) / m_tapeBytes, true, pauses(arguments, 2)},
          m_tapeRate{arguments.real("bytes_per_cycle"), m_tapeBytes},
          m_images{contentOf(arguments.text("images")), arguments.number("image_bytes"), arguments.number("image_beats"),
                   false, pauses(arguments, 3)},
          m_sinkPauses{pauses(arguments, 4)},
          m_logits{arguments.text("logits"), std::ios::binary},
          m_trace{start(arguments), arguments.text("trace")} {
        if (!m_logits) fail("file must be writable: " + arguments.text("logits"));
        m_design->rst = 1;
        for (int count = 0; count < RESET_CYCLES; ++count) tick();
        m_design->rst = 0;
        for (int count = 0; count < RESET_CYCLES; ++count) tick();
    }
    ~Bench() { m_design->final(); }

    uint64_t cycle() const { return m_cycle; }

    unsigned write(uint32_t offset, uint32_t word) {
        m_design->s_axil_awaddr = offset;
        m_design->s_axil_wdata = word;
        m_design->s_axil_wstrb = 0xf;
        m_design->s_axil_awvalid = 1;
        m_design->s_axil_wvalid = 1;
        m_design->s_axil_bready = 1;
        bool answered = false;
        unsigned response = 0;
        for (uint64_t left = ACCESS_LIMIT; !answered; --left) {
            if (left == 0) fail("write must be answered within 10000 cycles, and was not");
            tick([&] {
                if (m_design->s_axil_bvalid) {
                    answered = true;
                    response = m_design->s_axil_bresp;
                }
                m_addressTaken = m_design->s_axil_awvalid && m_design->s_axil_awready;
                m_wordTaken = m_design->s_axil_wvalid && m_design->s_axil_wready;
            });
            if (m_addressTaken) m_design->s_axil_awvalid = 0;
            if (m_wordTaken) m_design->s_axil_wvalid = 0;
        }
        m_design->s_axil_bready = 0;
        return response;
    }

    unsigned read(uint32_t offset, uint32_t& word) {
        m_design->s_axil_araddr = offset;
        m_design->s_axil_arvalid = 1;
        m_design->s_axil_rready = 1;
        bool answered = false;
        unsigned response = 0;
        for (uint64_t left = ACCESS_LIMIT; !answered; --left) {
            if (left == 0) fail("read must be answered within 10000 cycles, and was not");
            tick([&] {
                if (m_design->s_axil_rvalid) {
                    answered = true;
                    response = m_design->s_axil_rresp;
                    word = static_cast<uint32_t>(m_design->s_axil_rdata);
                }
                m_addressTaken = m_design->s_axil_arvalid && m_design->s_axil_arready;
            });
            if (m_addressTaken) m_design->s_axil_arvalid = 0;
        }
        m_design->s_axil_rready = 0;
        return response;
    }

    unsigned fill(uint32_t offset) {
        unsigned worst = OKAY;
        for (size_t begin = 0; begin < m_tape.size(); begin += 4) {
            uint32_t word = 0;
            std::memcpy(&word, &m_tape[begin], std::min<size_t>(4, m_tape.size() - begin));
            worst = std::max(worst, write(offset, word));
        }
        return worst;
    }

    void run(uint64_t cycles, uint64_t images) {
        m_images.offer(images);
        m_tapeStream.offer(images);
        const uint64_t end = m_cycle + cycles;
        while (m_cycle < end && !interrupt()) {
            tick();
            if (m_cycle % CYCLES_BETWEEN_LOOKS == 0 && starterIsGone()) std::exit(1);
        }
        m_logits.flush();
        m_trace.flush();
        std::printf("%s %" PRIu64 "\n", interrupt() ? "interrupt" : "limit", m_cycle);
    }

private:
    static Pauses pauses(const Arguments& arguments, uint64_t channel) {
        return {static_cast<unsigned>(arguments.number("pauses")), 5 * arguments.number("seed") + channel};
    }

    // Everything is zero before the first cycle. Returns the probes, which are looked for when the model is there.
    std::string start(const Arguments& arguments) {
#if VM_TRACE
        const std::string waves = arguments.text("waves");
        if (!waves.empty()) {
            m_context->traceEverOn(true);
            m_waves = std::make_unique<VerilatedVcdC>();
            m_design->trace(m_waves.get(), 99);
            m_waves->open(waves.c_str());
        }
#endif
        Verilated::threadContextp(m_context.get());
        arguments.giveTo(*m_context);
        m_design->clk = 0;
        m_design->eval();
        return arguments.text("probes");
    }

    bool interrupt() const { return m_design->__SYM__interrupt; }

    void tick() {
        tick([] {});
    }

    // One clock cycle. What is looked at just before the edge is what the registers of the design take.
    template <typename Look>
    void tick(Look look) {
        Design& design = *m_design;
        drive(design);
        design.clk = 0;
        evaluate();
        look();
        sample(design);
        m_trace.sample();
        design.clk = 1;
        evaluate();
        ++m_cycle;
    }

    void evaluate() {
        m_design->eval();
#if VM_TRACE
        if (m_waves) m_waves->dump(CLOCK_PERIOD_PS * m_cycle + CLOCK_PERIOD_PS / 2 * m_design->clk);
#endif
    }

    template <typename Any>
    void drive(Any& design) {
        m_images.drive(design.s_axis_image_tdata, design.s_axis_image_tvalid, design.s_axis_image_tlast, true);
        design.m_axis_logits_tready = !m_sinkPauses.now();
        if constexpr (requires { design.m_axi_tape_arvalid; }) m_memory.drive(design, m_cycle);
        if constexpr (requires { design.s_axis_tape_tvalid; }) {
            m_tapeStream.drive(design.s_axis_tape_tdata, design.s_axis_tape_tvalid, design.s_axis_tape_tlast,
                               m_tapeRate.allows(m_cycle));
        }
    }

    template <typename Any>
    void sample(Any& design) {
        m_images.sample(design.s_axis_image_tready);
        if constexpr (requires { design.m_axi_tape_arvalid; }) m_memory.sample(design, m_cycle);
        if constexpr (requires { design.s_axis_tape_tvalid; }) {
            if (m_tapeStream.sample(design.s_axis_tape_tready)) m_tapeRate.moved(m_cycle);
        }
        if (design.m_axis_logits_tvalid && design.m_axis_logits_tready) {
            const auto logit = static_cast<uint32_t>(design.m_axis_logits_tdata);
            m_logits.write(reinterpret_cast<const char*>(&logit), sizeof logit);
            ++m_count;
            if (design.m_axis_logits_tlast) {
                std::printf("image %" PRIu64 " %" PRIu64 "\n", m_cycle, m_count);
                std::fflush(stdout);
                m_count = 0;
            }
        }
    }

    const std::unique_ptr<VerilatedContext> m_context;
    const std::unique_ptr<Design> m_design;
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> m_waves;
#endif
    const std::vector<uint8_t> m_tape;
    const size_t m_tapeBytes;
    Memory m_memory;
    Source m_tapeStream;
    Rate m_tapeRate;
    Source m_images;
    Pauses m_sinkPauses;
    std::ofstream m_logits;
    Trace m_trace;
    uint64_t m_cycle = 0;
    uint64_t m_count = 0;  // logits of the packet that is coming
    bool m_addressTaken = false;
    bool m_wordTaken = false;
};

void carryOut(Bench<Vdesign>& bench, const std::string& line) {
    std::istringstream words{line};
    std::string command;
    uint64_t first = 0, second = 0;
    words >> command >> first >> second;
    if (command == "write") {
        const unsigned response = bench.write(static_cast<uint32_t>(first), static_cast<uint32_t>(second));
        std::printf("written %u %" PRIu64 "\n", response, bench.cycle());
    } else if (command == "read") {
        uint32_t word = 0;
        const unsigned response = bench.read(static_cast<uint32_t>(first), word);
        std::printf("value %" PRIu32 " %u\n", word, response);
    } else if (command == "fill") {
        const unsigned response = bench.fill(static_cast<uint32_t>(first));  // the worst one
        std::printf("written %u %" PRIu64 "\n", response, bench.cycle());
    } else if (command == "run") {
        bench.run(first, second);
    } else {
        fail("command must be write, read, fill or run, not " + command);
    }
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    Bench<Vdesign> bench{Arguments{argc, argv}};
    std::string line;
    for (int letter; (letter = std::getchar()) != EOF;) {
        if (letter != '\n') {
            line += static_cast<char>(letter);
            continue;
        }
        carryOut(bench, line);
        line.clear();
    }
    return 0;
}
