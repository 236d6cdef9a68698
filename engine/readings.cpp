#include "engine/readings.h"

namespace stp {

std::size_t Readings::note(const Tensor& values) {
  noted_.push_back(values);
  begins_.push_back(begins_.back() + (values ? static_cast<std::size_t>(values.elements()) : 0));
  return noted_.size() - 1;
}

void Readings::fetch() {
  const std::size_t count = begins_.back();
  if (count == 0) return;
  Tensor all;
  for (std::size_t i = 0; i < noted_.size(); ++i) {
    const std::size_t size = begins_[i + 1] - begins_[i];
    if (size == 0) continue;
    const Backend& backend = noted_[i].backend();
    if (!all) all = Tensor(backend, {static_cast<std::int64_t>(count)});
    backend.kernels().memory.copy(all.out().f32() + begins_[i], noted_[i].f32(), size * sizeof(float));
  }
  values_ = all.values();
}

std::span<const float> Readings::at(std::size_t place) const {
  return std::span(values_).subspan(begins_[place], begins_[place + 1] - begins_[place]);
}

double Readings::number(std::size_t place) const {
  const std::span<const float> values = at(place);
  return values.empty() ? 0.0 : static_cast<double>(values.front());
}

}  // namespace stp
