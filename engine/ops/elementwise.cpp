#include "engine/ops.h"

namespace stp {

Tensor gelu(Tape* tape, const Tensor& x) {
  Tensor out(x.backend(), x.shape(), x.type());
  x.backend().run(&KernelTable::gelu_forward, {.x = x.in(), .out = out.out(), .count = x.elements()});
  if (!records(tape, {x})) return out;
  tape->record({out}, [=] {
    x.backend().run(&KernelTable::gelu_backward,
                    {.x = x.in(), .dout = out.gradient(), .dx = x.grad(), .count = x.elements()});
  });
  return out;
}

}  // namespace stp
