// Vtop for one design: hands every call on to the class that Verilator made of it (--prefix Vdesign).
#include "Vdesign.h"
#include "Vtop.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

static Vdesign* design(void* pointer) { return static_cast<Vdesign*>(pointer); }

Vtop::Vtop(const char* name) : m_design{new Vdesign{name}} {}
Vtop::~Vtop() { delete design(m_design); }
void Vtop::eval_step() { design(m_design)->eval_step(); }
void Vtop::eval_end_step() { design(m_design)->eval_end_step(); }
bool Vtop::eventsPending() { return design(m_design)->eventsPending(); }
uint64_t Vtop::nextTimeSlot() { return design(m_design)->nextTimeSlot(); }
void Vtop::final() { design(m_design)->final(); }
#if VM_TRACE
void Vtop::trace(VerilatedVcdC* file, int levels) { design(m_design)->trace(file, levels); }
#endif
