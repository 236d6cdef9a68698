// Matrix products by cublasLt, of f32, of f32 rounded to tf32, or of bf16, with sums in f32. cublasLt counts
// columns first, so a row-major (rows, I) is its (I, rows) and
//   out = x W^T     reads     out' (O, rows) = W (O, I) x' (I, rows)
// Its GELU is the tanh form; ours is exact and runs behind.
#include "kernels/linear.h"

#include <array>
#include <map>
#include <mutex>
#include <stdexcept>

#include "kernels/cuda/library/device.h"
#include "kernels/table.h"

namespace stp::cuda {

namespace {

cudaDataType_t type_of(Element type) { return type == Element::f32 ? CUDA_R_32F : CUDA_R_16BF; }

// One product D (m, n) = A B + beta C of column-first matrices; transposed operands are stored the other way
// round. A bias is of D's type.
struct Product {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
  bool bias;
  Element operands, result;
  Math math;
  auto operator<=>(const Product&) const = default;
};

class Layout {
 public:
  Layout(std::int64_t rows, std::int64_t columns, Element type) {
    check_cublas(cublas_lt().MatrixLayoutCreate(&layout_, type_of(type), static_cast<std::uint64_t>(rows),
                                                static_cast<std::uint64_t>(columns), rows),
                 "layout");
  }
  ~Layout() { cublas_lt().MatrixLayoutDestroy(layout_); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
  cublasLtMatrixLayout_t get() const { return layout_; }

 private:
  cublasLtMatrixLayout_t layout_ = nullptr;
};

// A product made ready once: its layouts and the algorithm the library advises first.
class Plan {
 public:
  explicit Plan(const Product& p)
      : a_(p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.operands),
        b_(p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.operands),
        d_(p.m, p.n, p.result) {
    const bool tf32 = p.operands == Element::f32 && p.math == Math::tf32;
    const cublasComputeType_t compute = tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    check_cublas(cublas_lt().MatmulDescCreate(&operation_, compute, CUDA_R_32F), "product");
    set(CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (p.bias) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type_of(p.result));
    }
    choose();
  }
  ~Plan() { cublas_lt().MatmulDescDestroy(operation_); }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  void run(const void* a, const void* b, const void* bias, float beta, const void* c, void* d) {
    if (bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    const float one = 1;
    const Workspace scratch = workspace();
    check_cublas(cublas_lt().Matmul(cublas(), operation_, &one, a, a_.get(), b, b_.get(), &beta, c, d_.get(), d,
                                    d_.get(), &algorithm_, scratch.data, scratch.bytes, stream()),
                 "product");
  }

 private:
  template <class Value>
  void set(cublasLtMatmulDescAttributes_t name, const Value& value) {
    check_cublas(cublas_lt().MatmulDescSetAttribute(operation_, name, &value, sizeof value), "product");
  }

  void choose() {
    cublasLtMatmulPreference_t preference = nullptr;
    check_cublas(cublas_lt().MatmulPreferenceCreate(&preference), "preference");
    const std::size_t limit = workspace().bytes;
    cublas_lt().MatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &limit,
                                             sizeof limit);
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    const cublasStatus_t status = cublas_lt().MatmulAlgoGetHeuristic(
        cublas(), operation_, a_.get(), b_.get(), d_.get(), d_.get(), preference, 1, &found, &count);
    cublas_lt().MatmulPreferenceDestroy(preference);
    check_cublas(status, "algorithm");
    if (count == 0) throw std::runtime_error("cuda: cublasLt has no algorithm for this product");
    algorithm_ = found.algo;
  }

  cublasLtMatmulDesc_t operation_ = nullptr;
  Layout a_, b_, d_;
  cublasLtMatmulAlgo_t algorithm_{};
};

// The plan of a product, made when it is first asked for: the same shapes come again in every step.
Plan& plan_of(const Product& product) {
  static std::mutex mutex;
  static std::map<Product, Plan> plans;
  const std::lock_guard lock(mutex);
  return plans.try_emplace(product, product).first->second;
}

}  // namespace

void linear_forward(const LinearForward& a) {
  if (a.rows == 0) return;
  Plan& plan =
      plan_of({a.O, a.rows, a.I, true, false, static_cast<bool>(a.bias), a.x.type, a.out.type, a.math});
  const bool gelu = a.activation == Activation::gelu;
  // The residual comes behind the activation.
  const bool fused = a.residual && !gelu;
  plan.run(a.weight.data, a.x.data, a.bias.data, fused ? 1.0f : 0.0f, fused ? a.residual.data : a.out.data,
           a.out.data);
  if (!gelu) return;
  gelu_forward({.x = {a.out.data, a.out.type}, .out = a.out, .count = a.rows * a.O});
  if (a.residual) accumulate({.from = a.residual, .to = {a.out.data, a.out.type, true}, .count = a.rows * a.O});
}

void linear_backward(const LinearBackward& a) {
  const auto product = [](const Product& p, const In& left, const In& right, const Grad& to) {
    plan_of(p).run(left.data, right.data, nullptr, to.add ? 1.0f : 0.0f, to.data, to.data);
  };
  const Element type = a.dout.type;
  // dx' (I, rows) = W' (I, O) dout' (O, rows)
  if (a.dx && a.rows > 0)
    product({a.I, a.rows, a.O, false, false, false, type, a.dx.type, a.math}, a.weight, a.dout, a.dx);
  // dW' (I, O) = x' (I, rows) dout (rows, O)
  if (a.dweight && a.rows > 0)
    product({a.I, a.O, a.rows, false, true, false, type, Element::f32, a.math}, a.x, a.dout, a.dweight);
  if (a.dbias) sum_rows({.x = a.dout, .sum = a.dbias, .B = a.rows, .n = a.O});
}

}  // namespace stp::cuda
