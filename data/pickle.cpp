#include "data/pickle.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <unordered_set>
#include <variant>

#include "data/text_file.h"
#include "engine/check.h"

namespace stp {
namespace {

constexpr std::string_view kPickleCure =
    "fetch the published file again, or give a CSV table with the header video,ATTRIBUTE,... and values 0 or 1";
constexpr std::size_t kClips = 1u << 20, kStack = 1u << 16, kMemo = 1u << 22, kValues = 4096;

enum class Name : std::uint8_t { reconstruct, ndarray, dtype };
struct None {};
struct Mark {};
struct Type {  // numpy.dtype("i8"), until its state says in which order its bytes are
  bool complete = false;
};
struct Array {
  std::optional<std::vector<std::int64_t>> values;  // none until its state is given
};
struct Item;
using Tuple = std::vector<Item>;
struct Item {
  // Arrays and types are built in two steps and meanwhile known by the memo: shared, as in Python.
  std::variant<None, Mark, bool, std::int64_t, std::string, std::vector<std::byte>, Name, Tuple,
               std::shared_ptr<Type>, std::shared_ptr<Array>, PickledLabels*>
      value;
};

// The opcodes of the two files; pickletools of Python documents them all.
enum Opcode : std::uint8_t {
  kMark = '(',
  kStop = '.',
  kNone = 'N',
  kReduce = 'R',
  kBuild = 'b',
  kBinget = 'h',
  kLongBinget = 'j',
  kBinint = 'J',
  kBinint1 = 'K',
  kTuple = 't',
  kSetitem = 's',
  kSetitems = 'u',
  kEmptyDict = '}',
  kShortBinbytes = 'C',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewtrue = 0x88,
  kNewfalse = 0x89,
  kShortBinunicode = 0x8c,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95
};

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  PickledLabels run() {
    while (step()) {
    }
    if (at_ != bytes_.size()) bad("the pickle has ended, the file goes on");
    if (stack_.size() != 1 || !std::holds_alternative<PickledLabels*>(stack_.back().value))
      bad("it ends without a dictionary");
    for (const PickledLabels::Clip& clip : labels_.clips)
      if (clip.values.size() != labels_.clips.front().values.size())
        bad(fmt::format("'{}' has {} labels, the first clip {}", brief(clip.name), clip.values.size(),
                        labels_.clips.front().values.size()));
    return std::move(labels_);
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    refuse("{}: byte {}: {}; {}", source_, opcode_at_, what, kPickleCure);
  }

  std::span<const std::byte> take(std::uint64_t count) {
    if (count > bytes_.size() - at_) bad("the file ends too soon");
    at_ += count;
    return bytes_.subspan(at_ - count, count);
  }
  std::uint64_t number(std::size_t count) {
    std::uint64_t value = 0;
    std::size_t shift = 0;
    for (const std::byte b : take(count)) value |= std::to_integer<std::uint64_t>(b) << shift++ * 8;
    return value;
  }

  void push(Item item) {
    if (stack_.size() >= kStack) bad(fmt::format("more than {} values are waiting", kStack));
    stack_.push_back(std::move(item));
  }
  Item pop() {
    if (stack_.empty() || std::holds_alternative<Mark>(stack_.back().value)) bad("a value is missing");
    Item item = std::move(stack_.back());
    stack_.pop_back();
    return item;
  }
  template <class T>
  T pop_as(const char* what) {
    Item item = pop();
    if (!std::holds_alternative<T>(item.value)) bad(fmt::format("wanted {}", what));
    return std::get<T>(std::move(item.value));
  }
  Tuple pop_tuple(std::size_t count) {
    Tuple items(count);
    for (std::size_t i = count; i > 0; --i) items[i - 1] = pop();
    return items;
  }
  Tuple pop_to_mark() {
    Tuple items;
    while (!stack_.empty() && !std::holds_alternative<Mark>(stack_.back().value)) items.push_back(pop());
    if (stack_.empty()) bad("a mark is missing");
    stack_.pop_back();
    std::reverse(items.begin(), items.end());
    return items;
  }

