// What the files of this folder share: the stream, the workspace, and what to do when CUDA says no.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/cuda/library/cublas.h"

namespace stp::cuda {

cudaStream_t stream();
cublasLtHandle_t cublas();

// Scratch of the library's products, one user at a time on the one stream.
struct Workspace {
  void* data;
  std::size_t bytes;
};
Workspace workspace();

// Throw std::runtime_error "cuda: WHAT: CAUSE".
void check_cuda(cudaError_t status, const char* what);
void check_cublas(cublasStatus_t status, const char* what);

}  // namespace stp::cuda
