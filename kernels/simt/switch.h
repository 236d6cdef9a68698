// Changing the stack a processor runs on: a fiber is a stack and the point where it left off.
#pragma once

namespace stp::simt {

// Saves where the caller is into *from and goes on at `to`. Returns when somebody switches back.
extern "C" void stp_simt_switch(void** from, void* to);

// What to switch to for calling entry() on a fresh stack whose highest address is `top`. entry never returns.
void* prepare_stack(void* top, void (*entry)());

}  // namespace stp::simt
