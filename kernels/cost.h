// What a kernel must do at the least, whoever writes it: the floor that benches and profiles divide by. Each
// contract has an overload `Cost cost(const XForward&)` beside it; the overloads count every input once and
// every output once, whatever an implementation reads again. Where the values of inputs decide how much there
// is to do, it takes a `Known` too and counts what they leave.
#pragma once

namespace stp {

struct Cost {
  double flops = 0;  // multiplications and additions of the formula
  double bytes = 0;  // inputs + outputs, each once
  double exps = 0;   // transcendental evaluations (exp, log, erf, tanh)

  Cost& operator+=(const Cost& other) {
    flops += other.flops;
    bytes += other.bytes;
    exps += other.exps;
    return *this;
  }
};

// What may be known of a call besides its sizes: the values of inputs where the host reads their memory.
enum class Known { sizes, values };
template <class Args>
Cost cost(const Args& args, Known) {
  return cost(args);
}

}  // namespace stp
