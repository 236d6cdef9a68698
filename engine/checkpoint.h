// Checkpoints of a training run: one safetensors file (so any tool opens it) with float tensors, and in its
// metadata
//   manifest         digest of the whole header, these 16 digits taken as zeros; it comes first
//   format           what wrote it
//   digest.NAME      digest of the bytes of tensor NAME
//   counter.NAME     an integer
//   text.NAME        a text
// Every byte is covered by a digest (engine/digest.h), so that damage is found and named when a file is opened.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/safetensors.h"

namespace stp {

// What to save. The values are only looked at while saving.
struct CheckpointContent {
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
    std::span<const float> values;
  };
  std::vector<Tensor> tensors = {};  // weights, moments; stored in this order
  std::map<std::string, std::int64_t> counters =
      {};  // step, epoch, seeds and positions of the counter-based streams
  std::map<std::string, std::string> texts = {};  // configuration, phase, build
};

// Writes a checkpoint atomically; see DurableFile::commit for `keep_old_as`. Throws Error (failure) naming the
// tensor if a value is not finite: such a state is worth nothing, and would replace one that is.
void save_checkpoint(const std::filesystem::path& path, const CheckpointContent& content,
                     const std::string& keep_old_as = {});

// When the tensors of a checkpoint are held against their digests: all of them before the first is read, for
// who must not stop half-way; or each as it is read, in half the time. The header always is on opening.
enum class Verified : std::uint8_t { on_opening, on_reading };

// An open checkpoint whose bytes agree with their digests. Throws Error (usage) naming the tensor if not.
// The lookups throw Error (usage) for a name that is not there.
class Checkpoint {
 public:
  explicit Checkpoint(const std::filesystem::path& path, Verified verified = Verified::on_opening);

  const std::filesystem::path& path() const { return file_.path(); }
  const SafetensorsFile& file() const { return file_; }

  bool has_tensor(std::string_view name) const { return file_.find(name) != nullptr; }
  bool has_counter(std::string_view name) const;
  bool has_text(std::string_view name) const;
  std::int64_t counter(std::string_view name) const;
  const std::string& text(std::string_view name) const;

  // Fills `values` with the tensor, which must have this shape. The digest is checked on what was read.
  void read(std::string_view name, std::span<const std::int64_t> shape, std::span<float> values) const;

 private:
  void check_all_tensors() const;
  const std::string& entry(std::string_view kind, std::string_view name) const;
  void check_digest(const StoredTensor& tensor, std::uint64_t found) const;

  SafetensorsFile file_;
};

// The checkpoints of a run: latest.safetensors and the one before it, previous.safetensors. After a crash at
// any instant at least one of the two is complete; a damaged latest is never rotated over a good previous.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(const std::filesystem::path& folder);  // created if it is not there

  std::filesystem::path latest() const { return folder_ / kLatest; }
  std::filesystem::path previous() const { return folder_ / kPrevious; }

  void save(const CheckpointContent& content);

  struct Loaded {
    Checkpoint checkpoint;
    std::string notice;  // why it is not the latest; empty if it is
  };
  // The latest checkpoint, or the previous one if the latest is damaged or missing; nothing if there is none at
  // all. Throws Error (usage) if there are some and none is whole.
  std::optional<Loaded> load();

 private:
  static constexpr const char *kLatest = "latest.safetensors", *kPrevious = "previous.safetensors";

  bool latest_is_whole();

  std::filesystem::path folder_;
  bool latest_verified_ = false;  // saved or loaded by us
};

}  // namespace stp
