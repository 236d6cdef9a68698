// stprivacy import WEIGHTS: an image transformer's weights as the start of a recipe's networks.
#include "engine/file.h"
#include "models/recogniser.h"
#include "models/stprivacy.h"
#include "models/weights.h"
#include "tools/commands/commands.h"
#include "tools/experiment/recipe.h"

namespace stp {

namespace {

struct ImportArguments {
  std::string weights, recipe, output;
  std::vector<std::string> set;
  bool force = false;
};

using Names = std::vector<std::string>;

bool holds(const Names& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// The parameters of a network that came from the file, by their own names, inflated.
Names imported(const ImportReport& report) {
  Names names = report.matched;
  for (const ImportReport::Change& change : report.inflated) names.push_back(change.name);
  return names;
}

void tell(const char* what, const Names& names, Console& console) {
  console.result(fmt::format("  {}: {}", what, names.size()));
  for (const std::string& name : names) console.result("    " + name);
}

void tell(const char* network, const ImportReport& report, Console& console) {
  console.result(network);
  tell("matched", report.matched, console);
  Names inflated;
  for (const auto& [name, how] : report.inflated) inflated.push_back(fmt::format("{}: {}", name, how));
  tell("inflated", inflated, console);
  tell("missing, keep their own start", report.missing, console);
}

// A network of the recipe and what of the file it took.
struct Started {
  const Parameters& parameters;
  ImportReport report;
};

// What any of the networks took, once: they took the same values by the same names.
void write(const std::string& path, const std::vector<Started>& networks) {
  std::vector<const Parameter*> chosen;
  std::vector<StoredTensor> tensors;
  Names written;
  for (const Started& network : networks) {
    const Names names = imported(network.report);
    for (const Parameter& p : network.parameters.all()) {
      if (!holds(names, p.name) || holds(written, p.name)) continue;
      written.push_back(p.name);
      chosen.push_back(&p);
      StoredTensor tensor = {.name = p.name};
      for (int d = 0; d < p.shape.rank(); ++d) tensor.shape.push_back(p.shape[d]);
      tensors.push_back(std::move(tensor));
    }
  }
  SafetensorsWriter file(path, std::move(tensors));
  for (const Parameter* p : chosen) file.append(std::span<const float>(p->tensor.values()));
  file.commit();
}

void check_output(const ImportArguments& a) {
  std::error_code ignored;
  check(a.output.empty() || a.force || !std::filesystem::exists(a.output, ignored),
        "{}: exists already; choose another name, or add --force", shown(a.output));
  check(a.output.empty() || !std::filesystem::equivalent(a.output, a.weights, ignored),
        "{}: would be written over itself; choose another name", shown(a.output));
}

// Both networks read the file, as they do when a recipe names it in weights.image.
void run(const ImportArguments& a, Console& console) {
  const Recipe recipe = load_recipe(a.recipe, a.set);
  check_output(a);
  const SafetensorsFile file(a.weights);
  const Stprivacy anonymiser(Backend(Device::cpu), 0, recipe.stprivacy());
  const Recogniser recogniser(Backend(Device::cpu), 0, recipe.recogniser_for(1));
  const auto start = [&](const Parameters& parameters, const VitOptions& vit) {
    return Started{parameters, import_weights(file, parameters, vit, recipe.inflation())};
  };
  const std::vector<Started> networks = {start(anonymiser.parameters(), anonymiser.options().vit),
                                         start(recogniser.parameters(), recogniser.options().vit)};
  tell("anonymiser", networks[0].report, console);
  tell("recognisers", networks[1].report, console);
  Names unused;
  for (const std::string& name : networks[0].report.unused)
    if (holds(networks[1].report.unused, name)) unused.push_back(name);
  console.result("file");
  tell("unused", unused, console);
  if (a.output.empty()) return;
  write(a.output, networks);
  console.note(fmt::format("{}; begin with it: --set weights.image={}", shown(a.output), shown(a.output)));
}

}  // namespace

void add_import(CLI::App& app, Program& program) {
  auto a = std::make_shared<ImportArguments>();
  CLI::App* c = add_command(
      app, program, "import",
      "say what of an image transformer's weights fits a recipe's networks, and write it inflated; how, "
      "weights.inflation of the recipe says",
      [a](Console& console) { run(*a, console); });
  c->add_option("weights", a->weights, "safetensors file of a ViT, by timm's names")->required();
  c->add_option("--recipe", a->recipe, "recipe file (TOML) whose networks are to begin with them")->required();
  c->add_option("--set", a->set, "key=value, before the recipe's own; may be repeated")
      ->allow_extra_args(false);
  c->add_option("-o,--output", a->output, "file to write; without it nothing is written");
  c->add_flag("--force", a->force, "replace an existing output");
}

}  // namespace stp
