#include "data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <stop_token>
#include <thread>

#include "data/footage.h"
#include "data/footage_disk.h"
#include "data/footage_memory.h"
#include "data/resize.h"
#include "data/text_file.h"
#include "engine/check.h"
#include "engine/file.h"
#include "engine/progress.h"

namespace stp {
namespace {

using Views = LoaderOptions::Views;

// Samples of one batch that follow each other and are views of one item: decoded once.
struct Run {
  std::uint32_t item = 0;
  int first = 0, count = 0;  // places in the batch
};

void check_range(std::int64_t value, std::int64_t low, std::int64_t high, const char* name) {
  check(value >= low && value <= high, "loader: {} is {}, wanted {} to {}", name, value, low, high);
}

void check_options(const LoaderOptions& o) {
  check_range(o.T, 1, 4096, "T");
  check_range(o.rate, 1, 1'000'000, "rate");
  check_range(o.Y, 1, 8192, "Y");
  check_range(o.X, 1, 8192, "X");
  check_range(o.batch, 1, 65536, "batch");
  check_range(o.clips, 1, 1000, "clips");
  check_range(o.crops, 1, 1000, "crops");
  check_range(o.short_side, 0, 8192, "short_side");
  check_range(o.threads, 1, 256, "threads");
  check_range(o.ahead, 1, 64, "ahead");
  constexpr std::int64_t kBatchBytes = std::int64_t{4} << 30;
  const std::int64_t bytes = std::int64_t{3} * o.batch * o.T * o.Y * o.X;
  check(bytes <= kBatchBytes,
        "loader: a batch of {} x {} x {} x {} x 3 bytes is more than {}; lower batch, T, Y or X", o.batch, o.T,
        o.Y, o.X, kBatchBytes);
  check_crop_spec(o.crop);
  check_augment_spec(o.augment);
}

std::vector<std::filesystem::path> paths_of(const std::vector<Item>& items) {
  std::vector<std::filesystem::path> paths;
  paths.reserve(items.size());
  for (const Item& item : items) paths.push_back(item.path);
  return paths;
}

std::vector<bool> stills_of(const std::vector<Item>& items) {
  std::vector<bool> stills;
  stills.reserve(items.size());
  for (const Item& item : items) stills.push_back(item.still);
  return stills;
}

// Frames that became others are of no use to loaders with another obfuscation.
std::shared_ptr<FootageMemory> memory_of(const LoaderOptions& options, const Obfuscator& obfuscator) {
  if (options.memory != nullptr && !obfuscator.acts_on_frames()) return options.memory;
  return std::make_shared<FootageMemory>(options.memory == nullptr ? 0 : options.memory->budget());
}

// The epoch's samples are numbered; a batch takes the next `batch` of them.
class Plan {
 public:
  Plan(std::int64_t items, const LoaderOptions& options)
      : items_(items),
        options_(options),
        views_(options.views == Views::even ? options.clips * options.crops : 1) {}

  std::int64_t samples() const { return items_ * views_; }
  std::int64_t batches() const {
    const bool drop = options_.views == Views::random && options_.drop_last;
    return (samples() + (drop ? 0 : options_.batch - 1)) / options_.batch;
  }

  // Sets where the batch belongs, its items and views.
  void lay_out(std::uint64_t epoch, std::int64_t index, Batch& batch) {
    if (options_.views == Views::random && epoch_ != epoch) {
      order_ = epoch_order(static_cast<std::uint32_t>(items_), options_.seed, epoch);
      epoch_ = epoch;
    }
    const std::int64_t first = index * options_.batch, last = std::min(first + options_.batch, samples());
    batch.epoch = epoch;
    batch.index = index;
    batch.B = static_cast<int>(last - first);
    batch.items.clear();
    batch.views.clear();
    for (std::int64_t sample = first; sample < last; ++sample) {
      const std::int64_t place = sample / views_;
      const bool random = options_.views == Views::random;
      batch.items.push_back(random ? order_[static_cast<std::size_t>(place)]
                                   : static_cast<std::uint32_t>(place));
      batch.views.push_back(static_cast<std::uint32_t>(sample % views_));
    }
  }