  // The state of an array holds its shape, and nothing is deeper: no chain of tuples that has to be taken apart
  // level by level.
  void push_tuple(Tuple items) {
    const auto is_tuple = [](const Item& item) { return std::holds_alternative<Tuple>(item.value); };
    for (const Item& item : items) {
      if (is_tuple(item) && std::ranges::any_of(std::get<Tuple>(item.value), is_tuple))
        bad("tuples in tuples in tuples");
    }
    push({std::move(items)});
  }

  // Carries out one opcode; false at the end.
  bool step() {
    opcode_at_ = at_;
    const auto opcode = static_cast<std::uint8_t>(number(1));
    if (opcode_at_ == 0 && opcode != kProto) bad("not a pickle of protocol 4");
    switch (opcode) {
      case kProto:
        if (opcode_at_ != 0 || number(1) != 4) bad("not a pickle of protocol 4");
        break;
      case kFrame:
        take_frame();
        break;
      case kStop:
        return false;
      case kMark:
        push({Mark()});
        break;
      case kNone:
        push({None()});
        break;
      case kNewtrue:
        push({true});
        break;
      case kNewfalse:
        push({false});
        break;
      case kBinint1:
        push({static_cast<std::int64_t>(number(1))});
        break;
      case kBinint:
        push({std::int64_t{static_cast<std::int32_t>(number(4))}});
        break;
      case kShortBinunicode:
        push({text(take(number(1)))});
        break;
      case kShortBinbytes:
        push_bytes(take(number(1)));
        break;
      case kTuple:
        push_tuple(pop_to_mark());
        break;
      case kTuple1:
        push_tuple(pop_tuple(1));
        break;
      case kTuple2:
        push_tuple(pop_tuple(2));
        break;
      case kTuple3:
        push_tuple(pop_tuple(3));
        break;
      case kMemoize:
        memoize();
        break;
      case kBinget:
        recall(number(1));
        break;
      case kLongBinget:
        recall(number(4));
        break;
      case kStackGlobal:
        name();
        break;
      case kReduce:
        call();
        break;
      case kBuild:
        build();
        break;
      case kEmptyDict:
        begin_dictionary();
        break;
      case kSetitem:
        set(pop_tuple(2));
        break;
      case kSetitems:
        set(pop_to_mark());
        break;
      default:
        bad(fmt::format("opcode 0x{:02x} is none of those that label files use", opcode));
    }
    return true;
  }

  // A frame only tells how many bytes belong together; they must be there.
  void take_frame() {
    if (number(8) > bytes_.size() - at_) bad("the file ends too soon");
  }

  static std::string text(std::span<const std::byte> bytes) {
    std::string s;
    for (const std::byte b : bytes) s += static_cast<char>(b);
    return s;
  }
  void push_bytes(std::span<const std::byte> bytes) {
    push({std::vector<std::byte>(bytes.begin(), bytes.end())});
  }

  void memoize() {
    if (stack_.empty()) bad("a value is missing");
    if (memo_.size() >= kMemo) bad(fmt::format("more than {} values are remembered", kMemo));
    memo_.push_back(stack_.back());
    if (std::holds_alternative<Tuple>(memo_.back().value)) memo_.back() = {Mark()};  // never asked for again
  }
  void recall(std::uint64_t index) {
    if (index >= memo_.size() || std::holds_alternative<Mark>(memo_[index].value))
      bad(fmt::format("nothing was remembered as number {}", index));
    push(memo_[index]);
  }

  void name() {
    const auto attribute = pop_as<std::string>("a name"), module = pop_as<std::string>("a module");
    const std::string whole = module + "." + attribute;
    if (whole == "numpy.core.multiarray._reconstruct" || whole == "numpy._core.multiarray._reconstruct") {
      push({Name::reconstruct});
    } else if (whole == "numpy.ndarray") {
      push({Name::ndarray});
    } else if (whole == "numpy.dtype") {
      push({Name::dtype});
    } else {
      bad(fmt::format("it names '{}', which a label file has no use for", brief(whole)));
    }
  }

