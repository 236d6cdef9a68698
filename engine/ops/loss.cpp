#include "engine/ops.h"

namespace stp {

Tensor log_softmax(Tape* tape, const Tensor& x) {
  check(x.shape().rank() >= 1 && x.size(-1) > 0, "log_softmax: x is {}, wanted (..., A)", x.shape());
  const std::int64_t rows = x.shape().rows();
  const int A = static_cast<int>(x.size(-1));
  Tensor out(x.backend(), x.shape());
  x.backend().run(&KernelTable::log_softmax_forward,
                  {.x = x.f32(), .out = out.out().f32(), .rows = rows, .A = A});
  if (!records(tape, {x})) return out;
  tape->record({out}, [x = x.slot(), out, rows, A] {
    const LogSoftmaxBackward backward = {
        .out = out.f32(), .dout = out.gradient().f32(), .dx = x.grad(), .rows = rows, .A = A};
    out.backend().run(&KernelTable::log_softmax_backward, backward);
  });
  return out;
}

Tensor cross_entropy(Tape* tape, const Tensor& logits, const Indices& labels) {
  check(logits.shape().rank() == 2 && logits.size(0) > 0 && labels.shape() == Shape{logits.size(0)},
        "cross_entropy: logits are {}, labels {}, wanted (B, A) and (B)", logits.shape(), labels.shape());
  const Backend& backend = logits.backend();
  const int B = static_cast<int>(logits.size(0)), A = static_cast<int>(logits.size(1));
  const bool recording = records(tape, {logits});
  Tensor loss(backend, {1}), probabilities;
  if (recording) probabilities = Tensor(backend, logits.shape());
  const CrossEntropyForward forward = {.logits = logits.f32(),
                                       .labels = labels.data(),
                                       .loss = loss.out().f32(),
                                       .probabilities = probabilities.out().f32(),
                                       .B = B,
                                       .A = A};
  backend.run(&KernelTable::cross_entropy_forward, forward);
  if (!recording) return loss;
  tape->record({loss}, [logits = logits.slot(), labels, loss = loss.slot(), probabilities, B, A] {
    const CrossEntropyBackward backward = {.probabilities = probabilities.f32(),
                                           .labels = labels.data(),
                                           .dloss = loss.gradient().f32(),
                                           .dlogits = logits.grad(),
                                           .B = B,
                                           .A = A};
    loss.backend().run(&KernelTable::cross_entropy_backward, backward);
  });
  return loss;
}

Tensor binary_cross_entropy(Tape* tape, const Tensor& logits, const Tensor& targets, float limit) {
  check(logits.shape().rank() == 2 && logits.elements() > 0 && targets.shape() == logits.shape(),
        "binary_cross_entropy: logits are {}, targets {}, wanted (B, A) twice", logits.shape(),
        targets.shape());
  const Backend& backend = logits.backend();
  const int B = static_cast<int>(logits.size(0)), A = static_cast<int>(logits.size(1));
  Tensor loss(backend, {1});
  const BinaryCrossEntropyForward forward = {.logits = logits.f32(),
                                             .targets = targets.f32(),
                                             .loss = loss.out().f32(),
                                             .B = B,
                                             .A = A,
                                             .limit = limit};
  backend.run(&KernelTable::binary_cross_entropy_forward, forward);
  if (!records(tape, {logits})) return loss;
  tape->record({loss}, [logits, targets, loss = loss.slot(), B, A, limit] {
    const BinaryCrossEntropyBackward backward = {.logits = logits.f32(),
                                                 .targets = targets.f32(),
                                                 .dloss = loss.gradient().f32(),
                                                 .dlogits = logits.grad(),
                                                 .B = B,
                                                 .A = A,
                                                 .limit = limit};
    loss.backend().run(&KernelTable::binary_cross_entropy_backward, backward);
  });
  return loss;
}

Tensor squared_error(Tape* tape, const Tensor& x, const Tensor& target) {
  check(x.elements() > 0 && x.elements() == target.elements(), "squared_error: x is {}, target {}", x.shape(),
        target.shape());
  const Backend& backend = x.backend();
  const Tensor partial(backend, {2 * SquaredErrorForward::kParts});  // doubles
  Tensor loss(backend, {1});
  const SquaredErrorForward forward = {.x = x.in(),
                                       .target = target.f32(),
                                       .loss = loss.out().f32(),
                                       .partial = static_cast<double*>(partial.out().data),
                                       .count = x.elements()};
  backend.run(&KernelTable::squared_error_forward, forward);
  if (!records(tape, {x})) return loss;
  tape->record({loss}, [x, target, loss = loss.slot()] {
    const SquaredErrorBackward backward = {.x = x.in(),
                                           .target = target.f32(),
                                           .dloss = loss.gradient().f32(),
                                           .dx = x.grad(),
                                           .count = x.elements()};
    x.backend().run(&KernelTable::squared_error_backward, backward);
  });
  return loss;
}

Tensor ratio_loss(Tape* tape, const Tensor& keep, std::int64_t segments, float ratio) {
  check(segments > 0 && keep.elements() > 0 && keep.elements() % segments == 0,
        "ratio_loss: keep is {}, wanted {} segments of equal size", keep.shape(), segments);
  const Backend& backend = keep.backend();
  const int P = static_cast<int>(keep.elements() / segments), count = static_cast<int>(segments);
  Tensor loss(backend, {1}), means(backend, {segments});
  const RatioLossForward forward = {.keep = keep.f32(),
                                    .loss = loss.out().f32(),
                                    .means = means.out().f32(),
                                    .segments = count,
                                    .P = P,
                                    .ratio = ratio};
  backend.run(&KernelTable::ratio_loss_forward, forward);
  if (!records(tape, {keep})) return loss;
  tape->record({loss}, [keep = keep.slot(), loss = loss.slot(), means, count, P, ratio] {
    const RatioLossBackward backward = {.means = means.f32(),
                                        .dloss = loss.gradient().f32(),
                                        .dkeep = keep.grad(),
                                        .segments = count,
                                        .P = P,
                                        .ratio = ratio};
    loss.backend().run(&KernelTable::ratio_loss_backward, backward);
  });
  return loss;
}

}  // namespace stp
