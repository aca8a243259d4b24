// Gives commands to a model of an SDRAM. Each line of standard input is: command, bank, address, data, mask, cycles.
// The command is one of the names below; it is given for one cycle, and nothing for the rest of them. Standard output
// has a line for each cycle: what the data pins had before the edge of the chip's clock, in hexadecimal.
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>

#include "Vdesign.h"
#include "verilated.h"

int main(int argc, char** argv) {
    const std::map<std::string, unsigned> codes{{"mode", 0},  {"refresh", 1}, {"close", 2}, {"open", 3},
                                                {"write", 4}, {"read", 5},    {"stop", 6},  {"nothing", 7}};
    Verilated::commandArgs(argc, argv);
    Vdesign design;
    std::string command;
    unsigned bank, address, data, mask, cycles;
    while (std::cin >> command >> bank >> address >> data >> mask >> cycles) {
        for (unsigned cycle = 0; cycle < cycles; ++cycle) {
            const unsigned code = cycle == 0 ? codes.at(command) : 7;
            design.command = code;
            design.ba = bank;
            design.a = address;
            design.dqm = mask;
            design.driven = code == 4;
            design.data = data;
            design.clk = 0;
            design.eval();
            std::printf("%x\n", static_cast<unsigned>(design.dq));
            std::fflush(stdout);
            design.clk = 1;
            design.eval();
        }
    }
    return 0;
}