 private:
  std::int64_t items_;
  LoaderOptions options_;
  int views_;
  std::optional<std::uint64_t> epoch_;  // that order_ belongs to
  std::vector<std::uint32_t> order_;
};

std::vector<Run> runs_of(const Batch& batch) {
  std::vector<Run> runs;
  for (int b = 0; b < batch.B; ++b) {
    const std::uint32_t item = batch.items[static_cast<std::size_t>(b)];
    if (runs.empty() || runs.back().item != item) runs.push_back({item, b, 0});
    ++runs.back().count;
  }
  return runs;
}

// Fills the pixels of samples; holds nothing that changes but the store.
class ClipMaker {
 public:
  ClipMaker(const std::vector<Item>& items, const LoaderOptions& options)
      : options_(options),
        obfuscator_(options.obfuscation, items),
        store_(
            paths_of(items), options.short_side, memory_of(options, obfuscator_), FootageStore::kWholeBytes,
            [this](std::size_t item) { return obfuscator_.filter(item); }, stills_of(items)) {
    if (options.cache_dir.empty()) return;
    auto disk = std::make_unique<FootageDisk>(options.cache_dir, options.cache_disk_bytes, options.short_side);
    disk_ = disk.get();
    store_.use(std::move(disk));
  }
  ClipMaker(const ClipMaker&) = delete;  // the store asks this one for filters
  ClipMaker& operator=(const ClipMaker&) = delete;

  std::string cache_trouble() const { return disk_ == nullptr ? "" : disk_->trouble(); }

  // Reads the video of the run once, in the order of its frames, for all samples of the run.
  void fill(const Run& run, Batch& batch) {
    const FootageStore::Whole whole = store_.whole(run.item);
    std::vector<Sample> samples;
    std::map<int, std::vector<std::pair<Sample*, int>>> uses;  // frame number -> samples and their frames t
    for (int b = run.first; b < run.first + run.count; ++b)
      samples.push_back({b, augmentation_of(batch, b), {}});
    for (Sample& sample : samples) {
      const int start = start_of(whole.frames, batch, sample.b);
      const auto numbers = clip_frames(whole.frames, start, options_.T, options_.rate, options_.padding);
      std::ranges::copy(numbers, batch.frames.begin() + static_cast<std::ptrdiff_t>(sample.b) * options_.T);
      for (int t = 0; t < options_.T; ++t) uses[numbers[static_cast<std::size_t>(t)]].emplace_back(&sample, t);
    }
    std::vector<int> numbers;
    numbers.reserve(uses.size());
    for (const auto& [number, where] : uses) numbers.push_back(number);
    store_.visit(run.item, whole, numbers, [&](int number, const Picture& picture) {
      for (const auto& [sample, t] : uses[number]) cut(picture, *sample, t, batch);
    });
    for (const Sample& sample : samples) {
      const std::span<std::uint8_t> clip = clip_of(batch, sample.b);
      apply(sample.augmentation, clip, options_.T, options_.Y, options_.X);
      const Obfuscation& o = options_.obfuscation;
      if (o.kind == Obfuscation::Kind::downsample)
        coarsen(clip, options_.T, options_.Y, options_.X, o.factor, o.nearest);
    }
  }

 private:
  struct Sample {
    int b = 0;  // place in the batch
    Augmentation augmentation;
    std::optional<Resizer> resize;  // made when the size of the frames is known
  };

  bool random() const { return options_.views == Views::random; }
  // A clip's own stream, named by what is drawn, so that one draw does not move another.
  Random stream(const char* name, const Batch& batch, int b) const {
    return {options_.seed, stream_id(name, {batch.epoch, batch.items[static_cast<std::size_t>(b)]})};
  }

  int start_of(int frames, const Batch& batch, int b) const {
    if (random()) {
      Random draw = stream("clip start", batch, b);
      return random_start(frames, options_.T, options_.rate, draw);
    }
    const int clip = static_cast<int>(batch.views[static_cast<std::size_t>(b)]) / options_.crops;
    return even_start(frames, options_.T, options_.rate, clip, options_.clips);
  }

  Crop crop_of(const Picture& picture, const Batch& batch, int b) const {
    if (random()) {
      Random draw = stream("clip crop", batch, b);
      return random_crop(picture.height, picture.width, options_.Y, options_.X, options_.crop, draw);
    }
    const int crop = static_cast<int>(batch.views[static_cast<std::size_t>(b)]) % options_.crops;
    return even_crop(picture.height, picture.width, options_.Y, options_.X, crop, options_.crops);
  }

