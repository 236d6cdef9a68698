// The rungs of the ladder as functions of the devices `cuda` and `simt`.
#pragma once

#include "kernels/attention.h"
#include "kernels/select.h"
#include "kernels/tubelet.h"

namespace stp::cuda::ladder {
#define RUNG(kernel, Args, rung) void rung(const Args&);
#include "kernels/ladder/list.h"
#undef RUNG
}  // namespace stp::cuda::ladder
namespace stp::simt::ladder {
#define RUNG(kernel, Args, rung) void rung(const Args&);
#include "kernels/ladder/list.h"
#undef RUNG
}  // namespace stp::simt::ladder
