#include "engine/parameters.h"

#include <algorithm>
#include <cmath>

#include "engine/rng.h"

namespace stp {

namespace {

// Windows begin at multiples of a cache line, so that no vector of one parameter holds another's value.
constexpr std::int64_t kAlignment = 16;
constexpr std::int64_t aligned(std::int64_t elements) {
  return (elements + kAlignment - 1) / kAlignment * kAlignment;
}

std::vector<float> initial_values(const Parameter& p, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(p.shape.elements()));
  Random random(seed, stream_id("parameter " + p.name));
  for (float& value : values) {
    switch (p.init.kind) {
      case Init::Kind::zeros:
        break;
      case Init::Kind::ones:
        value = 1;
        break;
      case Init::Kind::uniform:
        value = static_cast<float>(random.uniform(-p.init.scale, p.init.scale));
        break;
      case Init::Kind::normal: {
        double z = random.normal();
        while (std::abs(z) > 2) z = random.normal();
        value = static_cast<float>(p.init.scale * z);
      }
    }
  }
  return values;
}

}  // namespace

Tensor ParameterScope::take(const std::string& name, const Shape& shape, Init init) const {
  return parameters_->take(prefix_ + name, shape, init, true);
}

Tensor ParameterScope::take_statistic(const std::string& name, const Shape& shape, Init init) const {
  return parameters_->take(prefix_ + name, shape, init, false);
}

Parameters::Parameters(const Backend& backend, const Seed& seed,
                       const std::function<void(ParameterScope)>& construct, Element storage)
    : backend_(backend) {
  construct(ParameterScope(this, ""));
  const auto bytes = [&](Element type) { return static_cast<std::size_t>(elements_) * bytes_of(type); };
  const auto zeros = [&](Element type) {  // the gaps between windows, too, have values
    auto buffer = std::make_shared<Buffer>(backend, bytes(type));
    backend.kernels().memory.zero(buffer->data(), buffer->bytes());
    return buffer;
  };
  memory_ = {.values = zeros(Element::f32),
             .gradients = std::make_shared<LazyBuffer>(backend, bytes(Element::f32)),
             .rounded = storage == Element::bf16 ? zeros(storage) : nullptr};
  for (Parameter& p : all_) p.tensor = Tensor::window(p.shape, memory_, static_cast<std::size_t>(p.begin));
  freeze(false);
  if (seed) initialise(*seed);
  bound_ = true;
  construct(ParameterScope(this, ""));
}

Tensor Parameters::take(const std::string& name, const Shape& shape, Init init, bool learns) {
  if (bound_) {
    const Parameter& p = all_[next_++];
    check(p.name == name && p.shape == shape, "parameters: {} was {} when measured", name, p.name);
    return p.tensor;
  }
  check(!find(name), "parameters: {} exists already", name);
  all_.push_back({name, shape, init, elements_, learns, {}});
  elements_ += aligned(shape.elements());
  return {};
}

const Parameter* Parameters::find(const std::string& name) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const Parameter& p) { return p.name == name; });
  return found == all_.end() ? nullptr : &*found;
}

float* Parameters::gradients() const {
  float* const values = static_cast<float*>(memory_.gradients->taken().data());
  const DeviceMemory& memory = backend_.kernels().memory;
  for (const Parameter& p : all_) {
    p.tensor.complete_gradient();
    const std::int64_t end = p.begin + p.shape.elements(), gap = aligned(end) - end;
    if (gap > 0) memory.zero(values + end, static_cast<std::size_t>(gap) * sizeof(float));
  }
  return values;
}

void Parameters::freeze(bool frozen) const {
  for (const Parameter& p : all_) p.tensor.set_wants_gradient(p.learns && !frozen);
}

void Parameters::initialise(std::uint64_t seed) const {
  for (const Parameter& p : all_) p.tensor.assign(initial_values(p, seed));
}

}  // namespace stp
