// oneDNN 2 (3 renamed parts of the primitive interface: this file is the place to adapt). Plain f32 products go
// through its sgemm; bf16, and a bias, an erf GELU or a residual to be fused, take the matmul primitive.
// Primitives are not kept here: oneDNN's own cache hands an equal one out again within a few microseconds.
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

memory wrap(const memory::desc& description, const void* data) {
  return {description, engine(), const_cast<void*>(data)};
}

memory::desc matrix(std::int64_t rows, std::int64_t columns, Element type, bool transposed = false) {
  using Tag = memory::format_tag;
  const auto element = type == Element::f32 ? memory::data_type::f32 : memory::data_type::bf16;
  return {{rows, columns}, element, transposed ? Tag::ba : Tag::ab};
}

// Whether the library uses (at least) an instruction set.
bool uses(dnnl::cpu_isa wanted) {
  const auto bits = static_cast<unsigned>(wanted);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

void multiply_f32(const Product& p) {
  const auto order = [](bool transposed) { return transposed ? 'T' : 'N'; };
  const std::int64_t a_pitch = p.a_transposed ? p.rows : p.depth,
                     b_pitch = p.b_transposed ? p.depth : p.columns;
  const dnnl_status_t status =
      dnnl_sgemm(order(p.a_transposed), order(p.b_transposed), p.rows, p.columns, p.depth, 1.0f, p.a.f32(),
                 a_pitch, p.b.f32(), b_pitch, p.add ? 1.0f : 0.0f, p.c.f32(), p.columns);
  if (status != dnnl_success) std::abort();  // only a broken contract can fail
}

void run(const dnnl::matmul::primitive_desc& description, const std::unordered_map<int, memory>& arguments) {
  dnnl::stream stream(engine());
  dnnl::matmul(description).execute(stream, arguments);
  stream.wait();
}

}  // namespace

void multiply(const Product& p) {
  if (p.rows == 0 || p.columns == 0) return;
  if (p.a.type == Element::f32) return multiply_f32(p);
  const memory::desc a = matrix(p.rows, p.depth, p.a.type, p.a_transposed),
                     b = matrix(p.depth, p.columns, p.b.type, p.b_transposed),
                     c = matrix(p.rows, p.columns, p.c.type);
  dnnl::post_ops after;
  if (p.add) after.append_sum(1.0f);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(after);
  run({dnnl::matmul::desc(a, b, c), attributes, engine()}, {{DNNL_ARG_SRC, wrap(a, p.a.data)},
                                                            {DNNL_ARG_WEIGHTS, wrap(b, p.b.data)},
                                                            {DNNL_ARG_DST, wrap(c, p.c.data)}});
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
  const memory::desc a = matrix(p.rows, p.depth, p.a.type), b = matrix(p.depth, p.columns, p.b.type, true),
                     c = matrix(p.rows, p.columns, p.c.type);
  const memory::desc bias = matrix(1, p.columns, p.c.type);

  dnnl::post_ops after;
  if (p.gelu) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_gelu_erf, 0.0f, 0.0f);
  const bool in_place = p.residual.data == p.c.data;
  if (p.residual && in_place) after.append_sum(1.0f);
  if (p.residual && !in_place) after.append_binary(dnnl::algorithm::binary_add, c);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(after);

  const dnnl::matmul::desc product = p.bias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
  std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, wrap(a, p.a.data)},
                                               {DNNL_ARG_WEIGHTS, wrap(b, p.b.data)},
                                               {DNNL_ARG_DST, wrap(c, p.c.data)}};
  if (p.bias) arguments.emplace(DNNL_ARG_BIAS, wrap(bias, p.bias.data));
  if (p.residual && !in_place) {
    const int first_binary = p.gelu ? 1 : 0;
    arguments.emplace(DNNL_ARG_ATTR_MULTIPLE_POST_OP(first_binary) | DNNL_ARG_SRC_1, wrap(c, p.residual.data));
  }
  run({product, attributes, engine()}, arguments);
}

bool fast_bf16() {
  if (uses(dnnl::cpu_isa::avx512_core_amx)) return true;
  return uses(dnnl::cpu_isa::avx512_core_bf16) && __builtin_cpu_is("amd");
}

void hold_library(std::string_view instructions) {
  const dnnl::cpu_isa most = instructions == "sse4"
                                 ? dnnl::cpu_isa::sse41
                                 : (instructions == "avx2" ? dnnl::cpu_isa::avx2 : dnnl::cpu_isa::avx512_core);
  dnnl::set_max_cpu_isa(most);
}

std::array<int, 3> library_version() {
  const dnnl_version_t* version = dnnl_version();
  return {version->major, version->minor, version->patch};
}

}  // namespace stp::cpu
