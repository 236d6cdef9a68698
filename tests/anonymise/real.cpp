// Real recordings of many sizes, rates, rotations, containers and codecs: the same frames at the same times,
// and nothing else in the file.
#include "tests/anonymise/samples.h"
#include "tests/data/files.h"
#include "tools/anonymise/painter.h"

namespace stp {
namespace {

using test::Bench;

TEST_CASE("anonymise: real recordings keep their frames and times and lose everything else") {
  const auto odd = test::recordings("odd");
  if (odd.empty()) return;
  const auto root = odd.parent_path();
  for (const char* name :
       {"misc/R6llTwEh07w.mp4", "misc/part_0.mp4", "misc/carphone_pristine.mp4", "asl-gestures/eat.mkv",
        "odd/video_90.mov", "odd/video_0.mov", "odd/realshort.mp4", "odd/newtonscradle.gif",
        "odd/hevc_white_frame.mp4", "odd/tiny_av1.mp4", "odd/bbb_sunflower_QCIF_30fps_mp4v_noaudio_1f.mp4",
        "odd/-video-with-dash-.mp4", "odd/video_colr_nclx_rgb.mp4"}) {
    CAPTURE(name);
    Bench bench;
    bench.job.input = root / name;
    bench.run({});
    const auto in = test::decode(bench.job.input), out = test::decode(bench.job.output);
    CHECK(out.times == in.times);
    CHECK(out.info.time_base.value() <= in.info.time_base.value());
    CHECK(out.info.codec == "h264");
    CHECK(out.info.others.empty());
    CHECK(out.info.rotation == 0);
    const Rational wanted = aspect_at(in.info, 16, 16);
    // H.264 states pixel aspects as 16-bit numbers.
    CHECK(out.info.pixel_aspect.value() == doctest::Approx(wanted.value()).epsilon(1e-4));
    CHECK(bench.sidecar()["input"]["dropped_streams"].size() == in.info.others.size());
    CHECK(bench.sidecar()["output"]["frames"] == in.times.size());
  }
}

TEST_CASE("anonymise: bad recordings leave nothing") {
  const auto odd = test::recordings("odd");
  if (odd.empty()) return;
  for (const char* name : {"afconvert-aac-0.5s.mp4", "bipbop_cbcs_video_init.mp4", "chunk_out_of_range.mp4",
                           "corrupted.mp4", "result.webm", "test_case_1185230.mp4", "zero_empty_stsc.mp4"}) {
    CAPTURE(name);
    Bench bench;
    bench.job.input = odd / name;
    CHECK_FALSE(bench.error_of({}).empty());
    CHECK(bench.folder.names().empty());
  }
}

}  // namespace
}  // namespace stp