  Augmentation augmentation_of(const Batch& batch, int b) const {
    if (!random()) return {};
    return draw_augmentation(options_.augment, options_.Y, options_.X, options_.seed, batch.epoch,
                             batch.items[static_cast<std::size_t>(b)]);
  }

  // The pixels (T, Y, X, 3) of clip b.
  std::span<std::uint8_t> clip_of(Batch& batch, int b) const {
    const std::size_t bytes = std::size_t{3} * options_.T * options_.Y * options_.X;
    return std::span(batch.pixels).subspan(static_cast<std::size_t>(b) * bytes, bytes);
  }

  void cut(const Picture& picture, Sample& sample, int t, Batch& batch) const {
    if (!sample.resize)
      sample.resize.emplace(picture.height, picture.width, Region::of(crop_of(picture, batch, sample.b)),
                            options_.Y, options_.X, sample.augmentation.flip);
    const std::size_t bytes = std::size_t{3} * options_.Y * options_.X;
    (*sample.resize)(picture.rgb, clip_of(batch, sample.b).subspan(static_cast<std::size_t>(t) * bytes, bytes));
  }

  LoaderOptions options_;
  Obfuscator obfuscator_;
  FootageStore store_;
  const FootageDisk* disk_ = nullptr;  // of store_
};

}  // namespace

std::vector<std::uint32_t> epoch_order(std::uint32_t items, std::uint64_t seed, std::uint64_t epoch) {
  std::vector<std::uint32_t> order(items);
  std::iota(order.begin(), order.end(), 0u);
  Random random(seed, stream_id("epoch order", {epoch}));
  for (std::size_t i = items; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

// Batches are numbered through all epochs: g = epoch batches() + index. Batch g is made in slot g mod ahead;
// slots of batches that are not yet delivered are never given away, which bounds the memory.
struct Loader::State {
  struct Slot {
    std::int64_t number = -1;  // the batch in it
    Batch batch;
    std::vector<Run> runs;
    std::size_t done = 0;     // runs finished
    std::size_t bad_run = 0;  // the first one that failed, if error
    std::optional<Error> error;
  };

  State(std::vector<Item> given, const LoaderOptions& wanted)
      : options(wanted),
        items(std::move(given)),
        plan(static_cast<std::int64_t>(items.size()), options),
        maker(items, options),
        slots(static_cast<std::size_t>(options.ahead)) {}
  ~State() { stop(); }

  void start() {
    for (int i = 0; i < options.threads; ++i)
      threads.emplace_back([this](const std::stop_token& token) { work(token); });
  }

  void stop() {
    for (std::jthread& thread : threads) thread.request_stop();
    threads.clear();  // waits for the clips in hand
  }

  std::int64_t delivered() const {
    return static_cast<std::int64_t>(position.epoch) * plan.batches() + position.batch;
  }
  Slot& slot(std::int64_t g) { return slots[static_cast<std::size_t>(g % options.ahead)]; }
  // Evaluation stops at the end of its pass; training goes on into the next epoch.
  bool may_make() const {
    const std::int64_t end = options.views == Views::even
                                 ? static_cast<std::int64_t>(position.epoch + 1) * plan.batches()
                                 : INT64_MAX;
    return making < std::min(delivered() + options.ahead, end);
  }

  // The next run to make. Called with the mutex held.
  std::pair<Slot*, std::size_t> take() {
    Slot& s = slot(making);
    if (run == 0) prepare(s);
    const std::size_t taken = run++;
    if (run == s.runs.size()) {
      ++making;
      run = 0;
    }
    return {&s, taken};
  }

  void prepare(Slot& s) {
    s.number = making;
    s.done = 0;
    s.error.reset();
    Batch& batch = s.batch;
    plan.lay_out(static_cast<std::uint64_t>(making / plan.batches()), making % plan.batches(), batch);
    s.runs = runs_of(batch);
    batch.T = options.T;
    batch.Y = options.Y;
    batch.X = options.X;
    batch.A = static_cast<int>(items.front().attributes.size());
    batch.pixels.resize(std::size_t{3} * batch.B * batch.T * batch.Y * batch.X);
    batch.labels.clear();
    batch.attributes.clear();
    batch.actions.clear();
    batch.frames.assign(static_cast<std::size_t>(batch.B) * static_cast<std::size_t>(batch.T), 0);
    for (const std::uint32_t i : batch.items) {
      const Item& item = items[i];
      batch.labels.push_back(item.label);
      batch.attributes.insert(batch.attributes.end(), item.attributes.begin(), item.attributes.end());
      batch.actions.insert(batch.actions.end(), item.actions.begin(), item.actions.end());
    }
  }

  void work(const std::stop_token& token) {
    std::unique_lock lock(mutex);
    while (to_make.wait(lock, token, [this] { return may_make(); })) {
      const auto [s, i] = take();
      lock.unlock();
      std::optional<Error> error = attempt(s->runs[i], s->batch);
      lock.lock();
      // The first in the batch's order, not the first in time.
      if (error && (!s->error || i < s->bad_run)) {
        s->error = std::move(error);
        s->bad_run = i;
      }
      if (++s->done == s->runs.size()) made.notify_all();
    }
  }

  std::optional<Error> attempt(const Run& r, Batch& batch) {
    const std::string name = shown(items[r.item].path);
    try {
      maker.fill(r, batch);
      return std::nullopt;
    } catch (const Error& error) {
      const bool named = std::string_view(error.what()).find(name) != std::string_view::npos;
      return named ? error : Error(error.fault(), fmt::format("{}: {}", name, error.what()));
    } catch (const std::exception& error) {
      return Error(Fault::failure, fmt::format("{}: {}", name, error.what()));
    }
  }

  bool next(Batch& batch) {
    if (threads.empty()) start();
    std::unique_lock lock(mutex);
    if (position.batch == plan.batches()) {
      position = {position.epoch + 1, 0};
      return false;
    }
    to_make.notify_all();  // the evaluation's next pass may begin
    Slot& s = slot(delivered());
    const double start = steady_seconds();
    made.wait(lock, [&] { return s.number == delivered() && s.done == s.runs.size(); });
    waited += steady_seconds() - start;
    if (s.error) throw *s.error;
    std::swap(batch, s.batch);
    ++position.batch;
    to_make.notify_all();
    return true;
  }

  const LoaderOptions options;
  const std::vector<Item> items;
  Plan plan;
  ClipMaker maker;
  std::mutex
      mutex;  // guards what follows and plan; a slot's batch belongs to the workers until all runs are done
  std::condition_variable_any to_make, made;
  Position position;
  std::int64_t making = 0;  // the batch whose runs are given out,
  std::size_t run = 0;      // and the next of them
  std::vector<Slot> slots;
  std::vector<std::jthread> threads;
  double waited = 0;
};

Loader::Loader(std::vector<Item> items, const LoaderOptions& options) {
  check_options(options);
  check(!items.empty(), "loader: no clips; check the split and the folder of the videos");
  check(items.size() < UINT32_MAX, "loader: {} clips, more than can be numbered", items.size());
  for (const Item& item : items)
    check(item.attributes.size() == items.front().attributes.size(), "loader: {} has {} attributes, {} has {}",
          shown(item.path), item.attributes.size(), shown(items.front().path), items.front().attributes.size());
  state_ = std::make_unique<State>(std::move(items), options);
  check(batches() > 0,
        "loader: {} clips make no batch of {}; lower batch, or keep the last one (drop_last = false)",
        state_->items.size(), options.batch);
}

Loader::~Loader() = default;
Loader::Loader(Loader&&) noexcept = default;
Loader& Loader::operator=(Loader&&) noexcept = default;

std::int64_t Loader::batches() const { return state_->plan.batches(); }

void Loader::open(Position position) {
  constexpr std::uint64_t kEpochs = 1'000'000'000;
  check(position.epoch <= kEpochs && position.batch >= 0 && position.batch <= batches(),
        "loader: no place {} in epoch {}; an epoch has {} batches", position.batch, position.epoch, batches());
  State& s = *state_;
  s.stop();
  for (State::Slot& slot : s.slots) slot.number = -1;
  s.position = position;
  s.making = s.delivered();
  s.run = 0;
}

Position Loader::position() const { return state_->position; }

bool Loader::next(Batch& batch) { return state_->next(batch); }

double Loader::waited() const { return state_->waited; }

std::string Loader::cache_trouble() const { return state_->maker.cache_trouble(); }

}  // namespace stp
