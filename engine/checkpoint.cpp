#include "engine/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "engine/check.h"
#include "engine/digest.h"
#include "engine/text.h"

namespace stp {
namespace {

constexpr std::string_view kFormat = "stprivacy checkpoint 1";
constexpr std::string_view kNoDigest = "0000000000000000";
// How the header of every checkpoint begins; the manifest's digits follow.
constexpr std::string_view kBeforeManifest = R"({"__metadata__":{"manifest":")";

using MetadataList = std::vector<std::pair<std::string, std::string>>;

void check_finite(const CheckpointContent::Tensor& tensor) {
  const auto bad =
      std::find_if(tensor.values.begin(), tensor.values.end(), [](float x) { return !std::isfinite(x); });
  if (bad == tensor.values.end()) return;
  fail(
      "checkpoint: tensor '{}' holds {} at element {}: not saved; resume from the last checkpoint with a lower "
      "learning rate",
      printable(tensor.name), *bad, bad - tensor.values.begin());
}

std::vector<StoredTensor> stored_tensors(const CheckpointContent& content) {
  std::vector<StoredTensor> stored;
  for (const auto& [name, shape, values] : content.tensors) {
    const auto wanted = checked_bytes(StoredType::f32, shape);
    check(wanted == values.size_bytes(), "checkpoint: tensor '{}' has {} values, its shape is ({})",
          printable(name), values.size(), fmt::join(shape, ", "));
    stored.push_back({.name = name, .type = StoredType::f32, .shape = shape});
  }
  return stored;
}

MetadataList metadata_of(const CheckpointContent& content) {
  MetadataList list{{"manifest", std::string(kNoDigest)}, {"format", std::string(kFormat)}};
  for (const auto& [name, value] : content.counters)
    list.emplace_back("counter." + name, fmt::format("{}", value));
  for (const auto& [name, text] : content.texts) list.emplace_back("text." + name, text);
  for (const auto& tensor : content.tensors)
    list.emplace_back("digest." + tensor.name, hexadecimal(digest(std::as_bytes(tensor.values))));
  return list;
}

// The digest of a header whose manifest digits are zeros.
std::string manifest_of(std::string_view header) {
  Digest manifest;
  manifest.add(header.substr(0, kBeforeManifest.size()));
  manifest.add(kNoDigest);
  manifest.add(header.substr(kBeforeManifest.size() + kNoDigest.size()));
  return hexadecimal(manifest.value());
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const CheckpointContent& content,
                     const std::string& keep_old_as) {
  for (const auto& tensor : content.tensors) check_finite(tensor);
  std::vector<StoredTensor> tensors = stored_tensors(content);
  MetadataList metadata = metadata_of(content);
  metadata.front().second = manifest_of(format_safetensors_header(tensors, metadata));
  SafetensorsWriter file(path, std::move(tensors), metadata);
  for (const auto& tensor : content.tensors) file.append(tensor.values);
  file.commit(keep_old_as);
}

Checkpoint::Checkpoint(const std::filesystem::path& path, Verified verified) : file_(path) {
  const std::string_view header = file_.header_text();
  const bool ours = header.starts_with(kBeforeManifest) && file_.metadata().contains("format");
  check(ours, "{} is no checkpoint of this program: weights alone are read by import", shown(path));
  const std::string& format = file_.metadata().find("format")->second;
  check(manifest_of(header) == file_.metadata().find("manifest")->second,
        "{} is damaged: its header does not agree with its digest", shown(path));
  check(format == kFormat, "{} was written as '{}', this program reads '{}'", shown(path), printable(format),
        kFormat);
  for (const StoredTensor& tensor : file_.tensors())
    check(tensor.type == StoredType::f32, "{}: tensor '{}' is {}, wanted F32", shown(path),
          printable(tensor.name), name(tensor.type));
  if (verified == Verified::on_opening) check_all_tensors();
}

void Checkpoint::check_all_tensors() const {
  constexpr std::uint64_t kBlock = 1 << 20;
  std::vector<std::byte> block;
  for (const StoredTensor& tensor : file_.tensors()) {
    Digest found;
    const std::uint64_t length = tensor.end - tensor.begin;
    block.resize(std::max<std::size_t>(block.size(), std::min(kBlock, length)));
    for (std::uint64_t from = 0; from < length; from += kBlock) {
      const auto part = std::span(block).first(std::min(kBlock, length - from));
      file_.read(tensor, part, from);
      found.add(part);
    }
    check_digest(tensor, found.value());
  }
}

void Checkpoint::check_digest(const StoredTensor& tensor, std::uint64_t found) const {
  check(entry("digest.", tensor.name) == hexadecimal(found),
        "{} is damaged: tensor '{}' does not agree with its digest", shown(path()), printable(tensor.name));
}

const std::string& Checkpoint::entry(std::string_view kind, std::string_view name) const {
  const auto found = file_.metadata().find(fmt::format("{}{}", kind, name));
  check(found != file_.metadata().end(), "{} has no {}{}: it was written by another program or phase",
        shown(path()), kind, printable(name));
  return found->second;
}

bool Checkpoint::has_counter(std::string_view name) const {
  return file_.metadata().contains(fmt::format("counter.{}", name));
}

bool Checkpoint::has_text(std::string_view name) const {
  return file_.metadata().contains(fmt::format("text.{}", name));
}

std::int64_t Checkpoint::counter(std::string_view name) const {
  const std::string& text = entry("counter.", name);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size(), "{}: counter '{}' is '{}', no integer",
        shown(path()), printable(name), printable(text));
  return value;
}

const std::string& Checkpoint::text(std::string_view name) const { return entry("text.", name); }

void Checkpoint::read(std::string_view name, std::span<const std::int64_t> shape,
                      std::span<float> values) const {
  const StoredTensor& tensor = file_.at(name);
  check(std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end()),
        "{}: tensor '{}' is ({}), wanted ({}): the checkpoint belongs to another configuration", shown(path()),
        printable(name), fmt::join(tensor.shape, ", "), fmt::join(shape, ", "));
  file_.read(tensor, values);
  check_digest(tensor, digest(std::as_bytes(values)));
}

CheckpointFolder::CheckpointFolder(const std::filesystem::path& folder) : folder_(folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail("cannot create {}: {}", shown(folder), system_message(error.value()));
}

bool CheckpointFolder::latest_is_whole() {
  if (latest_verified_) return true;
  try {
    const Checkpoint whole(latest());
    return true;
  } catch (const Error&) {
    return false;
  }
}

void CheckpointFolder::save(const CheckpointContent& content) {
  save_checkpoint(latest(), content, latest_is_whole() ? kPrevious : std::string());
  latest_verified_ = true;
}

std::optional<CheckpointFolder::Loaded> CheckpointFolder::load() {
  const bool has_latest = std::filesystem::exists(latest());
  const bool has_previous = std::filesystem::exists(previous());
  if (!has_latest && !has_previous) return std::nullopt;
  std::string problem = fmt::format("{} is missing", shown(latest()));
  if (has_latest) {
    try {
      Loaded loaded{Checkpoint(latest()), {}};
      latest_verified_ = true;
      return loaded;
    } catch (const Error& error) {
      problem = error.what();
    }
  }
  check(has_previous, "{}; and there is no {}: start again, or copy a checkpoint there", problem, kPrevious);
  try {
    Loaded loaded{Checkpoint(previous()), {}};
    loaded.notice = fmt::format("{}; going on from {}", problem, shown(previous()));
    return loaded;
  } catch (const Error& error) {
    refuse("{}; and {}: start again, or copy a checkpoint there", problem, error.what());
  }
}

}  // namespace stp
