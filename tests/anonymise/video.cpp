// One video through the anonymiser: frames, times, pixels, sizes, sidecar, preview.
#include "data/resize.h"
#include "engine/digest.h"
#include "tests/anonymise/samples.h"
#include "tools/anonymise/painter.h"

namespace stp {
namespace {

using test::Bench;
using test::count_to;
using test::decode;
using test::Models;
using test::Pixels;
using test::video_spec;
using test::write_moving;

AnonymiseOptions lossless() {
  AnonymiseOptions options;
  options.lossless = true;
  return options;
}

// The model's answer to a decoded video, chunk by chunk: pictures and decisions of all frames.
AnonymisedFrames expected(const LoadedModel& model, const test::Decoded& video) {
  const ChunkAnonymiser anonymiser(*model.anonymiser, model.recipe, {});
  const int height = video.info.height, width = video.info.width;
  Resizer shrink(height, width, Region::whole(height, width), anonymiser.height(), anonymiser.width());
  AnonymisedFrames all;
  std::vector<std::uint8_t> chunk;
  for (std::size_t f = 0; f < video.frames.size(); ++f) {
    chunk.resize(chunk.size() + anonymiser.frame_bytes());
    shrink(video.frames[f], std::span(chunk).last(anonymiser.frame_bytes()));
    if ((f + 1) % std::size_t(anonymiser.frames()) != 0 && f + 1 < video.frames.size()) continue;
    const AnonymisedFrames part = anonymiser(chunk);
    all.rgb.insert(all.rgb.end(), part.rgb.begin(), part.rgb.end());
    all.keep.insert(all.keep.end(), part.keep.begin(), part.keep.end());
    chunk.clear();
  }
  return all;
}

TEST_CASE("anonymise: every frame once, at its own time, whatever the length") {
  for (const int frames : {1, 2, 7, 8, 9, 16, 19}) {
    CAPTURE(frames);
    Bench bench;
    write_moving(bench.job.input, video_spec(), count_to(frames));
    CHECK(bench.run({}).frames == frames);
    const auto out = decode(bench.job.output);
    CHECK(out.times == count_to(frames));
    CHECK(out.info.time_base == Rational{1, 30});
    CHECK(out.info.width == 16);
    CHECK(out.info.height == 16);
    CHECK(bench.folder.names() == std::set<std::string>{"in.mp4", "out.mp4", "out.mp4.json"});
  }
}

TEST_CASE("anonymise: times of a variable rate are kept in every container") {
  const std::vector<std::int64_t> times = {3, 4, 40, 41, 42, 100, 1000, 1001, 1033, 2000, 2001};
  for (const std::string extension : {".mp4", ".mov", ".mkv"}) {
    CAPTURE(extension);
    Bench bench;
    VideoSpec spec = video_spec();
    spec.time_base = {1, 1000};
    bench.job.output = bench.folder / ("out" + extension);
    write_moving(bench.job.input, spec, times);
    bench.run({});
    const auto in = decode(bench.job.input), out = decode(bench.job.output);
    REQUIRE(in.times == times);
    CHECK(out.times == in.times);
    CHECK(out.info.time_base == in.info.time_base);
  }
  Bench bench;  // thirtieths of a second are no milliseconds
  write_moving(bench.job.input, video_spec(), count_to(9));
  bench.job.output = bench.folder / "out.mkv";
  CHECK(contains(bench.error_of({}), "write .mp4 instead"));
  CHECK(bench.folder.names() == std::set<std::string>{"in.mp4"});
}

TEST_CASE("anonymise: the pixels are the model's, and what is dropped is black, bit for bit") {
  Bench bench;
  write_moving(bench.job.input, video_spec(50, 38), count_to(19));
  bench.run(lossless());
  const AnonymisedFrames wanted = expected(Models::get().load(), decode(bench.job.input));
  const auto out = decode(bench.job.output);
  REQUIRE(out.frames.size() == 19);
  for (std::size_t f = 0; f < 19; ++f) {
    CAPTURE(f);
    const auto picture = std::span(wanted.rgb).subspan(f * 768, 768);
    CHECK(std::ranges::equal(out.frames[f], picture));
    Pixels again = out.frames[f];
    Blackener(2, 2, 16, 16)(std::span(wanted.keep).subspan(f * 4, 4), again);
    CHECK(again == out.frames[f]);
  }
}

TEST_CASE("anonymise: at the source's size, learned or masked, dropped tubelets are exactly black") {
  for (const AnonymiseMode mode : {AnonymiseMode::learned, AnonymiseMode::mask}) {
    CAPTURE(static_cast<int>(mode));
    Bench bench;
    VideoSpec spec = video_spec(54, 38);
    spec.pixel_aspect = {4, 3};
    write_moving(bench.job.input, spec, count_to(11));
    AnonymiseOptions options = lossless();
    options.mode = mode;
    options.size = OutputSize::source;
    bench.run(options);
    const auto in = decode(bench.job.input), out = decode(bench.job.output);
    const AnonymisedFrames wanted = expected(Models::get().load(), in);
    CHECK(out.info.width == 54);
    CHECK(out.info.height == 38);
    CHECK(out.info.pixel_aspect == Rational{4, 3});
    REQUIRE(out.times == in.times);
    const Blackener blacken(2, 2, 38, 54);
    for (std::size_t f = 0; f < out.frames.size(); ++f) {
      Pixels original = in.frames[f], again = out.frames[f];
      blacken(std::span(wanted.keep).subspan(f * 4, 4), again);
      CHECK(again == out.frames[f]);
      blacken(std::span(wanted.keep).subspan(f * 4, 4), original);
      CHECK((original == out.frames[f]) == (mode == AnonymiseMode::mask));
    }
  }
}

TEST_CASE("anonymise: a mask at the model's size is the scaled original, blackened") {
  Bench bench;
  write_moving(bench.job.input, video_spec(), count_to(8));
  AnonymiseOptions options = lossless();
  options.mode = AnonymiseMode::mask;
  bench.run(options, "sparsification");
  const auto in = decode(bench.job.input), out = decode(bench.job.output);
  const AnonymisedFrames wanted = expected(Models::get().load("sparsification"), in);
  CHECK(wanted.rgb.empty());
  Pixels picture(768);
  Resizer(32, 48, Region::whole(32, 48), 16, 16)(in.frames[3], picture);
  Blackener(2, 2, 16, 16)(std::span(wanted.keep).subspan(12, 4), picture);
  CHECK(out.frames[3] == picture);
}

TEST_CASE("anonymise: the picture keeps its shape at the model's size") {
  Bench bench;
  VideoSpec spec = video_spec(48, 32);
  spec.pixel_aspect = {16, 15};
  write_moving(bench.job.input, spec, count_to(3));
  bench.run({});
  CHECK(decode(bench.job.output).info.pixel_aspect == Rational{8, 5});  // 48 x 16 : 32 x 15, on 16 x 16
}

TEST_CASE("anonymise: the sidecar says what made it of what") {
  Bench bench;
  write_moving(bench.job.input, video_spec(), count_to(9));
  AnonymiseOptions options;
  options.alpha = 0.75;
  options.quality = 25;
  bench.run(options);
  const auto json = bench.sidecar();
  const std::string bytes = content(bench.job.input);
  CHECK(json["program"] == "stprivacy " STP_VERSION);
  CHECK(json["input"]["xxh64"] == hexadecimal(digest(std::as_bytes(std::span(bytes)))));
  CHECK(json["input"]["bytes"] == bytes.size());
  CHECK(json["input"]["width"] == 48);
  CHECK(json["input"]["dropped_streams"].empty());
  CHECK(json["input"]["repaired_times"] == 0);
  CHECK(json["model"]["xxh64"] == Models::get().load().digest);
  CHECK(json["mode"] == "learned");
  CHECK(json["size"] == "model");
  CHECK(json["alpha"] == 0.75);
  CHECK(json["keep_ratios"] == nlohmann::json{0.75});
  CHECK(json["delivery"] == Models::get().load().recipe.model.delivery);
  CHECK(json["kept"] == 0.75);
  CHECK(json["psnr_of_kept"] < kAlarmPsnr);
  CHECK(json["output"]["frames"] == 9);
  CHECK(json["output"]["height"] == 16);
  CHECK(json["output"]["quality"] == 25);
  CHECK(json["output"]["lossless"] == false);
  CHECK_FALSE(contains(content(bench.job.sidecar()), "in.mp4"));  // names may be names of people
}

TEST_CASE("anonymise: a preview shows the original, under a name that says so") {
  Bench bench;
  write_moving(bench.job.input, video_spec(), count_to(10));
  AnonymiseOptions options = lossless();
  options.preview = true;
  bench.run(options);
  CHECK(bench.job.preview().filename() == "out.ORIGINAL-VISIBLE.mp4");
  const auto in = decode(bench.job.input), out = decode(bench.job.output), all = decode(bench.job.preview());
  CHECK(all.times == in.times);
  CHECK(all.info.width == 48);
  Pixels picture(768);
  Resizer(32, 48, Region::whole(32, 48), 16, 16)(in.frames[9], picture);
  for (std::size_t row = 0; row < 16; ++row) {
    const auto line = std::span(all.frames[9]).subspan(row * 144, 144);
    CHECK(std::ranges::equal(line.first(48), std::span(picture).subspan(row * 48, 48)));
    CHECK(std::ranges::equal(line.last(48), std::span(out.frames[9]).subspan(row * 48, 48)));
  }
}

TEST_CASE("anonymise: the same video gives the same bytes") {
  Bench one, two;
  for (Bench* bench : {&one, &two}) {
    write_moving(bench->job.input, video_spec(), count_to(12));
    bench->run({});
  }
  CHECK(content(one.job.output) == content(two.job.output));
  CHECK(content(one.job.sidecar()) == content(two.job.sidecar()));
}

}  // namespace
}  // namespace stp
