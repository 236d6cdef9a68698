#include "tools/anonymise/request.h"

namespace stp {

std::vector<double> keep_ratios(const LoadedModel& model, const AnonymiseOptions& options) {
  if (!model.anonymiser->sparsifies()) return {};
  const std::vector<double>& trained = model.anonymiser->options().keep;
  return options.alpha ? cumulative_keep(*options.alpha, trained.size()) : trained;
}

void check_model(const LoadedModel& model, const AnonymiseOptions& options) {
  check(model.anonymiser != nullptr, "anonymize: the model's method is {}; videos are made by STPrivacy alone",
        model.recipe.method.name);
  const bool learned = options.mode == AnonymiseMode::learned;
  check(!learned || model.anonymiser->redraws(),
        "anonymize: this model redraws nothing (model.parts = \"sparsification\"); train one that does, or use "
        "--mode mask, which leaves people visible");
  check(!options.alpha || model.anonymiser->sparsifies(),
        "anonymize: this model drops nothing (model.parts = \"anonymisation\"); leave --keep out");
  StprivacyOptions asked = model.anonymiser->options();
  const std::vector<double> keep = keep_ratios(model, options);
  if (!keep.empty()) asked.keep = keep;
  asked.validate();
  check(learned || (!keep.empty() && keep.back() < 1),
        "anonymize: in mode mask nothing would be dropped and the video pass as it is; use --mode learned{}",
        keep.empty() ? "" : ", or a --keep below 1");
}

}  // namespace stp