  void call() {
    const auto arguments = pop_as<Tuple>("arguments");
    const auto function = pop_as<Name>("a function");
    const auto is_name = [&](std::size_t i, Name n) {
      return arguments.size() > i && std::holds_alternative<Name>(arguments[i].value) &&
             std::get<Name>(arguments[i].value) == n;
    };
    if (function == Name::reconstruct && arguments.size() == 3 && is_name(0, Name::ndarray)) {
      push({std::make_shared<Array>()});
    } else if (function == Name::dtype && !arguments.empty() &&
               std::holds_alternative<std::string>(arguments[0].value) &&
               std::get<std::string>(arguments[0].value) == "i8") {
      push({std::make_shared<Type>()});
    } else {
      bad("wanted an array of int64 ('i8')");
    }
  }

  void build() {
    const auto state = pop_as<Tuple>("a state");
    const Item object = pop();
    if (const auto* type = std::get_if<std::shared_ptr<Type>>(&object.value)) {
      build_type(**type, state);
    } else if (const auto* array = std::get_if<std::shared_ptr<Array>>(&object.value)) {
      build_array(**array, state);
    } else {
      bad("wanted an array or its type");
    }
    push(object);
  }

  // (3, "<", None, None, None, -1, -1, 0)
  void build_type(Type& type, const Tuple& state) {
    if (state.size() < 2 || !std::holds_alternative<std::string>(state[1].value) ||
        std::get<std::string>(state[1].value) != "<")
      bad("wanted little-endian integers");
    type.complete = true;
  }

  // (1, (1, count) or (count,), dtype, False, bytes)
  void build_array(Array& array, const Tuple& state) {
    const bool shaped = state.size() == 5 && std::holds_alternative<Tuple>(state[1].value) &&
                        std::holds_alternative<std::shared_ptr<Type>>(state[2].value) &&
                        std::get<std::shared_ptr<Type>>(state[2].value)->complete &&
                        std::holds_alternative<std::vector<std::byte>>(state[4].value);
    if (!shaped) bad("wanted an array of int64 with its shape and bytes");
    const Tuple& shape = std::get<Tuple>(state[1].value);
    const auto& data = std::get<std::vector<std::byte>>(state[4].value);
    const auto is_number = [](const Item& item) { return std::holds_alternative<std::int64_t>(item.value); };
    if (shape.empty() || shape.size() > 2 || !std::ranges::all_of(shape, is_number) ||
        (shape.size() == 2 && std::get<std::int64_t>(shape[0].value) != 1))
      bad("wanted an array of one row");
    const std::int64_t count = std::get<std::int64_t>(shape.back().value);
    if (count < 1 || count > static_cast<std::int64_t>(kValues) ||
        data.size() != static_cast<std::size_t>(count) * 8)
      bad(fmt::format("an array of {} numbers in {} bytes", count, data.size()));
    array.values.emplace();
    for (std::size_t i = 0; i < data.size(); i += 8) {
      std::uint64_t value = 0;
      for (std::size_t b = 0; b < 8; ++b) value |= std::to_integer<std::uint64_t>(data[i + b]) << 8 * b;
      array.values->push_back(static_cast<std::int64_t>(value));
    }
  }

  void begin_dictionary() {
    if (dictionary_) bad("a second dictionary");
    dictionary_ = true;
    push({&labels_});
  }

  void set(const Tuple& pairs) {
    if (stack_.empty() || !std::holds_alternative<PickledLabels*>(stack_.back().value))
      bad("wanted the dictionary below its entries");
    if (pairs.size() % 2 != 0) bad("a key without a value");
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      const auto* key = std::get_if<std::string>(&pairs[i].value);
      const auto* array = std::get_if<std::shared_ptr<Array>>(&pairs[i + 1].value);
      if (key == nullptr || array == nullptr || !(*array)->values)
        bad("an entry is not a clip with its labels");
      if (!seen_.insert(*key).second) bad(fmt::format("'{}' is there twice", brief(*key)));
      if (labels_.clips.size() >= kClips) bad(fmt::format("more than {} clips", kClips));
      labels_.clips.push_back({*key, *(*array)->values});
    }
  }

  std::span<const std::byte> bytes_;
  std::string source_;
  std::size_t at_ = 0, opcode_at_ = 0;
  std::vector<Item> stack_, memo_;
  PickledLabels labels_;
  bool dictionary_ = false;
  std::unordered_set<std::string> seen_;
};

}  // namespace

PickledLabels read_pickled_labels(std::span<const std::byte> bytes, const std::string& source) {
  return Machine(bytes, source).run();
}

}  // namespace stp
