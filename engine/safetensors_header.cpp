#include "engine/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/check.h"
#include "engine/text.h"

namespace stp {
namespace {

struct TypeFacts {
  std::string_view name;
  std::uint64_t bytes;
};

// In the order of StoredType.
constexpr std::array<TypeFacts, 19> kTypes{{{"BOOL", 1},
                                            {"U8", 1},
                                            {"I8", 1},
                                            {"F8_E5M2", 1},
                                            {"F8_E4M3", 1},
                                            {"F8_E8M0", 1},
                                            {"F8_E4M3FNUZ", 1},
                                            {"F8_E5M2FNUZ", 1},
                                            {"I16", 2},
                                            {"U16", 2},
                                            {"F16", 2},
                                            {"BF16", 2},
                                            {"I32", 4},
                                            {"U32", 4},
                                            {"F32", 4},
                                            {"C64", 8},
                                            {"F64", 8},
                                            {"I64", 8},
                                            {"U64", 8}}};

constexpr std::string_view kMetadataKey = "__metadata__";

// Receives the JSON piece by piece, so that nothing is built for a text of the wrong form. Each piece is
// checked against the place it stands in; the names are those that nlohmann's SAX interface asks for.
class HeaderReader {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  HeaderReader(std::uint64_t data_bytes, std::string_view source) : data_bytes_(data_bytes), source_(source) {}

  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(std::size_t) {
    if (place_ == Place::start) return go(Place::root);
    if (place_ != Place::root_value) unexpected("an object");
    if (key_ == kMetadataKey) return go(Place::metadata);
    if (header_.tensors.size() >= kMaxTensors) refuse("{}: header: more than {} tensors", source_, kMaxTensors);
    header_.tensors.emplace_back().name = key_;
    has_type_ = has_shape_ = has_offsets_ = false;
    return go(Place::tensor);
  }

  bool key(string_t& text) {
    switch (place_) {
      case Place::root:
        return root_key(text);
      case Place::metadata:
        return metadata_key(text);
      default:
        return tensor_key(text);
    }
  }

  bool end_object() {
    if (place_ == Place::tensor) finish_tensor();
    return go(place_ == Place::root ? Place::end : Place::root);
  }

  bool start_array(std::size_t) {
    if (place_ == Place::shape_value) return go(Place::shape);
    if (place_ == Place::offsets_value) return go(Place::offsets);
    unexpected("an array");
  }

  bool end_array() {
    if (place_ == Place::offsets && offsets_read_ != 2)
      refuse("{}: {}: data_offsets wants two numbers, has {}", source_, where(), offsets_read_);
    return go(Place::tensor);
  }

  bool number_unsigned(number_unsigned_t value) {
    if (place_ == Place::offsets) return offset(value);
    if (place_ != Place::shape) unexpected("a number");
    std::vector<std::int64_t>& shape = header_.tensors.back().shape;
    if (shape.size() == kMaxRank) refuse("{}: {}: more than {} dimensions", source_, where(), kMaxRank);
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      refuse("{}: {}: dimension {} is out of range", source_, where(), value);
    shape.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  bool string(string_t& text) {
    if (place_ == Place::metadata_value) {
      header_.metadata[key_] = text;
      return go(Place::metadata);
    }
    if (place_ != Place::type_value) unexpected("a string");
    const auto found =
        std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeFacts& t) { return t.name == text; });
    if (found == kTypes.end()) {
      constexpr std::size_t kShown = 32;
      refuse("{}: {}: unknown dtype '{}'", source_, where(), printable(text.substr(0, kShown)));
    }
    header_.tensors.back().type = static_cast<StoredType>(found - kTypes.begin());
    return go(Place::tensor);
  }

  bool null() { unexpected("null"); }
  bool boolean(bool) { unexpected("true or false"); }
  bool number_integer(number_integer_t) { unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) {
    unexpected("a number that is no plain integer in 64 bits");
  }
  bool binary(binary_t&) { unexpected("binary data"); }

  template <class Exception>
  bool parse_error(std::size_t position, const std::string&, const Exception&) {
    refuse("{}: header: no valid JSON at byte {} of it", source_, position);
  }

 private:
  // Where in the header the next piece stands.
  enum class Place {
    start,
    root,
    root_value,
    metadata,
    metadata_value,
    tensor,
    type_value,
    shape_value,
    shape,
    offsets_value,
    offsets,
    end
  };

  bool go(Place place) {
    place_ = place;
    return true;
  }

