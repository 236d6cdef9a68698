#include "kernels/cuda/library/cublas.h"

#include <dlfcn.h>

#include <stdexcept>
#include <string>

namespace stp::cuda {

namespace {

#define STP_TEXT_OF(VALUE) #VALUE
#define STP_TEXT(VALUE) STP_TEXT_OF(VALUE)
// Where every program looks, then where it was when this was built.
constexpr const char* kPlaces[] = {"libcublasLt.so." STP_TEXT(CUBLAS_VER_MAJOR), STP_CUBLASLT_LIBRARY};

void* open_library() {
  for (const char* place : kPlaces)
    if (void* const library = dlopen(place, RTLD_NOW | RTLD_LOCAL)) return library;
  throw std::runtime_error(std::string("cuda: cublasLt: ") + dlerror());
}

template <class Function>
void find(void* library, const char* name, Function& function) {
  void* const address = dlsym(library, name);
  if (!address) throw std::runtime_error(std::string("cuda: cublasLt: ") + dlerror());
  function = reinterpret_cast<Function>(address);
}

CublasLt load() {
  void* const library = open_library();
  CublasLt functions{};
#define STP_FIND(NAME) find(library, "cublasLt" #NAME, functions.NAME);
  STP_CUBLASLT_FUNCTIONS(STP_FIND)
#undef STP_FIND
  return functions;
}

}  // namespace

const CublasLt& cublas_lt() {
  static const CublasLt functions = load();
  return functions;
}

}  // namespace stp::cuda
