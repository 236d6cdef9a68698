// A report of runs that were made up: what it says, marks and refuses. page.py looks at one of a real run.
#include "tools/report/report.h"

#include <doctest/doctest.h>

#include "engine/check.h"
#include "tests/data/files.h"
#include "tools/experiment/history.h"

namespace stp {
namespace {

using test::TemporaryFolder;

constexpr const char* kLog =
    R"({"event":"step","stage":"init","step":10,"action_loss":2.5,"keep":[0.5,0.25],"rate":0.001,"norm":"nan"})"
    "\n"
    R"({"event":"step","stage":"init","step":20,"action_loss":2.0,"keep":[0.5,0.25],"rate":0.001})"
    "\n"
    R"({"event":"result","method":"raw","top1":50.0})"
    "\n"
    R"({"event":"step","stage":"evaluate raw","step":10,"action_loss":1.0})"
    "\n";

TEST_CASE("history: a log as series, by stage") {
  const std::vector<StageHistory> stages = history_of_log(kLog, "log.jsonl");
  REQUIRE(stages.size() == 2);
  CHECK(stages[0].name == "init");
  REQUIRE(stages[0].series.size() == 4);  // "nan" is no number
  CHECK(stages[0].series[0].name == "action_loss");
  CHECK(stages[0].series[0].points.at(1).step == 20);
  CHECK(stages[0].series[0].points.at(1).value == 2.0);
  CHECK(stages[0].series[2].name == "keep_2");
  CHECK(stages[1].name == "evaluate raw");
  for (const char* bad :
       {"{", "[]\n", "{\"event\":\"step\"}\n", "{\"event\":\"step\",\"stage\":1,\"step\":2}\n"}) {
    const std::string text = std::string(kLog) + bad;
    const TemporaryFolder folder;
    CHECK(folder.error_of([&] { history_of_log(text, "log.jsonl"); }) ==
          "log.jsonl:5: no line of a log of this program; restore the file");
  }
}

MethodResult method(const std::string& name, double top1, double cmap) {
  MethodResult m;
  m.method = name;
  m.top1 = top1;
  m.top1_interval = {top1 - 1, top1 + 1};
  m.cmap_interval = {cmap - 1, cmap + 1};
  m.attackers = {{"vit", 7, cmap - 2, 0.5, 0.4, {0.5, 0.6}}, {"frame", 8, cmap, 0.5, 0.4, {0.7, 0.8}}};
  return m;
}

// Attribute 0 is decided by the action, so that the floor at 100 % is (100 + 50) / 2.
LabelTable labels() {
  LabelTable table = {2, 2, {}, {}};
  for (int i = 0; i < 400; ++i) {
    table.actions.push_back(i % 2);
    table.positive.push_back(i % 2);
    table.positive.push_back(i / 2 % 2);
  }
  return table;
}

RunRecord made_up() {
  RunRecord record;
  record.folder = "runs/<b>bold</b>";
  record.name = "<b>bold</b>";
  record.recipe.method.name = "raw";
  record.results.emplace();
  record.results->attributes = {"skin", "face"};
  record.results->chance = {50, 50, 0.6, 0.5, 0.4};
  record.results->methods = {method("raw", 100, 98), method("blur", 100, 60)};
  record.results->methods[1].rebuilt = {21.5, 0.625};
  record.stages = history_of_log(kLog, "log.jsonl");
  record.labels = JudgedLabels{labels(), labels()};
  record.paper = PaperFigure{51.44, .673, 75.58};
  return record;
}

TEST_CASE("report: tables, marks and names of made-up runs") {
  const Backend backend(Device::cpu);
  ReportOptions options;
  options.commands = {"stprivacy report <x>"};
  const std::string html = report_html({made_up()}, backend, options);
  const auto has = [&](std::string_view what) { return html.find(what) != std::string::npos; };
  CHECK(has("100.00 [99.0, 101.0]"));
  CHECK(has("frame (of 2)"));
  CHECK(has("79 %"));            // (98 - 60) / (98 - 50)
  CHECK(has("WEAK ATTACKERS"));  // 60 where the action alone gives 75
  CHECK(has("21.5 dB, 0.625"));
  CHECK(has("51.44, 0.673, 75.58"));
  CHECK(has("<details><summary>Every attacker with its seed"));
  CHECK(has("0000000000000007"));
  CHECK(has("losses"));
  CHECK(has("share of tokens kept after each scorer"));
  CHECK(has("no anonymiser of ours to show at work"));
  CHECK(has("stprivacy report &lt;x&gt;"));
  CHECK(has("stprivacy train &#39;runs/&lt;b&gt;bold&lt;/b&gt;/config.toml&#39; --run NEW_FOLDER"));
  CHECK_FALSE(has("<b>"));
  CHECK_FALSE(has("<script"));
  CHECK(report_html({made_up()}, backend, options) == html);
}

TEST_CASE("report: a run without results or data says so") {
  RunRecord record = made_up();
  record.results.reset();
  record.labels.reset();
  record.no_data = "no such folder";
  const std::string html = report_html({record}, Backend(Device::cpu), {});
  CHECK(html.find("Not judged yet") != std::string::npos);
  CHECK(html.find("no floor, for its data is not here: no such folder") != std::string::npos);
}

TEST_CASE("report: a run that was torn off in a line of its log is shown up to that line") {
  const TemporaryFolder folder;
  folder.write("torn/config.toml", "");
  folder.write("torn/log.jsonl", std::string(kLog) + "{\"event\":\"st");
  const std::vector<RunRecord> records = read_records(folder / "torn");
  REQUIRE(records.size() == 1);
  CHECK(records[0].stages.size() == 2);
  folder.write("torn/log.jsonl", "{\"ev");
  CHECK(read_records(folder / "torn").front().stages.empty());
}

TEST_CASE("report: what is no run, or a damaged one, is refused") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& name) {
    return folder.error_of([&] { read_records(folder / name); });
  };
  CHECK(error("none") == "DIR/none: no such folder; name the folder of a run");
  folder.write("empty/x", "");
  CHECK(error("empty") == "DIR/empty: neither a run (config.toml) nor a table of runs (results.json)");
  folder.write("cut/config.toml", "");
  folder.write("cut/results.json", "{\"methods\": [");
  CHECK(error("cut") == "DIR/cut/results.json: not JSON; restore the file");
  folder.write("log/config.toml", "");
  folder.write("log/log.jsonl", "half a li\n");
  CHECK(error("log") == "DIR/log/log.jsonl:1: no line of a log of this program; restore the file");
  folder.write("recipe/config.toml", "seed = \"one\"\n");
  CHECK(error("recipe") != "");
}

}  // namespace
}  // namespace stp
