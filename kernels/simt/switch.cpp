// The switch by hand on x86-64 and AArch64: a dozen instructions. Elsewhere, or with STP_PORTABLE_SWITCH, by
// ucontext, which makes a system call each time and is some thirty times slower.
#include "kernels/simt/switch.h"

#include <cstdint>

#if !defined(STP_PORTABLE_SWITCH) && (defined(__x86_64__) || defined(__aarch64__))

#ifdef __x86_64__
// The callee-saved registers go onto the old stack; what ret finds on the new one is where to go on.
asm(R"(
.text
.p2align 4
.globl stp_simt_switch
.type stp_simt_switch, @function
stp_simt_switch:
  endbr64
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size stp_simt_switch, .-stp_simt_switch
)");

namespace stp::simt {

void* prepare_stack(void* top, void (*entry)()) {
  // A function begins with its stack 8 bytes off a multiple of 16, as a call leaves it.
  auto* stack =
      reinterpret_cast<std::uintptr_t*>(static_cast<char*>(top) - reinterpret_cast<std::uintptr_t>(top) % 16);
  *--stack = 0;  // entry's return address
  *--stack = reinterpret_cast<std::uintptr_t>(entry);
  for (int saved = 0; saved < 6; ++saved) *--stack = 0;
  return stack;
}

}  // namespace stp::simt

#else
asm(R"(
.text
.p2align 4
.globl stp_simt_switch
.type stp_simt_switch, %function
stp_simt_switch:
  stp x19, x20, [sp, #-160]!
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  ldp x19, x20, [sp], #160
  ret
.size stp_simt_switch, .-stp_simt_switch
)");

namespace stp::simt {

void* prepare_stack(void* top, void (*entry)()) {
  auto* stack =
      reinterpret_cast<std::uintptr_t*>(static_cast<char*>(top) - reinterpret_cast<std::uintptr_t>(top) % 16);
  stack -= 20;
  for (int saved = 0; saved < 20; ++saved) stack[saved] = 0;
  stack[11] = reinterpret_cast<std::uintptr_t>(entry);  // x30
  return stack;
}

}  // namespace stp::simt
#endif

#else  // portable
#include <ucontext.h>

#include <cstddef>
#include <new>

namespace stp::simt {
namespace {

// A fresh fiber's context lies at the top of its stack, a paused one's in the frame of the switch that paused
// it.
struct Paused {
  ucontext_t context;
};

}  // namespace

extern "C" void stp_simt_switch(void** from, void* to) {
  Paused here;
  *from = &here;
  swapcontext(&here.context, &static_cast<Paused*>(to)->context);
}

void* prepare_stack(void* top, void (*entry)()) {
  constexpr std::size_t kStack = 48 * 1024;
  char* end = static_cast<char*>(top) - sizeof(Paused);
  end -= reinterpret_cast<std::uintptr_t>(end) % 64;
  auto* fresh = new (end) Paused;
  getcontext(&fresh->context);
  fresh->context.uc_stack.ss_sp = end - kStack;
  fresh->context.uc_stack.ss_size = kStack;
  fresh->context.uc_link = nullptr;
  makecontext(&fresh->context, entry, 0);
  return fresh;
}

}  // namespace stp::simt
#endif
