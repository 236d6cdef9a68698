// Golden tensors: numbers of the released model, evaluated in float64 (tests/golden/README.md). Every folder
// that holds an anonymiser_params.safetensors is one configuration.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/safetensors.h"
#include "models/adversary.h"

namespace stp::test {

struct GoldenConfig {
  std::filesystem::path folder;
  VitOptions anonymiser, recogniser;
  std::vector<std::int64_t> score_before;
  std::vector<double> keep;
  std::int64_t batch = 0, classes = 0, attributes = 0;

  StprivacyOptions stprivacy() const;
  std::filesystem::path file(const std::string& name) const { return folder / (name + ".safetensors"); }
};

// The device under test: STP_DEVICE, or cpu.
Backend golden_backend();

// The project's own copy, and every configuration below the folder in STPRIVACY_GOLDEN.
std::vector<GoldenConfig> golden_configs();

// One file: inputs by name, and comparison of everything else by the rules of the README. Each name that was
// read or compared is ticked off.
class GoldenFile {
 public:
  GoldenFile(const GoldenConfig& config, const std::string& name);

  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  Shape shape(const std::string& name) const;
  std::vector<float> floats(const std::string& name);
  std::vector<int> integers(const std::string& name);
  Tensor tensor(const Backend& backend, const std::string& name);
  double metadata_number(const std::string& key) const;

  // Records a failed doctest check unless every element agrees. Outputs: 1e-5 + 1e-4 |golden|; gradients:
  // 2e-5 x largest + 1e-3 |golden|.
  void output(const std::string& name, const std::vector<float>& values, double absolute = 1e-5);
  void gradient(const std::string& name, const std::vector<float>& values, double absolute = 2e-5);
  // Equal after rounding: decisions and masks.
  void rounded(const std::string& name, const std::vector<float>& values);

  // Records a failed check for each name that no test looked at.
  void everything_was_compared() const;
  void ignore(const std::string& name) { read_[name] = true; }

 private:
  void compare(const std::string& name, const std::vector<float>& values, double relative, double absolute);

  std::string shown_;
  SafetensorsFile file_;
  std::map<std::string, bool> read_;
};

// Parameters from a file by their names; every parameter must be there.
void load_parameters(const Parameters& parameters, const std::filesystem::path& path);

// All gradients of a network against `prefix` + parameter name.
void compare_gradients(GoldenFile& file, const std::string& prefix, const Parameters& parameters);

// Adds to a tensor's gradient.
void contribute(const Tensor& tensor, const std::vector<float>& gradient);

}  // namespace stp::test
