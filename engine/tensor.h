// Tensors: value handles on row-major, contiguous storage that holds values and, if wanted, their gradient.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/memory.h"
#include "engine/shape.h"
#include "kernels/element.h"

namespace stp {

// A piece of device memory that goes back to its pool with the last owner.
class Buffer {
 public:
  Buffer(const Backend& backend, std::size_t bytes)
      : backend_(backend), data_(backend.allocate(bytes)), bytes_(bytes) {}
  ~Buffer() { backend_.release(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  const Backend& backend() const { return backend_; }

 private:
  Backend backend_;
  void* data_;
  std::size_t bytes_;
};

// A Buffer that is taken from the pool, unset, when it is first asked for, and can go back there.
class LazyBuffer {
 public:
  LazyBuffer(const Backend& backend, std::size_t bytes) : backend_(backend), bytes_(bytes) {}
  LazyBuffer(const LazyBuffer&) = delete;
  LazyBuffer& operator=(const LazyBuffer&) = delete;

  const Buffer& taken();
  const Buffer* present() const { return buffer_.get(); }  // null if it is not there
  std::uint64_t times() const { return times_; }           // how often it was taken
  void give_back() { buffer_.reset(); }

 private:
  Backend backend_;
  std::size_t bytes_;
  std::uint64_t times_ = 0;
  std::unique_ptr<Buffer> buffer_;
};

// Copying a Tensor shares its values and its gradient. An empty Tensor stands for "not given".
//
// The gradient comes to life with the first contribution: grad() hands a kernel the place to contribute to and
// whether something is there already, so nothing is ever filled with zeros first. It is null while not wanted.
class Tensor {
 public:
  Tensor() = default;
  Tensor(const Backend& backend, const Shape& shape, Element type = Element::f32);  // values unset
  static Tensor zeros(const Backend& backend, const Shape& shape);
  static Tensor filled(const Backend& backend, const Shape& shape, float value);
  static Tensor from(const Backend& backend, const Shape& shape, std::span<const float> values);
  // A window, from element `first`, on memory that many share: how parameters lie in one allocation. Its
  // gradient comes to life as any other, in memory that is taken for all of them. `rounded`, if given, is a
  // copy of the values in bf16.
  struct Shared {
    std::shared_ptr<Buffer> values;
    std::shared_ptr<LazyBuffer> gradients;
    std::shared_ptr<Buffer> rounded;
  };
  static Tensor window(const Shape& shape, Shared memory, std::size_t first);

  explicit operator bool() const { return slot_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::int64_t size(int dimension) const { return shape_[dimension]; }
  int extent(int dimension) const { return static_cast<int>(size(dimension)); }  // as kernels of images count
  std::int64_t elements() const { return shape_.elements(); }
  Element type() const { return type_; }
  const Backend& backend() const;

  // The same values and gradient under another shape of as many elements; records nothing.
  Tensor reshape(const Shape& shape) const;
  // The same values without their gradient: what a frozen player sees.
  Tensor detach() const;
  // The same gradient without the values: what a backward captures of a tensor whose values it does not read,
  // so that their memory can go.
  Tensor slot() const;

  // Values that are cheaper to compute again than to keep: `again` computes them, to the same bits. A backward
  // that reads them captures lean(), which holds their memory only if nothing is known to compute them, and
  // reads whole() of that.
  const Tensor& set_again(std::function<Tensor()> again);
  Tensor lean() const;
  Tensor whole() const;
  // What a backward keeps of a tensor that it reads for the gradient of `other` only: lean() if that is wanted,
  // slot() if not.
  Tensor kept_for(const Tensor& other) const { return other.wants_gradient() ? lean() : slot(); }

  bool wants_gradient() const;
  const Tensor& set_wants_gradient(bool wanted) const;
  bool has_gradient() const;  // something was contributed

  In in() const;              // null if this tensor is not given
  In in(Element type) const;  // null too if its values are not kept in this type
  Out out() const;            // likewise
  const float* f32() const;   // likewise; the type must be f32
  // The values as a place that a kernel overwrites, for contracts that ask for a Grad.
  Grad overwritten() const { return {out().data, type_, false}; }
  // The place for the next contribution; null if not given or not wanted. Marks the gradient as contributed to.
  Grad grad() const;
  In gradient() const;  // what has been contributed; has_gradient() must hold
  void clear_gradient() const;
  // Zeros as a first contribution where there was none: for who reads the gradients of all windows at once.
  void complete_gradient() const;
  // The backward of an identity: contributes the gradient of `from`, which has as many elements. Nobody reads
  // it again, so the memory itself changes hands where it can.
  void take_gradient(const Tensor& from) const;
  // Asks that the gradient stay readable after it was passed on.
  const Tensor& keep_gradient() const;

  // Copies to and from the host; bf16 is converted.
  std::vector<float> values() const;
  std::vector<float> gradient_values() const;  // zeros if nothing was contributed
  void assign(std::span<const float> values) const;
  float item() const;  // the value of a tensor of one element

 private:
  struct Slot;
  Shape shape_;
  Element type_ = Element::f32;
  std::size_t first_ = 0;            // element of the buffers where this tensor begins
  std::shared_ptr<Buffer> values_;   // null in a slot()
  std::shared_ptr<Buffer> rounded_;  // of a window
  std::shared_ptr<Slot> slot_;
  std::shared_ptr<const std::function<Tensor()>> again_;  // computes values_
};

// int32 values, never differentiable: class labels, positions of kept tokens, offsets of clips.
class Indices {
 public:
  Indices() = default;
  Indices(const Backend& backend, const Shape& shape);  // values unset
  static Indices from(const Backend& backend, const Shape& shape, std::span<const int> values);

  explicit operator bool() const { return buffer_ != nullptr; }
  const Shape& shape() const { return shape_; }
  const Backend& backend() const { return buffer_->backend(); }
  Indices reshape(const Shape& shape) const;
  Indices first(std::int64_t count) const;  // the leading values, as (count)
  const int* data() const { return buffer_ ? static_cast<const int*>(buffer_->data()) : nullptr; }
  int* mutable_data() const { return buffer_ ? static_cast<int*>(buffer_->data()) : nullptr; }
  std::vector<int> values() const;

 private:
  Shape shape_;
  std::shared_ptr<Buffer> buffer_;
};

// 8-bit pixels, never differentiable.
class Bytes {
 public:
  Bytes() = default;
  Bytes(const Backend& backend, const Shape& shape);  // values unset
  static Bytes from(const Backend& backend, const Shape& shape, std::span<const std::uint8_t> values);

  explicit operator bool() const { return buffer_ != nullptr; }
  const Shape& shape() const { return shape_; }
  const Backend& backend() const { return buffer_->backend(); }
  const std::uint8_t* data() const {
    return buffer_ ? static_cast<const std::uint8_t*>(buffer_->data()) : nullptr;
  }
  std::uint8_t* mutable_data() const { return static_cast<std::uint8_t*>(buffer_->data()); }
  std::vector<std::uint8_t> values() const;

 private:
  Shape shape_;
  std::shared_ptr<Buffer> buffer_;
};

}  // namespace stp
