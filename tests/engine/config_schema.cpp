#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "engine/config.h"
#include "engine/rng.h"
#include "tests/temporary.h"

namespace stp {
namespace {

struct Recipe {
  std::string name = "quick";
  int steps = 80;
  std::int64_t seed = 1;
  double rate = 1e-3, alpha = 0.7;
  bool resume = false;
  std::string selection = "slot";
  std::vector<int> scorers{3, 6, 9};
  std::vector<double> ratios{0.7, 0.49, 0.343};
  std::vector<std::string> folders{};
};

Schema schema_of(Recipe& r) {
  Schema schema;
  schema.add("train.init.steps", &r.steps, "iterations of the first phase", at_least(1));
  schema.add("train.init.rate", &r.rate, "peak learning rate", above(0));
  schema.add("train.seed", &r.seed, "seed of all random numbers", at_least(0));
  schema.add("train.resume", &r.resume, "go on from the last checkpoint");
  schema.add("model.alpha", &r.alpha, "share of tokens kept", above_up_to(0, 1));
  schema.add("model.selection", &r.selection, "which tokens compete", one_of({"slot", "clip"}));
  schema.add("model.scorers", &r.scorers, "layers with a scorer", items(1, 3, between(0, 11)));
  schema.add("model.ratios", &r.ratios, "kept share after each scorer", items(3, 3, above_up_to(0, 1)));
  schema.add("name", &r.name, "of the run");
  schema.add("data.folders", &r.folders, "where the clips are");
  return schema;
}

std::vector<std::string> problems_of(std::string_view text) {
  Recipe recipe;
  return schema_of(recipe).read(text, "r.toml");
}

std::string problem_of(std::string_view text) {
  const auto problems = problems_of(text);
  CHECK(problems.size() == 1);
  return problems.empty() ? std::string() : problems.front();
}

std::string set_problem(std::string_view flag) {
  Recipe recipe;
  const auto problems = schema_of(recipe).set(flag);
  return problems.empty() ? std::string() : problems.front();
}

TEST_CASE("config: values of every type, by table, dotted key and inline table") {
  Recipe r;
  Schema schema = schema_of(r);
  CHECK(schema
            .read(R"(
name = "long run"
data.folders = ["a/b", 'c\d']
model = { alpha = 1, scorers = [0, 11], selection = "clip" }
[train]
seed = 0x7fff_ffff_ffff_ffff
resume = true
[train.init]
steps = 5
rate = 2e-4
)",
                  "r.toml")
            .empty());
  CHECK(r.name == "long run");
  CHECK(r.folders == std::vector<std::string>{"a/b", "c\\d"});
  CHECK(r.alpha == 1.0);
  CHECK(r.scorers == std::vector<int>{0, 11});
  CHECK(r.selection == "clip");
  CHECK(r.seed == std::numeric_limits<std::int64_t>::max());
  CHECK(r.resume);
  CHECK(r.steps == 5);
  CHECK(r.rate == 2e-4);
  CHECK(r.ratios == std::vector<double>{0.7, 0.49, 0.343});
}

TEST_CASE("config: letters of every alphabet, in double quotes and comments") {
  Recipe r;
  Schema schema = schema_of(r);
  const auto name = [&](const std::string& quoted) {
    CHECK(
        schema.read(fmt::format("# Größe ї\nname = {}  # 世界\ndata.folders = [\"ї\", \"\"]", quoted), "r.toml")
            .empty());
    CHECK(r.folders == std::vector<std::string>{"ї", ""});
    return r.name;
  };
  CHECK(name("\"Größe ї 世界 \U0001F600\"") == "Größe ї 世界 \U0001F600");
  CHECK(name("\"\\\\ї\\\"ї\\u0457\"") == "\\ї\"її");
  CHECK(name("\"\"\"\nї\"ї\"\"ї\\\n  ї\"\"\"") == "ї\"ї\"\"її");
  CHECK(name("\"\"\"\"ї\"\"\"\"\"") == "\"ї\"\"");
}

TEST_CASE("config: an unknown key names its line and the nearest keys with their defaults") {
  CHECK(problem_of("[train.init]\nstesp = 5\n") ==
        "r.toml:2: unknown key 'train.init.stesp'; did you mean train.init.steps (default 80)?");
  CHECK(problem_of("\n\nsteps = 5") ==
        "r.toml:3: unknown key 'steps'; did you mean train.init.steps (default 80)?");
  CHECK(problem_of("[trian.init]\nrate = 1.0") ==
        "r.toml:2: unknown key 'trian.init.rate'; did you mean train.init.rate (default 0.001)?");
  CHECK(problem_of("banana = 1") == "r.toml:1: unknown key 'banana'; --help lists all keys");
  CHECK(problem_of("[banana]") == "r.toml:1: unknown key 'banana'; --help lists all keys");
  CHECK(problem_of("train.init = 3") == "r.toml:1: 'train.init' is a group of options, not an option");
  CHECK(contains(problem_of("model.alpha.beta = 3"),
                 "r.toml:1: 'model.alpha' is an option, not a group of options"));
  CHECK(contains(problem_of("\"train.init.steps\" = 3"), "cannot be part of a key; write keys without quotes"));
  CHECK(contains(problem_of("\"\" = 3"), "cannot be part of a key"));
  CHECK(contains(problem_of("\"a\\u001b[2Jb\" = 3"), "unknown key 'a\\x1b[2Jb'"));
  CHECK(problems_of("[train]\n[model]\n").empty());
}

TEST_CASE("config: a wrong type names the wanted one") {
  CHECK(problem_of("train.init.steps = \"ten\"") ==
        "r.toml:1: train.init.steps is \"ten\", wanted an integer, at least 1");
  CHECK(problem_of("train.init.steps = 1.0") ==
        "r.toml:1: train.init.steps is 1.0, wanted an integer, at least 1");
  CHECK(problem_of("train.init.steps = true") ==
        "r.toml:1: train.init.steps is true, wanted an integer, at least 1");
  CHECK(problem_of("train.init.steps = [1]") ==
        "r.toml:1: train.init.steps is [1], wanted an integer, at least 1");
  CHECK(problem_of("train.resume = 1") == "r.toml:1: train.resume is 1, wanted true or false");
  CHECK(problem_of("train.resume = \"true\"") == "r.toml:1: train.resume is \"true\", wanted true or false");
  CHECK(problem_of("name = 3") == "r.toml:1: name is 3, wanted a text");
  CHECK(problem_of("name = 2024-01-01") == "r.toml:1: name is a date or time, wanted a text");
  CHECK(problem_of("data.folders = \"a\"") == "r.toml:1: data.folders is \"a\", wanted a list of texts");
  CHECK(problem_of("data.folders = [\"a\", 1]") ==
        "r.toml:1: data.folders is [\"a\", 1], wanted a list of texts");
  CHECK(problem_of("model.scorers = [[1]]") ==
        "r.toml:1: model.scorers is a list that holds a list, wanted a list of integers, 1 to 3 items, each 0 "
        "to 11");
  CHECK(contains(problem_of("model.scorers = [{a = 1}]"), "is a list that holds a table, wanted"));
  CHECK(contains(problem_of("[[model.scorers]]\na = 1"), "is a list that holds a table, wanted"));
  CHECK(contains(problem_of("model.ratios = [0.5, true, 0.5]"),
                 "wanted a list of numbers, 3 items, each above 0, at most 1"));
  CHECK(contains(problem_of(fmt::format("name = \"{}\nrest = 1", std::string(1000, 'x'))), "r.toml:1:"));
}

TEST_CASE("config: a value out of range names the range") {
  CHECK(problem_of("train.init.steps = 0") == "r.toml:1: train.init.steps is 0, wanted an integer, at least 1");
  CHECK(problem_of("train.init.steps = 2147483648") ==
        "r.toml:1: train.init.steps is 2147483648, wanted an integer of 32 bits, at least 1");
  CHECK(problem_of("train.init.rate = 0.0") == "r.toml:1: train.init.rate is 0.0, wanted a number, above 0");
  CHECK(problem_of("model.alpha = 1.0000001") ==
        "r.toml:1: model.alpha is 1.0000001, wanted a number, above 0, at most 1");
  CHECK(problem_of("model.selection = \"slots\"") ==
        "r.toml:1: model.selection is \"slots\", wanted a text, one of slot, clip");
  CHECK(contains(problem_of("model.scorers = []"), "is [], wanted a list of integers, 1 to 3 items"));
  CHECK(contains(problem_of("model.scorers = [1, 2, 3, 4]"), "1 to 3 items"));
  CHECK(contains(problem_of("model.scorers = [1, 12]"), "each 0 to 11"));
  for (const char* bad : {"nan", "inf", "-inf"})
    CHECK(contains(problem_of(std::string("train.init.rate = ") + bad),
                   std::string("is ") + bad + ", wanted a number"));
  CHECK(contains(problem_of("train.init.rate = 9007199254740993"),
                 "wanted a number"));  // no double is this integer
  CHECK(contains(problem_of("name = \"a\\u0000b\""), "name is \"a\\u0000b\", wanted a text"));
  CHECK(contains(problem_of("train.seed = 9223372036854775808"), "r.toml:1:"));
}

TEST_CASE("config: all problems at once, in the order of their keys, and none applied") {
  const auto problems =
      problems_of("banana = 1\nname = 2\n[train.init]\nsteps = 0\nrate = 1.0\n[model]\nalpha = 2\n");
  REQUIRE(problems.size() == 4);
  std::string all;
  for (const std::string& problem : problems) all += problem + "\n";
  for (const char* line : {"r.toml:1: ", "r.toml:2: ", "r.toml:4: ", "r.toml:7: "}) CHECK(contains(all, line));

  const TemporaryFolder folder;
  put(folder / "r.toml", "banana = 1\nname = 2\n");
  Recipe recipe;
  Schema schema = schema_of(recipe);
  const std::vector<std::string> flags{"train.seed=x", "apple=1"};
  const std::string message = error_of([&] { schema.load(folder / "r.toml", flags); });
  CHECK(std::count(message.begin(), message.end(), '\n') == 3);
  CHECK(contains(message, "r.toml:1: unknown key 'banana'"));
  CHECK(contains(message, "--set train.seed=x: no value, wanted an integer"));
  CHECK(contains(message, "--set apple=1: unknown key 'apple'"));
  std::string many;
  for (int i = 0; i < 200; ++i) many += "banana" + std::to_string(i) + " = 1\n";
  put(folder / "r.toml", many);
  CHECK(contains(error_of([&] { schema.load(folder / "r.toml", {}); }), "\n... and 150 more"));
}

TEST_CASE("config: text that is no TOML names its line") {
  CHECK(contains(problem_of("name = \"a\"\nname = \"b\""), "r.toml:2: "));
  CHECK(contains(problem_of("\nname = "), "r.toml:2: "));
  CHECK(contains(problem_of("[train\n"), "r.toml:1: "));
  CHECK(contains(problem_of("name = \"\xFF\""), "r.toml:1: "));
  CHECK(contains(problem_of(std::string_view("name = \"a\0b\"", 12)), "r.toml:1: "));
  CHECK(contains(problem_of("\x80\x02}q"), "r.toml:1: "));
  CHECK(problem_of("\nGröße = 1") == "r.toml:2: a character that needs double quotes");
  CHECK(problem_of("name = ї") == "r.toml:1: a character that needs double quotes");
  CHECK(problem_of("[\x0E\n") == "r.toml:1: a character that needs double quotes");
  CHECK(problem_of("name = 'ї'") == "r.toml:1: a character that needs double quotes");
  CHECK(problem_of("data.folders = [\"\"\"a\"\"\"\", 'ї']") ==
        "r.toml:1: a character that needs double quotes");
  CHECK(problem_of("name = \"\\ї\"") == "r.toml:1: a backslash that escapes nothing");
  CHECK(problem_of("\nname = \"\xD1\"") == "r.toml:2: bytes that are not UTF-8");
  CHECK(contains(problem_of("name = 5PP=\"uї\""), "r.toml:1: "));
  CHECK(problems_of("\xEF\xBB\xBF# Größe\nname = \"ї\"").empty());  // a byte order mark first is no harm
}

// The TOML library would follow each of these down its stack; a scan refuses them first. Keys and strings that
// only look alike are left alone.
TEST_CASE("config: nothing nests deep enough to hurt") {
  const auto repeated = [](const std::string& text, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
  };
  const char* const deep = "nest deeper than any option";
  const int many = 200000;
  for (const std::string& text :
       {fmt::format("{}a = 1", repeated("a.", many)), fmt::format("[{}a]", repeated("a.", many)),
        fmt::format("[[{}a]]", repeated("a . ", many)), fmt::format("x = {}", repeated("[", many)),
        fmt::format("x = {}", repeated("{a = ", many)), fmt::format("x = {}", repeated("[\n", many))})
    CHECK(contains(problem_of(text), deep));
  CHECK(contains(problem_of(fmt::format("{}a = 1", repeated("\",\".", many))), deep));
  CHECK(contains(problem_of(fmt::format("{}a = 1", repeated("'=\"'.", 1000))), deep));
  const std::string dots = repeated("b.", 1000), brackets = repeated("[", 100);
  CHECK(contains(problem_of(fmt::format("a = \"\"\"x\\\"\"\"\" # \"\n{}c = 1", dots)),
                 "r.toml:2: keys or values nest"));
  CHECK(contains(problem_of(fmt::format("a = '''\n''''\n{}c = 1", dots)), "r.toml:3: keys or values nest"));
  CHECK(contains(problem_of(fmt::format("name = \"{}\"\nx = 1 # {}", dots, brackets)), "unknown key 'x'"));
  CHECK(contains(problem_of(fmt::format("name = \"\"\"\n{}\"\"\"\nx = 1", brackets)), "unknown key 'x'"));
  CHECK(contains(problem_of(std::string(kMaxConfigBytes + 1, '#')), "1048577 bytes, at most 1048576 allowed"));
  const TemporaryFolder folder;
  put(folder / "r", std::string(kMaxConfigBytes + 1, '#'));
  Recipe recipe;
  CHECK(contains(error_of([&] { schema_of(recipe).load(folder / "r", {}); }),
                 "more than the 1048576 allowed here"));
}

TEST_CASE("config: noise of every kind gives problems, never a crash") {
  Random random(1, stream_id("config noise"));
  const std::string letters = "train.init.steps=1[]{}\"'#\\\n,._0eE+-\t\x01\xC3\xA9";
  for (int i = 0; i < 5000; ++i) {
    std::string noise(random.below(60), ' ');
    for (char& c : noise) c = letters[random.below(letters.size())];
    Recipe recipe;
    Schema schema = schema_of(recipe);
    for (const std::string& problem : schema.read(noise, "r.toml")) CHECK(problem.starts_with("r.toml:"));
    for (const std::string& problem : schema.set(noise)) CHECK(problem.starts_with("--set "));
  }
}

TEST_CASE("config: flags need no quotes and no brackets") {
  Recipe r;
  Schema schema = schema_of(r);
  for (const char* flag :
       {"train.init.steps=7", "train.init.rate = 1", "name=a b=c", "model.selection=clip", "model.scorers=1,2",
        "model.ratios=[0.5, 0.25, 0.125]", "data.folders=x/y,z", "train.resume=true"})
    CHECK(schema.set(flag).empty());
  CHECK(r.steps == 7);
  CHECK(r.name == "a b=c");
  CHECK(r.selection == "clip");
  CHECK(r.scorers == std::vector<int>{1, 2});
  CHECK(r.ratios == std::vector<double>{0.5, 0.25, 0.125});
  CHECK(r.folders == std::vector<std::string>{"x/y", "z"});
  CHECK(r.resume);
  CHECK(schema.set("name = \" quoted\"").empty());
  CHECK(r.name == " quoted");
  CHECK(schema.set("data.folders=").empty());
  CHECK(r.folders.empty());
}

TEST_CASE("config: flags that are wrong say so") {
  CHECK(set_problem("train.init.steps") == "--set train.init.steps: wanted key=value");
  CHECK(set_problem("train.init.stps=1") ==
        "--set train.init.stps=1: unknown key 'train.init.stps'; did you mean train.init.steps (default 80)?");
  CHECK(set_problem("train.init.steps=") == "--set train.init.steps=: no value, wanted an integer");
  CHECK(set_problem("train.init.steps=0") ==
        "--set train.init.steps=0: train.init.steps is 0, wanted an integer, at least 1");
  CHECK(contains(set_problem("train.init.steps=1\nname = 2"), "is no single line of UTF-8"));
  CHECK(contains(set_problem("name=\xFF"), "--set name=\\xff: the value is no single line of UTF-8"));
  CHECK(contains(set_problem("train.init.steps={a=1}"), "no value, wanted an integer"));
  CHECK(contains(set_problem("model.scorers=1,,2"), "no value, wanted a list of integers"));
  CHECK(contains(set_problem("model.selection=slots"), "wanted a text, one of slot, clip"));
  CHECK(contains(set_problem("train=1"), "'train' is a group of options"));
  CHECK(contains(set_problem("=1"), "unknown key ''"));
}

TEST_CASE("config: default, file, flag, in this order, each with its origin") {
  const TemporaryFolder folder;
  put(folder / "r.toml", "[train.init]\nsteps = 5\nrate = 0.5\n");
  Recipe r;
  Schema schema = schema_of(r);
  schema.load(folder / "r.toml", std::vector<std::string>{"train.init.steps=6"});
  CHECK(r.steps == 6);
  CHECK(r.rate == 0.5);
  const std::string text = schema.resolved(true);
  CHECK(contains(text, "steps = 6                                 # flag\n"));
  CHECK(contains(text, "rate = 0.5                                # file\n"));
  CHECK(contains(text, "seed = 1                                  # default\n"));
  CHECK(contains(error_of([&] { schema.load(folder / "absent.toml", {}); }), "absent.toml: No such file"));
}

TEST_CASE("config: the printed whole reads back to the same values, doubles to the bit") {
  Random random(1, stream_id("config round trip"));
  for (int i = 0; i < 500; ++i) {
    const auto number = [&] {
      const std::uint64_t high = random.bits() & 0x7fffffffu;
      const auto x = std::bit_cast<double>(high << 32 | random.bits());
      return std::isfinite(x) && x > 0 ? x : 0.1;
    };
    Recipe r;
    r.rate = number();
    r.steps = static_cast<int>(1 + random.below(1000));
    r.seed = static_cast<std::int64_t>(random.below(1ull << 62));
    r.resume = random.chance(0.5);
    r.name = "Größe \"x\" \\ # = ] \U0001F600" + std::to_string(random.bits());
    r.folders = {r.name, "", "'"};
    Recipe again;
    Schema second = schema_of(again);
    CHECK(second.read(schema_of(r).resolved(i % 2 == 0), "again").empty());
    CHECK(std::bit_cast<std::uint64_t>(again.rate) == std::bit_cast<std::uint64_t>(r.rate));
    CHECK(again.steps == r.steps);
    CHECK(again.seed == r.seed);
    CHECK(again.resume == r.resume);
    CHECK(again.name == r.name);
    CHECK(again.folders == r.folders);
    CHECK(second.resolved() == schema_of(r).resolved());
  }
}

TEST_CASE("config: help and documentation list every option") {
  Recipe r;
  const Schema schema = schema_of(r);
  CHECK(contains(schema.help(),
                 "train.init.steps = 80\n    iterations of the first phase (an integer, at least 1)\n"));
  CHECK(contains(
      schema.markdown(),
      "| `model.ratios` | `[0.7, 0.49, 0.343]` | a list of numbers, 3 items, each above 0, at most 1 | kept "));
  for (const OptionState& option : schema.options()) {
    CHECK(contains(schema.help(), option.key + " = " + option.preset));
    CHECK(contains(schema.markdown(), "| `" + option.key + "` |"));
    CHECK(option.value == option.preset);
  }
}

TEST_CASE("config: mistakes in the table itself are found when it is built") {
  Recipe r;
  Schema schema = schema_of(r);
  const auto message = [&](const std::string& key) { return error_of([&] { schema.add(key, &r.steps, ""); }); };
  CHECK(contains(message("train.init.steps"), "registered twice"));
  CHECK(contains(message("train.init"), "or is a group"));
  CHECK(contains(message("name.first"), "lies inside another option"));
  for (const char* key : {"", ".", "a.", ".a", "a..b", "A", "a b", "a-b"})
    CHECK(contains(message(key), "wanted a dotted path of [a-z0-9_]"));
  CHECK(contains(error_of([&] { schema.add("x", &r.steps, "", at_least(81)); }),
                 "the default of option x is 80, wanted"));
}

}  // namespace
}  // namespace stp
