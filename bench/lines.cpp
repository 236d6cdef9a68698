// Times single pieces of the model at its sizes (8 clips), one a process, so that compare.py can set them
// beside the same pieces of torch_peer.py.
//   bench_lines NAME [--bf16]
// NAME: attention_forward, attention (forward and backward, as those below), tubelet_embedding (gradients of
// clip, weight and bias), layer_norm, gelu, adamw (22 million parameters), selection (the 34 best of each 49
// tokens, and their rows), gather. Prints "NAME MILLISECONDS ms PEAK_MIB FLOPS BYTES".
#include <sys/resource.h>

#include <cstdio>
#include <map>
#include <string>

#include "bench/pass.h"
#include "bench/timing.h"

namespace {

using namespace stp;
using test::OpCase;

constexpr std::int64_t B = 8, S = 8, P = 49, K = 34, N = S * P, E = 384;

// Values in [-1, 1) without order, faster than normal ones.
std::vector<float> values(const Shape& shape) {
  std::vector<float> all(static_cast<std::size_t>(shape.elements()));
  std::uint32_t state = 1;
  for (float& v : all) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<float>(state >> 8) / 8388608.0f - 1;
  }
  return all;
}
test::CaseInput drawn(const std::string& name, const Shape& shape) {
  return test::input(name, shape, values(shape));
}
test::CaseInput stored(const std::string& name, const Shape& shape) {
  return test::activation(name, shape, values(shape));
}

using Call = std::function<std::vector<Tensor>(Tape*, const std::vector<Tensor>&)>;
OpCase line(std::vector<test::CaseInput> inputs, Call call) {
  OpCase c;
  c.inputs = std::move(inputs);
  c.call = std::move(call);
  return c;
}

OpCase attention_line() {
  const Shape keep = {B, N};
  return line({stored("qkv", {B, N, 3 * E}), test::input("keep", keep, test::binary_values("keep", keep, 0.5))},
              [](Tape* tape, const std::vector<Tensor>& in) {
                return std::vector<Tensor>{attention(tape, in[0], in[1], {.heads = 6, .smoothing = 1e-6f})};
              });
}

OpCase tubelet_line() {
  static constexpr TubeletGeometry g = {B, 3, 16, 112, 112, 2, 16, 16, TubeletLayout::channels_first};
  return line({drawn("clip", {B, 3, 16, 112, 112}), drawn("weight", {E, g.values()}), drawn("bias", {E})},
              [](Tape* tape, const std::vector<Tensor>& in) {
                return std::vector<Tensor>{linear(tape, clip_to_tubelets(tape, in[0], g), in[1], in[2])};
              });
}

OpCase norm_line() {
  return line({stored("x", {B * N, E}), drawn("weight", {E}), drawn("bias", {E})},
              [](Tape* tape, const std::vector<Tensor>& in) {
                return std::vector<Tensor>{layer_norm(tape, in[0], in[1], in[2], 1e-6f)};
              });
}

OpCase gelu_line() {
  return line({stored("x", {B * N, 4 * E})},
              [](Tape* tape, const std::vector<Tensor>& in) { return std::vector<Tensor>{gelu(tape, in[0])}; });
}

OpCase adamw_line() {
  constexpr std::int64_t kCount = 22'000'000;
  const auto constant = [](const char* name) { return test::constant(name, {kCount}, values({kCount})); };
  OpCase c = line({constant("parameters"), constant("gradients"), constant("first"), constant("second")},
                  [](Tape*, const std::vector<Tensor>& in) {
                    static constexpr AdamWSegment kAll = {0, kCount, 1e-5f, 0.05f};
                    in[0].backend().run(&KernelTable::adamw, {.parameters = in[0].out().f32(),
                                                              .gradients = in[1].out().f32(),
                                                              .first = in[2].out().f32(),
                                                              .second = in[3].out().f32(),
                                                              .rounded = {},
                                                              .segments = &kAll,
                                                              .gradient_scale = nullptr,
                                                              .segment_count = 1,
                                                              .beta1 = 0.9f,
                                                              .beta2 = 0.999f,
                                                              .epsilon = 1e-8f,
                                                              .step = 2});
                    return std::vector<Tensor>{in[0]};
                  });
  for (float& v : c.inputs[3].values) v = std::abs(v);  // second moments are squares
  return c;
}

OpCase selection_line() {
  return line({test::constant("scores", {B * N, 2}, values({B * N, 2})), stored("x", {B * N, E})},
              [](Tape*, const std::vector<Tensor>& in) {
                const Indices best = top_k(in[0], B * S, K, true);
                return std::vector<Tensor>{gather(nullptr, in[1], best.reshape({B * S * K}))};
              });
}

OpCase gather_line() {
  std::vector<int> rows;
  for (std::int64_t i = 0; i < B * S * K; ++i) rows.push_back(static_cast<int>(i * 5 % (B * N)));
  return line({stored("x", {B * N, E})}, [rows](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{gather(tape, in[0], Indices::from(in[0].backend(), {B * S * K}, rows))};
  });
}

struct Line {
  OpCase (*make)();
  bool backward;
};
const std::map<std::string, Line> kLines = {{"attention_forward", {attention_line, false}},
                                            {"attention", {attention_line, true}},
                                            {"tubelet_embedding", {tubelet_line, true}},
                                            {"layer_norm", {norm_line, true}},
                                            {"gelu", {gelu_line, true}},
                                            {"adamw", {adamw_line, false}},
                                            {"selection", {selection_line, false}},
                                            {"gather", {gather_line, true}}};

void run(const std::string& name, Element storage) {
  const auto found = kLines.find(name);
  check(found != kLines.end(), "bench_lines: {} is no line of it", name);
  OpCase c = found->second.make();
  if (storage == Element::bf16) {
    check(test::has_activations(c), "bench_lines: {} has nothing to store in bf16", name);
    c = test::in_bf16(c);
  }
  const Backend backend(Device::cpu);
  const std::vector<Tensor> inputs = bench::tensors(c, backend, found->second.backward);
  const double seconds =
      bench::median_of_runs([&] { return bench::pass(c, inputs, found->second.backward); }, 1);
  const Cost cost = bench::total_cost(bench::kernels_of_pass(c, inputs, found->second.backward));
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%s %.4f ms %ld %.6g %.6g\n", name.c_str(), seconds * 1e3, usage.ru_maxrss / 1024, cost.flops,
              cost.bytes);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const bool bf16 = argc == 3 && std::string_view(argv[2]) == "--bf16";
    check(argc == 2 || bf16, "bench_lines: NAME [--bf16] is all it takes");
    run(argv[1], bf16 ? Element::bf16 : Element::f32);
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "bench_lines: %s\n", e.what());
    return e.exit_code();
  }
}
