#include "tests/harness/verify.h"

#include <algorithm>
#include <cstring>

#include "engine/rng.h"

namespace stp::test {

namespace {

constexpr double kStep = 1e-5;             // of central differences: error about step^2 + 1e-16 / step
constexpr std::size_t kDifferences = 160;  // inputs with more elements are sampled

std::vector<Doubles> in_double(const OpCase& c) {
  std::vector<Doubles> inputs;
  for (const CaseInput& i : c.inputs) inputs.emplace_back(i.values.begin(), i.values.end());
  return inputs;
}

Tensor tensor_of(const CaseInput& input, const Backend& backend, Element storage) {
  if (storage == Element::f32 || !input.activation) return Tensor::from(backend, input.shape, input.values);
  const Tensor stored(backend, input.shape, storage);
  stored.assign(input.values);
  return stored;
}

// Inputs as tensors; those of `wanted` (by index) want a gradient.
std::vector<Tensor> tensors(const OpCase& c, const Backend& backend, const std::vector<bool>& wanted) {
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    inputs.push_back(tensor_of(c.inputs[i], backend, c.storage));
    inputs.back().set_wants_gradient(wanted[i]);
  }
  return inputs;
}

std::vector<bool> differentiable(const OpCase& c) {
  std::vector<bool> wanted;
  for (const CaseInput& i : c.inputs) wanted.push_back(i.differentiable);
  return wanted;
}

// The direction in which outputs are differentiated: loss = sum of output times direction.
std::vector<float> direction(const OpCase& c, std::size_t output, std::size_t elements) {
  std::vector<float> up =
      normal_values(c.name + " direction " + std::to_string(output), {static_cast<std::int64_t>(elements)});
  if (c.storage == Element::bf16) round_to_bf16(up);
  return up;
}

// Contributes to the gradient of an output whose values nobody needs any more.
void contribute(const Tensor& output, const std::vector<float>& up) {
  if (!output.wants_gradient()) return;
  const Tensor typed(output.backend(), output.shape(), output.type());
  typed.assign(up);
  output.backend().run(&KernelTable::accumulate,
                       {.from = typed.in(), .to = output.grad(), .count = output.elements()});
}

std::vector<Tensor> run_backward(const OpCase& c, const std::vector<Tensor>& inputs) {
  Tape tape;
  const std::vector<Tensor> outputs = c.call(&tape, inputs);
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    contribute(outputs[o], direction(c, o, static_cast<std::size_t>(outputs[o].elements())));
  }
  tape.backward();
  return outputs;
}

// The loss of a case as a function of its inputs, in double.
class Loss {
 public:
  explicit Loss(const OpCase& c) : function_(c.differentiated ? c.differentiated : c.reference) {
    const std::vector<Doubles> outputs = function_(in_double(c));
    for (std::size_t o = 0; o < outputs.size(); ++o) directions_.push_back(direction(c, o, outputs[o].size()));
  }

  double operator()(const std::vector<Doubles>& inputs) const {
    const std::vector<Doubles> outputs = function_(inputs);
    double sum = 0;
    for (std::size_t o = 0; o < outputs.size(); ++o)
      for (std::size_t i = 0; i < outputs[o].size(); ++i) sum += outputs[o][i] * directions_[o][i];
    return sum;
  }

 private:
  std::function<std::vector<Doubles>(const std::vector<Doubles>&)> function_;
  std::vector<std::vector<float>> directions_;
};

// Which elements of an input are differentiated: all, or a sample that is a pure function of the case.
std::vector<std::size_t> sampled(const OpCase& c, std::size_t input) {
  const std::size_t n = c.inputs[input].values.size();
  std::vector<std::size_t> picks;
  if (n <= kDifferences) {
    for (std::size_t i = 0; i < n; ++i) picks.push_back(i);
    return picks;
  }
  Random random(2023, stream_id(c.name, {input}));
  for (std::size_t i = 0; i < kDifferences; ++i) picks.push_back(random.below(n));
  return picks;
}

std::string bits_differ(const std::vector<float>& a, const std::vector<float>& b, const std::string& what) {
  if (a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0) return {};
  return what + ": bits differ";
}

void add(Differences& list, std::string line) {
  if (!line.empty()) list.push_back(std::move(line));
}

}  // namespace

Differences verify_forward(const OpCase& c, const Backend& backend) {
  Differences found;
  const std::vector<Doubles> wanted = c.reference(in_double(c));
  const std::vector<Tensor> outputs =
      c.call(nullptr, tensors(c, backend, std::vector<bool>(c.inputs.size(), false)));
  if (outputs.size() != wanted.size()) return {c.name + ": number of outputs"};
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    const std::vector<float> got = outputs[o].values();
    if (got.size() != wanted[o].size())
      return {fmt::format("{}: output {} has {} values", c.name, o, got.size())};
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double error = std::abs(got[i] - wanted[o][i]);
      if (!(error <= c.tolerance.absolute + c.tolerance.relative * std::abs(wanted[o][i]))) {
        found.push_back(fmt::format("{}: output {} [{}] is {}, wanted {}", c.name, o, i, got[i], wanted[o][i]));
        break;
      }
    }
  }
  return found;
}

