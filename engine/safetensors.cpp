#include "engine/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/check.h"
#include "engine/text.h"

namespace stp {
namespace {

constexpr std::uint64_t kLengthBytes = 8;

std::string read_header_text(const InputFile& file) {
  const std::string source = shown(file.path());
  if (file.size() < kLengthBytes)
    refuse("{}: {} bytes are too few for a safetensors file", source, file.size());
  std::array<std::byte, kLengthBytes> prefix{};
  file.read(0, prefix);
  const auto length = std::bit_cast<std::uint64_t>(prefix);
  if (length > file.size() - kLengthBytes)
    refuse("{}: its header claims {} bytes, the file has {}: it is cut, or no safetensors file", source, length,
           file.size());
  if (length > kMaxHeaderBytes)
    refuse("{}: its header claims {} bytes, at most {} allowed", source, length, kMaxHeaderBytes);
  std::string text(length, '\0');
  file.read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  return text;
}

// Reads the tensor in blocks and hands each element, as `Stored`, to `convert`.
template <class Stored, class Convert>
void read_converted(const SafetensorsFile& file, const StoredTensor& tensor, std::span<float> values,
                    Convert convert) {
  constexpr std::size_t kBlock = 16 * 1024;
  std::vector<Stored> block(std::min(values.size(), kBlock));
  for (std::size_t first = 0; first < values.size(); first += kBlock) {
    const std::span<Stored> part = std::span(block).first(std::min(kBlock, values.size() - first));
    file.read(tensor, std::as_writable_bytes(part), first * sizeof(Stored));
    std::transform(part.begin(), part.end(), values.begin() + static_cast<std::ptrdiff_t>(first), convert);
  }
}

}  // namespace

float float_from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

float float_from_f16(std::uint16_t bits) {
  constexpr int kBias = 15, kMantissaBits = 10, kTop = 31;
  const float sign = bits >> 15 ? -1.0f : 1.0f;
  const int exponent = bits >> kMantissaBits & kTop;
  const int mantissa = bits & ((1 << kMantissaBits) - 1);
  if (exponent == kTop) return mantissa ? std::copysign(std::nanf(""), sign) : sign * INFINITY;
  // Subnormal: mantissa 2^-24; else (1 + mantissa / 2^10) 2^(exponent - 15).
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), 1 - kBias - kMantissaBits);
  return sign *
         std::ldexp(static_cast<float>(mantissa + (1 << kMantissaBits)), exponent - kBias - kMantissaBits);
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(path),
      text_(read_header_text(file_)),
      header_(parse_safetensors_header(text_, file_.size() - kLengthBytes - text_.size(), shown(path))) {}

const StoredTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::find_if(header_.tensors.begin(), header_.tensors.end(),
                                  [&](const StoredTensor& tensor) { return tensor.name == name; });
  return found == header_.tensors.end() ? nullptr : &*found;
}

const StoredTensor& SafetensorsFile::at(std::string_view name) const {
  if (const StoredTensor* tensor = find(name)) return *tensor;
  std::vector<std::string> names;
  for (const StoredTensor& tensor : header_.tensors) names.push_back(tensor.name);
  const std::string near = fmt::format("{}", fmt::join(nearest_names(name, names), ", "));
  refuse("{}: it has no tensor '{}'{}{}", shown(path()), printable(name),
         near.empty() ? "" : "; near: ", printable(near));
}

void SafetensorsFile::read(const StoredTensor& tensor, std::span<std::byte> bytes, std::uint64_t from) const {
  const std::uint64_t length = tensor.end - tensor.begin;
  check(from <= length && bytes.size() <= length - from, "{}: tensor '{}' has {} bytes, {} wanted from {}",
        shown(path()), printable(tensor.name), length, bytes.size(), from);
  file_.read(kLengthBytes + text_.size() + tensor.begin + from, bytes);
}

void SafetensorsFile::read(const StoredTensor& tensor, std::span<float> values) const {
  const std::string where = fmt::format("{}: tensor '{}'", shown(path()), printable(tensor.name));
  check(values.size() == tensor.elements(), "{} has {} elements, wanted {}", where, tensor.elements(),
        values.size());
  switch (tensor.type) {
    case StoredType::f32:
      return read(tensor, std::as_writable_bytes(values));
    case StoredType::f16:
      return read_converted<std::uint16_t>(*this, tensor, values, float_from_f16);
    case StoredType::bf16:
      return read_converted<std::uint16_t>(*this, tensor, values, float_from_bf16);
    case StoredType::f64:
      return read_converted<double>(*this, tensor, values, [&](double value) {
        const auto rounded = static_cast<float>(value);
        if (std::isfinite(value) && !std::isfinite(rounded))
          refuse("{} holds {}, too large for float", where, value);
        return rounded;
      });
    default:
      refuse("{} is {}, wanted F32, F16, BF16 or F64", where, name(tensor.type));
  }
}

std::vector<float> SafetensorsFile::floats(std::string_view name) const {
  const StoredTensor& tensor = at(name);
  std::vector<float> values(tensor.elements());
  read(tensor, values);
  return values;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::vector<StoredTensor> tensors,
                                     std::span<const std::pair<std::string, std::string>> metadata)
    : shown_(shown(path)), file_(path) {
  const std::string text = format_safetensors_header(tensors, metadata);
  const std::uint64_t length = text.size();
  file_.append(std::as_bytes(std::span(&length, 1)));
  file_.append(text);
  wanted_ = file_.size() + (tensors.empty() ? 0 : tensors.back().end);
}

void SafetensorsWriter::commit(const std::string& keep_old_as) {
  check(file_.size() == wanted_, "{}: {} bytes were written, its header promises {}", shown_, file_.size(),
        wanted_);
  file_.commit(keep_old_as);
}

}  // namespace stp
