// The model as cocotb's main program sees it, for any design.
//
// Verilator gives every design a class of its own, so that a main program normally has to be compiled
// again with each. This class has the members that cocotb's verilator.cpp calls, and nothing of the
// design: verilator.cpp is compiled against it once, and each design brings only model.cpp.
#pragma once

#include <cstdint>

#include "verilated.h"

class VerilatedVcdC;

class Vtop final {
public:
    explicit Vtop(const char* name);
    ~Vtop();
    void eval_step();
    void eval_end_step();
    bool eventsPending();
    uint64_t nextTimeSlot();
    void final();
    void trace(VerilatedVcdC* file, int levels);

private:
    void* m_design;
};
