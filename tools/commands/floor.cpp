// stprivacy floor LABELS.csv: what the action alone reveals.
#include "tools/commands/commands.h"
#include "tools/experiment/label_floor.h"
#include "tools/experiment/recipe.h"

namespace stp {

namespace {

struct FloorArguments {
  std::string labels, splits, layout = "hmdb51";
  int split = 1;
  std::vector<double> accuracies = {100, 90, 80, 70, 60, 50, 40, 30, 20, 10};
};

void run(const FloorArguments& a, Console& console) {
  std::vector<double> accuracies;
  for (const double percent : a.accuracies) accuracies.push_back(percent / 100);
  const SplitLabels labels = read_split_labels(layout_named(a.layout), a.splits, a.split, a.labels);
  console.result(floor_table(labels, accuracies));
}

}  // namespace

void add_floor(CLI::App& app, Program& program) {
  auto a = std::make_shared<FloorArguments>();
  CLI::App* c = add_command(app, program, "floor",
                            "chance, and what the action alone reveals of privacy labels; needs no video",
                            [a](Console& console) { run(*a, console); });
  c->add_option("labels", a->labels, "CSV of privacy labels; none for lists that hold them (celebv_hq, hvu)");
  c->add_option("--layout", a->layout, "how the lists are written")->check(CLI::IsMember(layout_names()));
  c->add_option("--splits", a->splits, "folder of the official lists")->required();
  c->add_option("--split", a->split, "number of the official split")->check(CLI::Range(1, 3));
  c->add_option("--accuracy", a->accuracies, "top-1 of the attacker on the action, in percent; several at once")
      ->check(CLI::Range(0.0, 100.0));
}

}  // namespace stp
