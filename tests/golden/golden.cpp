#include "tests/golden/golden.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

namespace stp::test {

namespace {

namespace fs = std::filesystem;

std::string metadata_of(const SafetensorsFile& file, const std::string& key) {
  for (const auto& [name, value] : file.metadata()) {
    if (name == key) return value;
  }
  return {};
}

GoldenConfig read_config(const fs::path& folder) {
  const SafetensorsFile file(folder / "anonymiser_params.safetensors");
  const nlohmann::json c = nlohmann::json::parse(metadata_of(file, "config"));
  GoldenConfig config;
  config.folder = folder;
  VitOptions& v = config.anonymiser;
  v.T = c.at("frames");
  v.Y = c.at("height");
  v.X = c.at("width");
  const std::vector<int> tubelet = c.at("tubelet");
  v.t = tubelet.at(0);
  v.y = tubelet.at(1);
  v.x = tubelet.back();
  v.E = c.at("dim");
  v.heads = c.at("heads");
  v.depth = c.at("depth");
  config.recogniser = v;
  config.recogniser.depth = c.at("rdepth");
  config.score_before = c.at("loc").get<std::vector<std::int64_t>>();
  config.keep = c.at("ratio").get<std::vector<double>>();
  config.batch = c.at("batch");
  config.classes = c.at("classes");
  config.attributes = c.at("privacy");
  return config;
}

}  // namespace

StprivacyOptions GoldenConfig::stprivacy() const {
  StprivacyOptions options;
  options.vit = anonymiser;
  options.score_before = score_before;
  options.keep = keep;
  return options;
}

Backend golden_backend() {
  const char* name = std::getenv("STP_DEVICE");
  return Backend(device_named(name ? name : "cpu"));
}

std::vector<GoldenConfig> golden_configs() {
  std::vector<fs::path> roots;
  const char* other = std::getenv("STPRIVACY_GOLDEN");
  const fs::path own = fs::path(STP_SOURCE_DIR) / "tests" / "golden";
  if (fs::exists(own) || !other) roots.push_back(own);  // a packed program has gone without its sources
  if (other) roots.emplace_back(other);
  std::vector<GoldenConfig> configs;
  const auto add = [&](const fs::path& folder) {
    if (fs::exists(folder / "anonymiser_params.safetensors")) configs.push_back(read_config(folder));
  };
  for (const fs::path& root : roots) {
    const std::size_t before = configs.size();
    add(root);
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (entry.is_directory()) add(entry.path());
    }
    REQUIRE_MESSAGE(configs.size() > before, "no golden configuration in " << root.string());
  }
  return configs;
}

GoldenFile::GoldenFile(const GoldenConfig& config, const std::string& name)
    : shown_(config.folder.filename().string() + "/" + name), file_(config.file(name)) {
  for (const StoredTensor& tensor : file_.tensors()) read_[tensor.name] = false;
}

Shape GoldenFile::shape(const std::string& name) const {
  Shape shape;
  for (std::int64_t size : file_.at(name).shape) shape.append(size);
  return shape;
}

std::vector<float> GoldenFile::floats(const std::string& name) {
  read_[name] = true;
  return file_.floats(name);
}

std::vector<int> GoldenFile::integers(const std::string& name) {
  read_[name] = true;
  const StoredTensor& tensor = file_.at(name);
  std::vector<std::byte> bytes(static_cast<std::size_t>(shape(name).elements()) * sizeof(int));
  file_.read(tensor, bytes);
  std::vector<int> values(bytes.size() / sizeof(int));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Tensor GoldenFile::tensor(const Backend& backend, const std::string& name) {
  return Tensor::from(backend, shape(name), floats(name));
}

double GoldenFile::metadata_number(const std::string& key) const { return std::stod(metadata_of(file_, key)); }

void GoldenFile::compare(const std::string& name, const std::vector<float>& values, double relative,
                         double absolute) {
  const std::vector<float> golden = floats(name);
  CHECK_MESSAGE(values.size() == golden.size(), shown_ << " " << name << ": " << values.size() << " values");
  if (values.size() != golden.size()) return;
  for (std::size_t i = 0; i < golden.size(); ++i) {
    const double error = std::abs(static_cast<double>(values[i]) - golden[i]);
    const bool agrees = error <= absolute + relative * std::abs(golden[i]);
    if (!agrees) {
      FAIL_CHECK(shown_ << " " << name << "[" << i << "] is " << values[i] << ", wanted " << golden[i]);
      return;
    }
  }
}

void GoldenFile::output(const std::string& name, const std::vector<float>& values, double absolute) {
  compare(name, values, 1e-4, absolute);
}

void GoldenFile::gradient(const std::string& name, const std::vector<float>& values, double absolute) {
  double largest = 0;
  for (float g : floats(name)) largest = std::max(largest, std::abs(static_cast<double>(g)));
  compare(name, values, 1e-3, absolute * largest);
}

void GoldenFile::rounded(const std::string& name, const std::vector<float>& values) {
  std::vector<float> golden = floats(name);
  CHECK_MESSAGE(values.size() == golden.size(), shown_ << " " << name << ": " << values.size() << " values");
  for (std::size_t i = 0; i < std::min(values.size(), golden.size()); ++i) {
    if (std::round(values[i]) != std::round(golden[i])) {
      FAIL_CHECK(shown_ << " " << name << "[" << i << "] is " << values[i] << ", wanted " << golden[i]);
      return;
    }
  }
}

void GoldenFile::everything_was_compared() const {
  for (const auto& [name, read] : read_)
    if (!read) FAIL_CHECK("no test looked at " << name);
}

void load_parameters(const Parameters& parameters, const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  for (const Parameter& p : parameters.all()) p.tensor.assign(file.floats(p.name));
  CHECK(file.tensors().size() == parameters.all().size());
}

void compare_gradients(GoldenFile& file, const std::string& prefix, const Parameters& parameters) {
  for (const Parameter& p : parameters.all()) file.gradient(prefix + p.name, p.tensor.gradient_values());
}

void contribute(const Tensor& tensor, const std::vector<float>& gradient) {
  const Tensor values = Tensor::from(tensor.backend(), tensor.shape(), gradient);
  if (const Grad grad = tensor.grad()) {
    tensor.backend().run(&KernelTable::accumulate,
                         {.from = values.in(), .to = grad, .count = tensor.elements()});
  }
}

}  // namespace stp::test
