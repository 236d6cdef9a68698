// How long a process takes to have a full-size anonymiser in its hands: the model file is written once, with
// networks as they start, and loaded as every command loads it.
//   bench_load FILE
// Prints "model_load MILLISECONDS ms MIB", the size of the file last. The first load counts: a program has no
// other.
#include <cstdio>
#include <filesystem>
#include <string>

#include "bench/timing.h"
#include "tools/experiment/run.h"

namespace {

using namespace stp;
namespace fs = std::filesystem;

void write_model(const fs::path& path) {
  const Recipe recipe;
  const Stprivacy anonymiser(Backend(Device::cpu), 1, recipe.stprivacy());
  CheckpointBuilder builder;
  builder.text("recipe", resolved(recipe));
  builder.text("trained", "adversarial");
  builder.parameters("", anonymiser.parameters());
  save_checkpoint(path, builder.content());
}

void run(const fs::path& path) {
  if (!fs::exists(path)) {
    write_model(path);
    std::fprintf(stderr, "bench_load: wrote %s; run it again for a load by a process that does nothing else\n",
                 path.c_str());
    return;
  }
  const double start = bench::now();
  const LoadedModel model = load_model(path, Backend(Device::cpu));
  std::printf("model_load %.1f ms %.0f\n", (bench::now() - start) * 1e3,
              static_cast<double>(fs::file_size(path)) / 1048576);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    check(argc == 2, "bench_load: FILE is all it takes");
    run(argv[1]);
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "bench_load: %s\n", e.what());
    return e.exit_code();
  }
}
