// cublasLt, loaded when the device is first used. Linked, it costs every start of the program half a million
// relocations and 147 MiB, on machines without a GPU too.
#pragma once

#include <cublasLt.h>

#define STP_CUBLASLT_FUNCTIONS(F) \
  F(Create)                       \
  F(GetVersion)                   \
  F(GetStatusString)              \
  F(MatrixLayoutCreate)           \
  F(MatrixLayoutDestroy)          \
  F(MatmulDescCreate)             \
  F(MatmulDescDestroy)            \
  F(MatmulDescSetAttribute)       \
  F(MatmulPreferenceCreate)       \
  F(MatmulPreferenceDestroy)      \
  F(MatmulPreferenceSetAttribute) \
  F(MatmulAlgoGetHeuristic)       \
  F(Matmul)

namespace stp::cuda {

// The functions in use, by their names without "cublasLt".
struct CublasLt {
#define STP_DECLARE(NAME) decltype(&::cublasLt##NAME) NAME;
  STP_CUBLASLT_FUNCTIONS(STP_DECLARE)
#undef STP_DECLARE
};

// Throws std::runtime_error where the library, or a function of it, cannot be found.
const CublasLt& cublas_lt();

}  // namespace stp::cuda
