// stprivacy import WEIGHTS: an image transformer's weights as the start of a recipe's networks.
#include "engine/file.h"
#include "models/stprivacy.h"
#include "models/weights.h"
#include "tools/commands/commands.h"
#include "tools/experiment/recipe.h"

namespace stp {

namespace {

struct ImportArguments {
  std::string weights, recipe, output, inflation = "averaging";
  std::vector<std::string> set;
  bool force = false;
};

void tell(const ImportReport& report, Console& console) {
  const auto list = [&](const char* what, const std::vector<std::string>& names) {
    console.result(fmt::format("{}: {}", what, names.size()));
    for (const std::string& name : names) console.result("  " + name);
  };
  list("matched", report.matched);
  console.result(fmt::format("inflated: {}", report.inflated.size()));
  for (const auto& [name, how] : report.inflated) console.result(fmt::format("  {}: {}", name, how));
  list("missing, keep their own start", report.missing);
  list("unused", report.unused);
}

// The parameters that came from the file, by their names here, in the order of the network.
void write(const ImportArguments& a, const ImportReport& report, const Parameters& parameters) {
  std::vector<std::string> names = report.matched;
  for (const ImportReport::Change& change : report.inflated) names.push_back(change.name);
  std::vector<const Parameter*> chosen;
  std::vector<StoredTensor> tensors;
  for (const Parameter& p : parameters.all()) {
    if (std::ranges::find(names, p.name) == names.end()) continue;
    chosen.push_back(&p);
    StoredTensor tensor = {.name = p.name};
    for (int d = 0; d < p.shape.rank(); ++d) tensor.shape.push_back(p.shape[d]);
    tensors.push_back(std::move(tensor));
  }
  SafetensorsWriter file(a.output, std::move(tensors));
  for (const Parameter* p : chosen) file.append(std::span<const float>(p->tensor.values()));
  file.commit();
}

void run(const ImportArguments& a, Console& console) {
  const Recipe recipe = load_recipe(a.recipe, a.set);
  const SafetensorsFile file(a.weights);
  std::error_code ignored;
  check(a.output.empty() || a.force || !std::filesystem::exists(a.output, ignored),
        "{}: exists already; choose another name, or add --force", shown(a.output));
  check(a.output.empty() || !std::filesystem::equivalent(a.output, a.weights, ignored),
        "{}: would be written over itself; choose another name", shown(a.output));
  const Stprivacy network(Backend(Device::cpu), 0, recipe.stprivacy());
  const ImportReport report =
      import_weights(file, network.parameters(), recipe.vit(),
                     a.inflation == "averaging" ? Inflation::averaging : Inflation::central);
  tell(report, console);
  if (a.output.empty()) return;
  write(a, report, network.parameters());
  console.note(fmt::format("{}; begin with it: --set weights.image={}", shown(a.output), shown(a.output)));
}

}  // namespace

void add_import(CLI::App& app, Program& program) {
  auto a = std::make_shared<ImportArguments>();
  CLI::App* c =
      add_command(app, program, "import",
                  "say what of an image transformer's weights fits a recipe's network, and write it inflated",
                  [a](Console& console) { run(*a, console); });
  c->add_option("weights", a->weights, "safetensors file of a ViT, by timm's names")->required();
  c->add_option("--recipe", a->recipe, "recipe file (TOML) whose model is to begin with them")->required();
  c->add_option("--set", a->set, "key=value, before the recipe's own; may be repeated")
      ->allow_extra_args(false);
  c->add_option("-o,--output", a->output, "file to write; without it nothing is written");
  c->add_option("--inflation", a->inflation, "how a 2-D patch kernel becomes a 3-D one")
      ->check(CLI::IsMember({"averaging", "central"}));
  c->add_flag("--force", a->force, "replace an existing output");
}

}  // namespace stp
