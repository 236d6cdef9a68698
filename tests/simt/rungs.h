// The rungs of the ladder, each as the device `simt` with one kernel replaced.
#pragma once

#include <string>
#include <vector>

#include "kernels/ladder/ladder.h"
#include "kernels/table.h"
#include "tests/op_case.h"

namespace stp::test {

struct Rung {
  std::string name, kernel;
  KernelTable table;

  // The cases that reach the kernel.
  std::vector<OpCase> cases(Scale scale = Scale::small) const {
    const std::string op = kernel.substr(0, kernel.find("_forward"));
    std::vector<OpCase> found;
    for (OpCase& c : all_cases(scale))
      if (c.name.starts_with(op)) found.push_back(std::move(c));
    return found;
  }
};

inline std::vector<Rung> rungs() {
  std::vector<Rung> list;
#define RUNG(kernel, Args, rung)                                \
  list.push_back({#rung, #kernel, stp::kernels(Device::simt)}); \
  list.back().table.kernel = simt::ladder::rung;
#include "kernels/ladder/list.h"
#undef RUNG
  return list;
}

}  // namespace stp::test