Differences verify_gradients(const OpCase& c, const Backend& backend) {
  Differences found;
  const std::vector<Tensor> inputs = tensors(c, backend, differentiable(c));
  run_backward(c, inputs);
  const Loss loss(c);
  std::vector<Doubles> at = in_double(c);
  for (std::size_t input = 0; input < inputs.size(); ++input) {
    if (!c.inputs[input].differentiable) continue;
    const std::vector<float> got = inputs[input].gradient_values();
    const std::vector<std::size_t> picks = sampled(c, input);
    Doubles wanted;
    for (std::size_t i : picks) {
      const double value = at[input][i];
      at[input][i] = value + kStep;
      const double above = loss(at);
      at[input][i] = value - kStep;
      const double below = loss(at);
      at[input][i] = value;
      wanted.push_back((above - below) / (2 * kStep));
    }
    double largest = 0;
    for (double w : wanted) largest = std::max(largest, std::abs(w));
    for (std::size_t p = 0; p < picks.size(); ++p) {
      const double error = std::abs(got[picks[p]] - wanted[p]);
      const Tolerance& t = c.tolerance;
      if (!(error <= t.gradient_absolute * largest + t.gradient_relative * std::abs(wanted[p]) + 1e-8)) {
        found.push_back(fmt::format("{}: gradient of {} [{}] is {}, wanted {} (largest {})", c.name,
                                    c.inputs[input].name, picks[p], got[picks[p]], wanted[p], largest));
        break;
      }
    }
  }
  return found;
}

Differences verify_null_gradients(const OpCase& c, const Backend& backend) {
  Differences found;
  const std::vector<Tensor> all = tensors(c, backend, differentiable(c));
  run_backward(c, all);
  for (std::size_t only = 0; only < c.inputs.size(); ++only) {
    if (!c.inputs[only].differentiable) continue;
    std::vector<bool> wanted(c.inputs.size(), false);
    wanted[only] = true;
    const std::vector<Tensor> inputs = tensors(c, backend, wanted);
    run_backward(c, inputs);
    const std::string what = fmt::format("{}: gradient of {} alone", c.name, c.inputs[only].name);
    add(found, bits_differ(inputs[only].gradient_values(), all[only].gradient_values(), what));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (i != only && inputs[i].has_gradient()) found.push_back(what + ": another input received one");
    }
  }
  return found;
}

Differences verify_adding(const OpCase& c, const Backend& backend) {
  Differences found;
  const std::vector<Tensor> once = tensors(c, backend, differentiable(c));
  run_backward(c, once);
  const std::vector<Tensor> twice = tensors(c, backend, differentiable(c));
  run_backward(c, twice);
  run_backward(c, twice);
  for (std::size_t i = 0; i < once.size(); ++i) {
    if (!c.inputs[i].differentiable) continue;
    const std::vector<float> one = once[i].gradient_values(), two = twice[i].gradient_values();
    double largest = 0;
    for (float g : one) largest = std::max(largest, std::abs(static_cast<double>(g)));
    for (std::size_t e = 0; e < one.size(); ++e) {
      // Sums that start from the first gradient may round once more at each of their steps.
      const double rounding = c.storage == Element::f32 ? 1e-5 : 1.0 / 128;
      if (!(std::abs(two[e] - 2.0 * one[e]) <= rounding * largest)) {
        found.push_back(fmt::format("{}: two gradients of {} [{}] make {}, one {}", c.name, c.inputs[i].name, e,
                                    two[e], one[e]));
        break;
      }
    }
  }
  return found;
}

Differences verify_guards(const Backend& backend) {
  if (backend.damaged_blocks() == 0) return {};
  return {fmt::format("{} blocks were written outside", backend.damaged_blocks())};
}

Differences verify_repeat(const OpCase& c, const Backend& backend) {
  Differences found;
  const std::vector<Tensor> first = tensors(c, backend, differentiable(c)),
                            second = tensors(c, backend, differentiable(c));
  run_backward(c, first);
  run_backward(c, second);
  for (std::size_t i = 0; i < first.size(); ++i) {
    add(found, bits_differ(first[i].gradient_values(), second[i].gradient_values(),
                           c.name + ": repeated gradient of " + c.inputs[i].name));
  }
  return found;
}

std::vector<std::vector<std::uint32_t>> all_bits(const OpCase& c, const Backend& backend) {
  std::vector<std::vector<std::uint32_t>> bits;
  const auto add_bits = [&](const std::vector<float>& values) {
    bits.emplace_back(values.size());
    std::memcpy(bits.back().data(), values.data(), values.size() * sizeof(float));
  };
  const std::vector<Tensor> inputs = tensors(c, backend, differentiable(c));
  for (const Tensor& output : run_backward(c, inputs)) add_bits(output.values());
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (c.inputs[i].differentiable) add_bits(inputs[i].gradient_values());
  return bits;
}

}  // namespace stp::test
