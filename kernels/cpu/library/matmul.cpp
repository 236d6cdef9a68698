// oneDNN 2 (3 renamed parts of the primitive interface: this file is the place to adapt). Plain products go
// through its sgemm; a bias, an erf GELU or a residual is fused by the matmul primitive. Primitives are not
// kept here: oneDNN's own cache hands an equal one out again within a few microseconds.
#include "kernels/cpu/library/matmul.h"

#include <cstdlib>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

namespace stp::cpu {

namespace {

using dnnl::memory;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

memory wrap(const memory::desc& description, const float* data) {
  return {description, engine(), const_cast<float*>(data)};
}

memory::desc matrix(std::int64_t rows, std::int64_t columns, bool transposed = false) {
  using Tag = memory::format_tag;
  return {{rows, columns}, memory::data_type::f32, transposed ? Tag::ba : Tag::ab};
}

}  // namespace

void multiply(const Product& p) {
  if (p.rows == 0 || p.columns == 0) return;
  const auto order = [](bool transposed) { return transposed ? 'T' : 'N'; };
  const std::int64_t a_pitch = p.a_transposed ? p.rows : p.depth,
                     b_pitch = p.b_transposed ? p.depth : p.columns;
  const dnnl_status_t status =
      dnnl_sgemm(order(p.a_transposed), order(p.b_transposed), p.rows, p.columns, p.depth, 1.0f, p.a, a_pitch,
                 p.b, b_pitch, p.add ? 1.0f : 0.0f, p.c, p.columns);
  if (status != dnnl_success) std::abort();  // only a broken contract can fail
}

void multiply(const FusedProduct& p) {
  if (p.rows == 0) return;
  if (!p.bias && !p.residual && !p.gelu) {
    return multiply(Product{.a = p.a,
                            .b = p.b,
                            .c = p.c,
                            .rows = p.rows,
                            .columns = p.columns,
                            .depth = p.depth,
                            .b_transposed = true});
  }
  const memory::desc a = matrix(p.rows, p.depth), b = matrix(p.depth, p.columns, true),
                     c = matrix(p.rows, p.columns);
  const memory::desc bias = matrix(1, p.columns);

  dnnl::post_ops after;
  if (p.gelu) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_gelu_erf, 0.0f, 0.0f);
  const bool in_place = p.residual == p.c;
  if (p.residual && in_place) after.append_sum(1.0f);
  if (p.residual && !in_place) after.append_binary(dnnl::algorithm::binary_add, c);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(after);

  const dnnl::matmul::desc product = p.bias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
  const dnnl::matmul::primitive_desc description(product, attributes, engine());
  std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, wrap(a, p.a)}, {DNNL_ARG_WEIGHTS, wrap(b, p.b)}, {DNNL_ARG_DST, wrap(c, p.c)}};
  if (p.bias) arguments.emplace(DNNL_ARG_BIAS, wrap(bias, p.bias));
  if (p.residual && !in_place) {
    const int first_binary = p.gelu ? 1 : 0;
    arguments.emplace(DNNL_ARG_ATTR_MULTIPLE_POST_OP(first_binary) | DNNL_ARG_SRC_1, wrap(c, p.residual));
  }
  dnnl::stream stream(engine());
  dnnl::matmul(description).execute(stream, arguments);
  stream.wait();
}

std::array<int, 3> library_version() {
  const dnnl_version_t* version = dnnl_version();
  return {version->major, version->minor, version->patch};
}

}  // namespace stp::cpu
