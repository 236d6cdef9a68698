// The parameters of one network: one allocation for the values, one for the gradients, a name for each window.
// The gradients' is there from the first contribution until they are cleared, which a step of the optimizer
// does: networks that learn in turns use the same memory for it, one after another.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace stp {

// How a parameter starts.
struct Init {
  enum class Kind { zeros, ones, normal, uniform } kind = Kind::zeros;
  double scale = 0;  // normal: standard deviation, cut at two of them; uniform: half width

  static Init zeros() { return {}; }
  static Init ones() { return {Kind::ones, 0}; }
  static Init normal(double deviation) { return {Kind::normal, deviation}; }
  static Init uniform(double half_width) { return {Kind::uniform, half_width}; }
};

struct Parameter {
  std::string name;  // of the released model's state dict, e.g. blocks.0.attn.qkv.weight
  Shape shape;
  Init init;
  std::int64_t begin = 0;  // first element in the allocation
  bool learns = true;      // by gradients; a statistic does not
  Tensor tensor;
};

class Parameters;

// A place in the tree of names, from which layers take their tensors.
class ParameterScope {
 public:
  ParameterScope operator/(const std::string& name) const { return {parameters_, prefix_ + name + "."}; }
  ParameterScope operator/(std::int64_t index) const { return *this / std::to_string(index); }
  // The tensor called `name` here. Empty while the network is being measured.
  Tensor take(const std::string& name, const Shape& shape, Init init) const;
  // The same for a statistic that forward passes keep, as batch norm does: it lies and is saved with the
  // parameters, and no gradient, optimizer or thawing reaches it.
  Tensor take_statistic(const std::string& name, const Shape& shape, Init init) const;

 private:
  friend class Parameters;
  ParameterScope(Parameters* parameters, std::string prefix)
      : parameters_(parameters), prefix_(std::move(prefix)) {}
  Parameters* parameters_;
  std::string prefix_;
};

// From which the values of a network are drawn. Without one they are zeros: a network that is about to be
// loaded would draw millions of normal numbers, which take seconds, for nothing.
using Seed = std::optional<std::uint64_t>;

// Built by running `construct` twice: once to learn names and shapes, once, after the allocation, to bind the
// tensors. So a network names each parameter in one place.
class Parameters {
 public:
  // With `storage` bf16 a rounded copy of all values stands beside them, for products with activations in
  // bf16; assigning and the optimizer keep it true.
  Parameters(const Backend& backend, const Seed& seed, const std::function<void(ParameterScope)>& construct,
             Element storage = Element::f32);
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  const std::vector<Parameter>& all() const { return all_; }
  const Parameter* find(const std::string& name) const;  // null if there is none
  std::int64_t elements() const { return elements_; }
  const Backend& backend() const { return backend_; }

  float* values() const { return static_cast<float*>(memory_.values->data()); }
  float* gradients() const;  // of all: zeros where nothing was contributed
  Out rounded() const { return memory_.rounded ? Out{memory_.rounded->data(), Element::bf16} : Out{}; }

  // A frozen network passes gradients on to its inputs and computes none for its parameters.
  void freeze(bool frozen) const;
  // They are zeros from here on, and their memory is free for others.
  void clear_gradients() const { memory_.gradients->give_back(); }
  // Starts again from `seed`: what an attacker's restart does.
  void initialise(std::uint64_t seed) const;

 private:
  friend class ParameterScope;
  Tensor take(const std::string& name, const Shape& shape, Init init, bool learns);

  Backend backend_;
  std::vector<Parameter> all_;
  std::int64_t elements_ = 0;
  bool bound_ = false;
  std::size_t next_ = 0;  // of all_, while binding
  Tensor::Shared memory_;
};

// Freezes parameters for the time of its life: gradients pass through a frozen network to its input.
class Frozen {
 public:
  explicit Frozen(const Parameters& parameters) : parameters_(parameters) { parameters_.freeze(true); }
  ~Frozen() { parameters_.freeze(false); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  const Parameters& parameters_;
};

}  // namespace stp
