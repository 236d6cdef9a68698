#include "data/footage_memory.h"

namespace stp {

std::shared_ptr<const Footage> FootageMemory::find(const Key& key) const {
  const std::lock_guard lock(mutex_);
  const auto kept = kept_.find(key);
  return kept == kept_.end() ? nullptr : kept->second;
}

std::shared_ptr<const Footage> FootageMemory::keep(const Key& key, Footage footage) {
  auto shared = std::make_shared<const Footage>(std::move(footage));
  const std::lock_guard lock(mutex_);
  if (const auto kept = kept_.find(key); kept != kept_.end()) return kept->second;
  if (shared->rgb.size() > budget_ - taken_) return shared;
  taken_ += shared->rgb.size();
  kept_.emplace(key, shared);
  return shared;
}

std::size_t FootageMemory::free() const {
  const std::lock_guard lock(mutex_);
  return budget_ - taken_;
}

}  // namespace stp
