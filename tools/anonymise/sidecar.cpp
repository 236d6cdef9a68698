#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/anonymise/job.h"

namespace stp {

namespace {

using Json = nlohmann::ordered_json;

Json source_of(const AnonymiseReport& report) {
  Json json;
  json["xxh64"] = report.input_digest;
  json["bytes"] = report.input_bytes;
  json["width"] = report.source.width;
  json["height"] = report.source.height;
  json["dropped_streams"] = report.source.others;
  json["repaired_times"] = report.repaired_times;
  return json;
}

Json output_of(const AnonymiseOptions& options, const AnonymiseReport& report) {
  Json json;
  json["width"] = report.written.width;
  json["height"] = report.written.height;
  json["frames"] = report.frames;
  json["lossless"] = options.lossless;
  if (!options.lossless) json["quality"] = options.quality;
  return json;
}

}  // namespace

std::string sidecar_text(const LoadedModel& model, const AnonymiseOptions& options,
                         const AnonymiseReport& report) {
  const bool learned = options.mode == AnonymiseMode::learned;
  const ModelRecipe& recipe = model.recipe.model;
  Json json;
  json["program"] = "stprivacy " STP_VERSION;
  json["input"] = source_of(report);
  json["model"] = {{"name", model.recipe.name}, {"xxh64", model.digest}};
  json["mode"] = learned ? "learned" : "mask";
  json["size"] = options.size == OutputSize::model ? "model" : "source";
  if (options.alpha) {
    json["alpha"] = *options.alpha;
  } else if (recipe.keep.empty() && model.anonymiser->sparsifies()) {
    json["alpha"] = recipe.alpha;
  }
  json["keep_ratios"] = keep_ratios(model, options);
  if (model.anonymiser->sparsifies()) json["delivery"] = recipe.delivery;
  json["kept"] = report.kept;
  if (learned) json["psnr_of_kept"] = report.psnr;
  json["output"] = output_of(options, report);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace stp
