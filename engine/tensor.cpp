#include "engine/tensor.h"

#include <utility>

namespace stp {

struct Tensor::Slot {
  explicit Slot(const Backend& device) : backend(device) {}

  Backend backend;
  std::shared_ptr<LazyBuffer> shared;  // of a window: where its gradient lies among others
  std::shared_ptr<Buffer> own;         // of another tensor: null until the first contribution
  bool wants_gradient = false;
  bool kept = false;

  bool contributed() const {
    return shared ? shared->present() != nullptr && since_ == shared->times() : since_ != 0;
  }
  // Notes a contribution; whether there was one before.
  bool contribute() {
    const bool before = contributed();
    since_ = shared ? shared->times() : 1;
    return before;
  }
  void forget() { since_ = 0; }
  // The memory for the gradient, taken now if it is not there; a tensor of its own has so many bytes.
  const Buffer& gradients(std::size_t bytes) {
    if (shared) return shared->taken();
    if (!own) own = std::make_shared<Buffer>(backend, bytes);
    return *own;
  }

 private:
  std::uint64_t since_ = 0;  // which taking of the memory the contributions lie in; 0: there are none
};

namespace {

std::size_t bytes(std::int64_t elements, Element type) {
  return static_cast<std::size_t>(elements) * bytes_of(type);
}

void* element(const Buffer& buffer, std::size_t index, Element type) {
  return static_cast<char*>(buffer.data()) + index * bytes_of(type);
}

std::vector<float> download(const Backend& backend, const void* from, std::int64_t elements, Element type) {
  std::vector<float> host(static_cast<std::size_t>(elements));
  const DeviceMemory& memory = backend.kernels().memory;
  if (type == Element::f32) {
    memory.download(host.data(), from, host.size() * sizeof(float));
  } else {
    std::vector<std::uint16_t> halves(host.size());
    memory.download(halves.data(), from, halves.size() * sizeof(std::uint16_t));
    for (std::size_t i = 0; i < host.size(); ++i) host[i] = from_bf16(halves[i]);
  }
  return host;
}

}  // namespace

const Buffer& LazyBuffer::taken() {
  if (!buffer_) {
    buffer_ = std::make_unique<Buffer>(backend_, bytes_);
    ++times_;
  }
  return *buffer_;
}

Tensor::Tensor(const Backend& backend, const Shape& shape, Element type)
    : shape_(shape),
      type_(type),
      values_(std::make_shared<Buffer>(backend, bytes(shape.elements(), type))),
      slot_(std::make_shared<Slot>(backend)) {}

Tensor Tensor::zeros(const Backend& backend, const Shape& shape) {
  Tensor t(backend, shape);
  backend.kernels().memory.zero(t.out().data, bytes(t.elements(), t.type()));
  return t;
}

Tensor Tensor::filled(const Backend& backend, const Shape& shape, float value) {
  const Tensor t(backend, shape);
  backend.run(&KernelTable::fill, {.to = t.out().f32(), .count = t.elements(), .value = value});
  return t;
}

Tensor Tensor::from(const Backend& backend, const Shape& shape, std::span<const float> values) {
  Tensor t(backend, shape);
  t.assign(values);
  return t;
}

Tensor Tensor::window(const Shape& shape, Shared memory, std::size_t first) {
  Tensor t;
  t.shape_ = shape;
  t.first_ = first;
  t.slot_ = std::make_shared<Slot>(memory.values->backend());
  t.values_ = std::move(memory.values);
  t.rounded_ = std::move(memory.rounded);
  t.slot_->shared = std::move(memory.gradients);
  t.slot_->wants_gradient = true;
  return t;
}

const Backend& Tensor::backend() const {
  check(slot_ != nullptr, "tensor: not given");
  return slot_->backend;
}

Tensor Tensor::reshape(const Shape& shape) const {
  check(shape.elements() == elements(), "reshape: {} elements of {} do not fit {}", elements(), shape_, shape);
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::detach() const {
  Tensor t = *this;
  if (slot_) t.slot_ = std::make_shared<Slot>(slot_->backend);
  return t;
}

Tensor Tensor::slot() const {
  Tensor t = *this;
  t.values_.reset();
  t.rounded_.reset();
  t.again_.reset();
  return t;
}

const Tensor& Tensor::set_again(std::function<Tensor()> again) {
  again_ = std::make_shared<const std::function<Tensor()>>(std::move(again));
  return *this;
}

Tensor Tensor::lean() const {
  Tensor t = *this;
  if (again_) t.values_.reset();
  return t;
}

Tensor Tensor::whole() const {
  Tensor t = *this;
  if (!values_ && again_) t.values_ = (*again_)().values_;
  return t;
}

bool Tensor::wants_gradient() const { return slot_ && slot_->wants_gradient; }
const Tensor& Tensor::set_wants_gradient(bool wanted) const {
  slot_->wants_gradient = wanted;
  return *this;
}
bool Tensor::has_gradient() const { return slot_ && slot_->contributed(); }

In Tensor::in() const { return values_ ? In{element(*values_, first_, type_), type_} : In{}; }
In Tensor::in(Element type) const {
  if (type == type_) return in();
  return rounded_ && type == Element::bf16 ? In{element(*rounded_, first_, type), type} : In{};
}
Out Tensor::out() const { return values_ ? Out{element(*values_, first_, type_), type_} : Out{}; }
const float* Tensor::f32() const {
  check(type_ == Element::f32, "tensor {}: stored in bf16 where f32 is needed", shape_);
  return in().f32();
}

Grad Tensor::grad() const {
  if (!wants_gradient()) return {};
  void* const place = element(slot_->gradients(bytes(elements(), type_)), first_, type_);
  return {place, type_, slot_->contribute()};
}

In Tensor::gradient() const {
  check(has_gradient(), "tensor {}: no gradient was contributed", shape_);
  return {element(slot_->gradients(bytes(elements(), type_)), first_, type_), type_};
}

void Tensor::clear_gradient() const {
  slot_->own.reset();
  slot_->forget();
}

void Tensor::complete_gradient() const {
  if (has_gradient()) return;
  const std::size_t size = bytes(elements(), type_);
  backend().kernels().memory.zero(element(slot_->gradients(size), first_, type_), size);
  slot_->contribute();
}

void Tensor::take_gradient(const Tensor& from) const {
  if (!wants_gradient() || !from.has_gradient()) return;
  check(from.elements() == elements() && from.type() == type(), "take_gradient: {} from {}", shape_,
        from.shape_);
  const bool movable = !slot_->shared && !has_gradient() && !from.slot_->shared && !from.slot_->kept;
  if (movable) {
    slot_->own = std::move(from.slot_->own);
    slot_->contribute();
    from.clear_gradient();
  } else {
    backend().run(&KernelTable::accumulate, {.from = from.gradient(), .to = grad(), .count = elements()});
  }
}

const Tensor& Tensor::keep_gradient() const {
  slot_->kept = true;
  return *this;
}

std::vector<float> Tensor::values() const { return download(backend(), in().data, elements(), type()); }

std::vector<float> Tensor::gradient_values() const {
  if (!has_gradient()) return std::vector<float>(static_cast<std::size_t>(elements()), 0.0f);
  return download(backend(), gradient().data, elements(), type());
}

void Tensor::assign(std::span<const float> values) const {
  check(values.size() == static_cast<std::size_t>(elements()), "assign: {} values for a tensor {}",
        values.size(), shape_);
  const DeviceMemory& memory = backend().kernels().memory;
  if (type() == Element::f32) {
    memory.upload(out().data, values.data(), values.size_bytes());
    if (!rounded_) return;
    const Grad copy = {element(*rounded_, first_, Element::bf16), Element::bf16, false};
    return backend().run(&KernelTable::accumulate, {.from = in(), .to = copy, .count = elements()});
  }
  std::vector<std::uint16_t> halves(values.size());
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = to_bf16(values[i]);
  memory.upload(out().data, halves.data(), halves.size() * sizeof(std::uint16_t));
}

float Tensor::item() const {
  check(elements() == 1, "item: tensor {} has not one element", shape_);
  return values()[0];
}

Indices::Indices(const Backend& backend, const Shape& shape)
    : shape_(shape),
      buffer_(std::make_shared<Buffer>(backend, static_cast<std::size_t>(shape.elements()) * sizeof(int))) {}

Indices Indices::from(const Backend& backend, const Shape& shape, std::span<const int> values) {
  check(values.size() == static_cast<std::size_t>(shape.elements()), "indices: {} values for {}", values.size(),
        shape);
  Indices t(backend, shape);
  backend.kernels().memory.upload(t.mutable_data(), values.data(), values.size_bytes());
  return t;
}

Indices Indices::reshape(const Shape& shape) const {
  check(shape.elements() == shape_.elements(), "reshape: {} does not fit {}", shape_, shape);
  Indices t = *this;
  t.shape_ = shape;
  return t;
}

Indices Indices::first(std::int64_t count) const {
  check(count >= 0 && count <= shape_.elements(), "first: {} values of {}", count, shape_);
  Indices t = *this;
  t.shape_ = {count};
  return t;
}

std::vector<int> Indices::values() const {
  std::vector<int> host(static_cast<std::size_t>(shape_.elements()));
  backend().kernels().memory.download(host.data(), data(), host.size() * sizeof(int));
  return host;
}

Bytes::Bytes(const Backend& backend, const Shape& shape)
    : shape_(shape), buffer_(std::make_shared<Buffer>(backend, static_cast<std::size_t>(shape.elements()))) {}

Bytes Bytes::from(const Backend& backend, const Shape& shape, std::span<const std::uint8_t> values) {
  check(values.size() == static_cast<std::size_t>(shape.elements()), "bytes: {} values for {}", values.size(),
        shape);
  Bytes t(backend, shape);
  backend.kernels().memory.upload(t.mutable_data(), values.data(), values.size());
  return t;
}

std::vector<std::uint8_t> Bytes::values() const {
  std::vector<std::uint8_t> host(static_cast<std::size_t>(shape_.elements()));
  backend().kernels().memory.download(host.data(), data(), host.size());
  return host;
}

}  // namespace stp
