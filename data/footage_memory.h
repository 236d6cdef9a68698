// Decoded videos kept in memory, as far as a budget goes: small data sets are decoded once, by whichever loader
// comes first, large ones again and again.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "data/footage.h"

namespace stp {

// Whole videos by file and by the shorter side they were scaled down to. Those that came first stay. Every
// function may be called from several threads.
class FootageMemory {
 public:
  explicit FootageMemory(std::size_t budget) : budget_(budget) {}

  struct Key {
    std::filesystem::path path;
    int short_side = 0;                            // 0: as stored
    auto operator<=>(const Key&) const = default;  // NOLINT(modernize-use-nullptr): the compiler writes it
  };
  // Null if it is not kept.
  std::shared_ptr<const Footage> find(const Key& key) const;
  // What is kept under the key afterwards, or `footage` itself where the budget is spent. Another thread may
  // have decoded the same video meanwhile; its frames are the same, and stay.
  std::shared_ptr<const Footage> keep(const Key& key, Footage footage);

  std::size_t budget() const { return budget_; }  // bytes of pixels
  std::size_t free() const;                       // of them, not taken yet

 private:
  std::size_t budget_;
  mutable std::mutex mutex_;  // guards what follows
  std::size_t taken_ = 0;
  std::map<Key, std::shared_ptr<const Footage>> kept_;
};

}  // namespace stp
