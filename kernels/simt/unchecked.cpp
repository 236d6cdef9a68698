// The plain build: nobody listens.
#include "kernels/simt/checker.h"

namespace stp::simt {

const Checker kChecker = {};

}  // namespace stp::simt
