// In place of the device `cuda` where this program was built without nvcc.
#include "kernels/table.h"

namespace stp::cuda {

const KernelTable* table() { return nullptr; }
DeviceFacts facts() { return {}; }

}  // namespace stp::cuda
