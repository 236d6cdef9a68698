#include "tools/anonymise/deliver.h"

#include "engine/check.h"
#include "engine/file.h"
#include "engine/progress.h"
#include "tools/anonymise/job.h"

namespace stp {

namespace fs = std::filesystem;

void deliver_dataset(const LoadedModel& model, const AnonymiseOptions& options, const Dataset& data,
                     const fs::path& folder, Console& console) {
  check_model(model, options);
  std::vector<const Item*> items;
  for (const auto* part : {&data.train, &data.test}) {
    for (const Item& item : *part) items.push_back(&item);
  }
  Console quiet(Verbosity::quiet);  // thousands of clips have one progress between them
  Progress progress(console, "deliver", static_cast<std::int64_t>(items.size()), "clip");
  for (std::size_t i = 0; i < items.size(); ++i) {
    const AnonymiseJob job = {items[i]->path, folder / (items[i]->name + ".mp4")};
    std::error_code error;
    if (!fs::exists(job.sidecar(), error) || !fs::exists(job.output, error)) {
      fs::create_directories(job.output.parent_path(), error);
      check(!error, "{}: cannot be made: {}", shown(job.output.parent_path()), system_message(error.value()));
      anonymise_video(model, options, job, quiet);
    }
    progress.advance(static_cast<std::int64_t>(i) + 1);
  }
  progress.finish();
}

}  // namespace stp
