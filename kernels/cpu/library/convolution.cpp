// oneDNN 2 (3 renamed parts of the primitive interface: this file is the place to adapt). The library chooses
// how its operands should lie, which is mostly with 8 or 16 channels side by side; arrays that lie otherwise
// are reordered on the way in and out, a pass over memory that its products win back many times over.
#include "kernels/cpu/library/convolution.h"

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

namespace stp::cpu {

namespace {

using dnnl::memory;
using Tag = memory::format_tag;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

memory::desc floats(const memory::dims& sizes, Tag tag) { return {sizes, memory::data_type::f32, tag}; }

// The operands of a convolution, as our arrays lie or as the library likes.
struct Operands {
  memory::desc x, weight, bias, out;
  memory::dims strides, padding;

  Operands(const ConvolutionSizes& s, Tag tag)
      : x(floats({s.B, s.I, s.Y, s.X}, tag)),
        weight(floats({s.O, s.I, s.window.rows, s.window.columns}, tag)),
        bias(floats({s.O}, Tag::a)),
        out(floats({s.B, s.O, s.out_Y(), s.out_X()}, tag)),
        strides{s.window.stride, s.window.stride},
        padding{s.window.padding, s.window.padding} {}
};

// One execution: operands in the library's layouts, reordered from ours where those differ.
class Call {
 public:
  Call() : stream_(engine()) {}

  void read(int argument, const memory::desc& wanted, const memory::desc& ours, const float* data) {
    const memory given(ours, engine(), const_cast<float*>(data));
    arguments_[argument] = wanted == ours ? given : reordered(given, wanted);
  }
  // `add`: what is there is read first.
  void write(int argument, const memory::desc& wanted, const memory::desc& ours, float* data,
             bool add = false) {
    const memory given(ours, engine(), data);
    written_ = argument;
    result_ = given;
    if (wanted == ours) {
      arguments_[argument] = given;
    } else {
      arguments_[argument] = add ? reordered(given, wanted) : memory(wanted, engine());
    }
  }
  template <class Primitive>
  void run(const Primitive& primitive) {
    primitive.execute(stream_, arguments_);
    memory& made = arguments_[written_];
    if (made.get_data_handle() != result_.get_data_handle()) {
      dnnl::reorder(made, result_).execute(stream_, made, result_);
    }
    stream_.wait();
  }

 private:
  memory reordered(memory from, const memory::desc& wanted) {
    memory to(wanted, engine());
    dnnl::reorder(from, to).execute(stream_, from, to);
    return to;
  }

  dnnl::stream stream_;
  std::unordered_map<int, memory> arguments_;
  memory result_;
  int written_ = 0;
};

// What the library does forwards; its backward primitives ask for it as a hint too.
dnnl::convolution_forward::primitive_desc forward(const ConvolutionSizes& sizes, bool bias, bool add) {
  const Operands any(sizes, Tag::any);
  const auto kind = dnnl::prop_kind::forward_training;
  const auto algorithm = dnnl::algorithm::convolution_direct;
  using Desc = dnnl::convolution_forward::desc;
  const Desc operation =
      bias ? Desc(kind, algorithm, any.x, any.weight, any.bias, any.out, any.strides, any.padding, any.padding)
           : Desc(kind, algorithm, any.x, any.weight, any.out, any.strides, any.padding, any.padding);
  dnnl::primitive_attr attributes;
  if (add) {
    dnnl::post_ops after;
    after.append_sum(1.0f);
    attributes.set_post_ops(after);
  }
  return {operation, attributes, engine()};
}

}  // namespace

void convolve(const ConvolutionSizes& sizes, const float* x, const float* weight, const float* bias, float* out,
              bool add) {
  const Operands ours(sizes, Tag::abcd);
  const auto description = forward(sizes, bias != nullptr, add);
  Call call;
  call.read(DNNL_ARG_SRC, description.src_desc(), ours.x, x);
  call.read(DNNL_ARG_WEIGHTS, description.weights_desc(), ours.weight, weight);
  if (bias) call.read(DNNL_ARG_BIAS, description.bias_desc(), ours.bias, bias);
  call.write(DNNL_ARG_DST, description.dst_desc(), ours.out, out, add);
  call.run(dnnl::convolution_forward(description));
}

void convolve_to_input(const ConvolutionSizes& sizes, const float* dout, const float* weight, float* dx) {
  const Operands any(sizes, Tag::any), ours(sizes, Tag::abcd);
  const dnnl::convolution_backward_data::primitive_desc description(
      {dnnl::algorithm::convolution_direct, any.x, any.weight, any.out, any.strides, any.padding, any.padding},
      engine(), forward(sizes, false, false));
  Call call;
  call.read(DNNL_ARG_DIFF_DST, description.diff_dst_desc(), ours.out, dout);
  call.read(DNNL_ARG_WEIGHTS, description.weights_desc(), ours.weight, weight);
  call.write(DNNL_ARG_DIFF_SRC, description.diff_src_desc(), ours.x, dx);
  call.run(dnnl::convolution_backward_data(description));
}

void convolve_to_weight(const ConvolutionSizes& sizes, const float* x, const float* dout, float* dweight) {
  const Operands any(sizes, Tag::any), ours(sizes, Tag::abcd);
  const dnnl::convolution_backward_weights::primitive_desc description(
      {dnnl::algorithm::convolution_direct, any.x, any.weight, any.out, any.strides, any.padding, any.padding},
      engine(), forward(sizes, false, false));
  Call call;
  call.read(DNNL_ARG_SRC, description.src_desc(), ours.x, x);
  call.read(DNNL_ARG_DIFF_DST, description.diff_dst_desc(), ours.out, dout);
  call.write(DNNL_ARG_DIFF_WEIGHTS, description.diff_weights_desc(), ours.weight, dweight);
  call.run(dnnl::convolution_backward_weights(description));
}

}  // namespace stp::cpu
