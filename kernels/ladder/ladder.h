// The rungs of the ladder as functions of the devices `cuda` and `simt`.
#pragma once

#include "kernels/attention.h"
#include "kernels/select.h"
#include "kernels/tubelet.h"

#define RUNG(kernel, Args, rung) void rung(const Args&);
namespace stp::cuda::ladder {
#include "kernels/ladder/list.h"
}  // namespace stp::cuda::ladder
namespace stp::simt::ladder {
#include "kernels/ladder/list.h"
}  // namespace stp::simt::ladder
#undef RUNG