  [[noreturn]] void unexpected(std::string_view what) const {
    refuse("{}: {}: {} where the format has none", source_, where(), what);
  }

  std::string where() const {
    switch (place_) {
      case Place::start:
      case Place::root:
      case Place::end:
        return "header";
      case Place::root_value:
      case Place::metadata:
      case Place::metadata_value:
        return fmt::format("header: '{}'", printable(key_));
      default:
        return fmt::format("header: tensor '{}'", printable(header_.tensors.back().name));
    }
  }

  bool root_key(const std::string& text) {
    if (text.empty() || text.size() > kMaxNameBytes)
      refuse("{}: header: a tensor name has {} bytes, wanted 1 to {}", source_, text.size(), kMaxNameBytes);
    key_ = text;
    if (!names_.insert(text).second) refuse("{}: header: '{}' is there twice", source_, printable(text));
    return go(Place::root_value);
  }

  bool metadata_key(const std::string& text) {
    if (text.size() > kMaxMetadataKeyBytes)
      refuse("{}: header: a metadata key has {} bytes, at most {} allowed", source_, text.size(),
             kMaxMetadataKeyBytes);
    if (header_.metadata.size() == kMaxMetadata)
      refuse("{}: header: more than {} entries of metadata", source_, kMaxMetadata);
    if (header_.metadata.contains(text))
      refuse("{}: header: metadata '{}' is there twice", source_, printable(text));
    key_ = text;
    return go(Place::metadata_value);
  }

  bool tensor_key(const std::string& text) {
    if (text == "dtype") return once(has_type_, text, Place::type_value);
    if (text == "shape") return once(has_shape_, text, Place::shape_value);
    offsets_read_ = 0;
    if (text == "data_offsets") return once(has_offsets_, text, Place::offsets_value);
    constexpr std::size_t kShown = 32;
    refuse("{}: {}: unknown entry '{}'", source_, where(), printable(text.substr(0, kShown)));
  }

  bool once(bool& seen, std::string_view text, Place next) {
    if (seen) refuse("{}: {}: {} is there twice", source_, where(), text);
    seen = true;
    return go(next);
  }

  bool offset(std::uint64_t value) {
    if (offsets_read_ == 2) refuse("{}: {}: data_offsets wants two numbers, has more", source_, where());
    StoredTensor& tensor = header_.tensors.back();
    (offsets_read_ == 0 ? tensor.begin : tensor.end) = value;
    ++offsets_read_;
    return true;
  }

  void finish_tensor() const {
    const StoredTensor& tensor = header_.tensors.back();
    for (const auto& [has, entry] :
         {std::pair(has_type_, "dtype"), {has_shape_, "shape"}, {has_offsets_, "data_offsets"}})
      if (!has) refuse("{}: {}: {} is missing", source_, where(), entry);
    if (tensor.begin > tensor.end)
      refuse("{}: {}: its bytes {} to {} run backwards", source_, where(), tensor.begin, tensor.end);
    if (tensor.end > data_bytes_)
      refuse("{}: {}: its bytes end at {}, the data at {}", source_, where(), tensor.end, data_bytes_);
    const auto wanted = checked_bytes(tensor.type, tensor.shape);
    if (!wanted) refuse("{}: {}: its shape ({}) overflows", source_, where(), fmt::join(tensor.shape, ", "));
    if (*wanted != tensor.end - tensor.begin)
      refuse("{}: {}: {} of shape ({}) needs {} bytes, data_offsets give {}", source_, where(),
             name(tensor.type), fmt::join(tensor.shape, ", "), *wanted, tensor.end - tensor.begin);
  }

