// The device `cuda`: its memory, its one stream of work and the stream of uploads beside it, and its table.
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
  cudaStream_t stream = nullptr, uploads = nullptr;
  cudaEvent_t issued = nullptr, uploaded = nullptr;  // how the two streams wait for each other
  cublasLtHandle_t cublas = nullptr;
  void* workspace = nullptr;
  cudaDeviceProp properties{};

  Context() {
    check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
    check_cuda(cudaStreamCreateWithFlags(&uploads, cudaStreamNonBlocking), "stream of uploads");
    check_cuda(cudaEventCreateWithFlags(&issued, cudaEventDisableTiming), "event");
    check_cuda(cudaEventCreateWithFlags(&uploaded, cudaEventDisableTiming), "event");
    check_cublas(cublas_lt().Create(&cublas), "cublasLt");
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

void* allocate_host(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMallocHost(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check_cuda(status, "allocate page-locked memory");
  return memory;
}

void upload_beside(void* to, const void* from, std::size_t bytes) {
  const Context& c = context();
  if (bytes == 0) return;
  // `to` may be memory that work issued before still uses.
  check_cuda(cudaEventRecord(c.issued, c.stream), "upload");
  check_cuda(cudaStreamWaitEvent(c.uploads, c.issued), "upload");
  check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, c.uploads), "upload");
}

void join_uploads() {
  const Context& c = context();
  check_cuda(cudaEventRecord(c.uploaded, c.uploads), "uploads");
  check_cuda(cudaStreamWaitEvent(c.stream, c.uploaded), "uploads");
}

// --- Recordings are graphs.

void begin_recording() {
  check_cuda(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal), "recording");
}

void* end_recording() {
  cudaGraph_t graph = nullptr;
  check_cuda(cudaStreamEndCapture(stream(), &graph), "recording");
  cudaGraphExec_t made = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&made, graph, 0);
  cudaGraphDestroy(graph);
  check_cuda(status, "recording");
  return made;
}

void replay(void* recording) {
  check_cuda(cudaGraphLaunch(static_cast<cudaGraphExec_t>(recording), stream()), "replay");
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
      .allocate_host = allocate_host,
      .release_host = [](void* memory) { cudaFreeHost(memory); },
      .upload_beside = upload_beside,
      .join_uploads = join_uploads,
      .wait_uploads = [] { check_cuda(cudaStreamSynchronize(context().uploads), "uploads"); },
      .recorder = {.begin = begin_recording,
                   .end = end_recording,
                   .replay = replay,
                   .forget =
                       [](void* recording) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(recording)); }},
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
  if (status != CUBLAS_STATUS_SUCCESS) refuse(what, cublas_lt().GetStatusString(status));
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
  const auto version = static_cast<int>(cublas_lt().GetVersion());
  return {context().properties.name,
          "cublasLt",
          {version / 10000, version / 100 % 100, version % 100},
          true};  // from sm_80 on, the oldest that is built for
}

}  // namespace stp::cuda
