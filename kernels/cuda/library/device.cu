// The device `cuda`: its memory, its one stream, and its table.
#include "kernels/cuda/library/device.h"

#include <memory>
#include <stdexcept>
#include <string>

#include "kernels/simt/simt.h"
#include "kernels/table.h"

namespace stp::cuda {

namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;  // what NVIDIA advises for Hopper

[[noreturn]] void refuse(const char* what, const char* cause) {
  throw std::runtime_error(std::string("cuda: ") + what + ": " + cause);
}

// Made with the first use, never given back: a process has one device.
struct Context {
  cudaStream_t stream = nullptr;
  cublasLtHandle_t cublas = nullptr;
  void* workspace = nullptr;
  cudaDeviceProp properties{};

  Context() {
    check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
    check_cublas(cublasLtCreate(&cublas), "cublasLt");
    check_cuda(cudaMalloc(&workspace, kWorkspaceBytes), "workspace");
    check_cuda(cudaGetDeviceProperties(&properties, 0), "device");
  }
};

const Context& context() {
  static const Context value;
  return value;
}

void* allocate(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // the error is told by the null pointer, not by the next launch
    return nullptr;
  }
  check_cuda(status, "allocate");
  return memory;
}

void copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (bytes > 0) check_cuda(cudaMemcpyAsync(to, from, bytes, kind, stream()), "copy");
}

DeviceMemory memory() {
  return {
      .allocate = allocate,
      .release = [](void* memory) { cudaFree(memory); },
      .zero =
          [](void* memory, std::size_t bytes) {
            if (bytes > 0) check_cuda(cudaMemsetAsync(memory, 0, bytes, stream()), "zero");
          },
      .copy = [](void* to, const void* from, std::size_t n) { copy(to, from, n, cudaMemcpyDeviceToDevice); },
      // From memory that is not pinned, the copy returns when the range was read.
      .upload = [](void* to, const void* from, std::size_t n) { copy(to, from, n, cudaMemcpyHostToDevice); },
      .download =
          [](void* to, const void* from, std::size_t n) {
            copy(to, from, n, cudaMemcpyDeviceToHost);
            check_cuda(cudaStreamSynchronize(stream()), "download");
          },
      .wait = [] { check_cuda(cudaStreamSynchronize(stream()), "wait"); },
  };
}

// A GPU that this program has code for.
bool usable() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) return false;
  cudaDeviceProp properties{};
  return cudaGetDeviceProperties(&properties, 0) == cudaSuccess && properties.major >= 8;
}

}  // namespace

cudaStream_t stream() { return context().stream; }
cublasLtHandle_t cublas() { return context().cublas; }
Workspace workspace() { return {context().workspace, kWorkspaceBytes}; }

void check_cuda(cudaError_t status, const char* what) {
  if (status != cudaSuccess) refuse(what, cudaGetErrorString(status));
}

void check_cublas(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) refuse(what, cublasLtGetStatusString(status));
}

void allow_shared_memory(const char* name, const void* kernel, std::size_t bytes) {
  check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
             name);
}

void check_launch(const char* name) { check_cuda(cudaGetLastError(), name); }

const KernelTable* table() {
  static const bool here = usable();
  static const KernelTable value = {
#define KERNEL(name, Args) name,
#include "kernels/list.h"
#undef KERNEL
      memory(),
  };
  return here ? &value : nullptr;
}

DeviceFacts facts() {
  const auto version = static_cast<int>(cublasLtGetVersion());
  return {context().properties.name,
          "cublasLt",
          {version / 10000, version / 100 % 100, version % 100},
          true};  // from sm_80 on, the oldest that is built for
}

}  // namespace stp::cuda