  SafetensorsHeader header_;
  std::set<std::string, std::less<>> names_;
  std::string key_;
  Place place_ = Place::start;
  bool has_type_ = false, has_shape_ = false, has_offsets_ = false;
  int offsets_read_ = 0;
  std::uint64_t data_bytes_;
  std::string_view source_;
};

// Every byte of the data belongs to exactly one tensor.
void check_contiguous(const std::vector<StoredTensor>& tensors, std::uint64_t data_bytes,
                      std::string_view source) {
  std::uint64_t next = 0;
  for (const StoredTensor& tensor : tensors) {
    const std::string_view problem =
        tensor.begin < next ? "overlaps the one before" : "leaves a hole before it";
    if (tensor.begin != next)
      refuse("{}: header: tensor '{}' begins at byte {}, wanted {}: it {}", source, printable(tensor.name),
             tensor.begin, next, problem);
    next = tensor.end;
  }
  if (next != data_bytes)
    refuse("{}: header: the tensors end at byte {}, the data at {}", source, next, data_bytes);
}

void check_writable(const StoredTensor& tensor, std::set<std::string_view>& names) {
  const std::string shown = printable(tensor.name);
  check(!tensor.name.empty() && tensor.name.size() <= kMaxNameBytes,
        "safetensors: tensor '{}': its name has {} bytes, wanted 1 to {}", shown, tensor.name.size(),
        kMaxNameBytes);
  check(tensor.name != kMetadataKey && valid_utf8(tensor.name), "safetensors: '{}' cannot name a tensor",
        shown);
  check(names.insert(tensor.name).second, "safetensors: two tensors are named '{}'", shown);
  check(tensor.shape.size() <= kMaxRank, "safetensors: tensor '{}' has {} dimensions, at most {} allowed",
        shown, tensor.shape.size(), kMaxRank);
}

std::string format_metadata(std::span<const std::pair<std::string, std::string>> metadata) {
  check(metadata.size() <= kMaxMetadata, "safetensors: {} entries of metadata, at most {} allowed",
        metadata.size(), kMaxMetadata);
  std::string json;
  std::set<std::string_view> keys;
  for (const auto& [key, text] : metadata) {
    const std::string shown = printable(key);
    check(key.size() <= kMaxMetadataKeyBytes, "safetensors: metadata key '{}' is longer than {} bytes", shown,
          kMaxMetadataKeyBytes);
    check(keys.insert(key).second, "safetensors: metadata '{}' is given twice", shown);
    check(valid_utf8(key) && valid_utf8(text), "safetensors: metadata '{}' is not UTF-8", shown);
    json += fmt::format("{}{}:{}", json.empty() ? "" : ",", json_string(key), json_string(text));
  }
  return fmt::format("{}:{{{}}}", json_string(kMetadataKey), json);
}

}  // namespace

std::string_view name(StoredType type) { return kTypes[static_cast<std::size_t>(type)].name; }
std::uint64_t bytes(StoredType type) { return kTypes[static_cast<std::size_t>(type)].bytes; }

std::optional<std::uint64_t> checked_bytes(StoredType type, std::span<const std::int64_t> shape) {
  std::uint64_t product = bytes(type);
  for (const std::int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(product, static_cast<std::uint64_t>(size), &product))
      return std::nullopt;
  return product;
}

SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes,
                                           std::string_view source) {
  if (text.empty() || text.front() != '{') refuse("{}: header: it does not start with '{{'", source);
  // The JSON parser takes a zero byte for the end of its input and would ignore what follows.
  if (text.find('\0') != std::string_view::npos) refuse("{}: header: it holds a zero byte", source);
  if (!valid_utf8(text)) refuse("{}: header: it is not UTF-8", source);
  HeaderReader reader(data_bytes, source);
  nlohmann::json::sax_parse(text, &reader);
  SafetensorsHeader header = reader.take();
  std::stable_sort(header.tensors.begin(), header.tensors.end(),
                   [](const StoredTensor& a, const StoredTensor& b) {
                     return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
                   });
  check_contiguous(header.tensors, data_bytes, source);
  return header;
}

std::string format_safetensors_header(std::vector<StoredTensor>& tensors,
                                      std::span<const std::pair<std::string, std::string>> metadata) {
  check(tensors.size() <= kMaxTensors, "safetensors: {} tensors, at most {} allowed", tensors.size(),
        kMaxTensors);
  std::string json = "{";
  if (!metadata.empty()) json += format_metadata(metadata);
  std::set<std::string_view> names;
  std::uint64_t next = 0;
  for (StoredTensor& tensor : tensors) {
    check_writable(tensor, names);
    const auto length = checked_bytes(tensor.type, tensor.shape);
    check(length && !__builtin_add_overflow(next, *length, &tensor.end),
          "safetensors: tensor '{}': shape ({}) overflows", printable(tensor.name),
          fmt::join(tensor.shape, ", "));
    tensor.begin = std::exchange(next, tensor.end);
    json += fmt::format(R"({}{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                        json.size() > 1 ? "," : "", json_string(tensor.name), name(tensor.type),
                        fmt::join(tensor.shape, ","), tensor.begin, tensor.end);
  }
  json += '}';
  json.resize((json.size() + 7) / 8 * 8, ' ');
  check(json.size() <= kMaxHeaderBytes, "safetensors: a header of {} bytes, at most {} allowed", json.size(),
        kMaxHeaderBytes);
  return json;
}

}  // namespace stp
