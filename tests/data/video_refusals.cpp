// What cannot be written, or not be read, is one clear error, and nothing is left behind.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include "data/libav_functions.h"
#include "tests/data/video_samples.h"
#include "tests/temporary.h"

namespace stp {
namespace {

using test::moving_frame;
using test::read_apart;

VideoSpec small() {
  VideoSpec spec;
  spec.width = 32;
  spec.height = 24;
  return spec;
}

std::string refusal(const std::filesystem::path& path, const VideoSpec& spec) {
  return error_of([&] { VideoWriter(path, spec); });
}

TEST_CASE("video writer: a specification that cannot be written is refused with the cure") {
  const TemporaryFolder folder;
  for (const char* name : {"a.avi", "a.webm", "a.gif", "a", "a.mp4.txt", ".mp4"})
    CHECK(contains(refusal(folder / name, small()), "choose one of these"));
  CHECK(refusal(folder / "a.MP4", small()).empty());
  const auto with = [](auto change) {
    VideoSpec spec = small();
    change(spec);
    return spec;
  };
  const auto mp4 = folder / "a.mp4", mkv = folder / "a.mkv";
  CHECK(contains(refusal(mp4, with([](auto& s) { s.width = 0; })), "0x24"));
  CHECK(contains(refusal(mp4, with([](auto& s) { s.height = -1; })), "32x-1"));
  CHECK(contains(refusal(mp4, with([](auto& s) { s.width = 16385; })), "16385x24"));
  CHECK(contains(refusal(mp4, with([](auto& s) { s.quality = 52; })), "quality 52"));
  CHECK(contains(refusal(mp4, with([](auto& s) { s.time_base = {0, 1}; })), "time base 0/1"));
  CHECK(contains(refusal(mp4, with([](auto& s) { s.time_base = {1, -30}; })), "time base 1/-30"));
  CHECK(contains(refusal(mp4, with([](auto& s) { s.time_base = {1, 1LL << 31}; })), "does not fit"));
  CHECK(contains(refusal(mkv, with([](auto& s) { s.time_base = {1, 30}; })), "write .mp4 instead"));
  CHECK(contains(refusal(mkv, with([](auto& s) { s.time_base = {INT64_MAX, 1}; })), "write .mp4 instead"));
  CHECK(contains(refusal(mp4, with([](auto& s) { s.frame_rate = {-1, 1}; })), "frame rate -1/1"));
  CHECK(contains(refusal(mp4, with([](auto& s) { s.pixel_aspect = {1, 0}; })), "pixel aspect 1:0"));
  CHECK(folder.names().empty());
}

TEST_CASE("video writer: a place that cannot be written to is refused") {
  const TemporaryFolder folder;
  CHECK(contains(refusal(folder / "absent/a.mp4", small()), "No such file or directory"));
  std::filesystem::create_directory(folder / "folder.mp4");
  CHECK(contains(refusal(folder / "folder.mp4", small()), "no regular file"));
  std::filesystem::create_symlink("/dev/full", folder / "link.mp4");
  CHECK(contains(refusal(folder / "link.mp4", small()), "no regular file"));
  REQUIRE(mkfifo((folder / "pipe.mp4").c_str(), 0600) == 0);
  CHECK(contains(refusal(folder / "pipe.mp4", small()), "no regular file"));
  CHECK(folder.names() == std::set<std::string>{"folder.mp4", "link.mp4", "pipe.mp4"});
}

TEST_CASE("video writer: bad frames and times end the file, and nothing is left") {
  const TemporaryFolder folder;
  const auto path = folder / "a.mp4";
  const auto frame = moving_frame(0, 32, 24);
  const auto error_at = [&](std::span<const std::uint8_t> rgb, std::int64_t time) {
    VideoWriter writer(path, small());
    writer.write(frame, 5);
    const std::string error = error_of([&] { writer.write(rgb, time); });
    CHECK(contains(error_of([&] { writer.write(frame, 6); }), "has failed"));
    CHECK(contains(error_of([&] { writer.finish(); }), "has failed"));
    CHECK(folder.names().empty());
    return error;
  };
  CHECK(contains(error_at(std::span(frame).first(5), 6), "5 bytes, wanted 2304"));
  CHECK(contains(error_at(frame, 5), "not after"));
  CHECK(contains(error_at(frame, 4), "not after"));
  CHECK(contains(error_at(frame, -1), "negative"));
  CHECK(contains(error_at(frame, INT64_MAX), "out of range"));
  CHECK(contains(error_at(frame, 5 + (1LL << 31) - 1), "coarser time base"));
  VideoWriter empty(path, small());
  CHECK(contains(error_of([&] { empty.finish(); }), "no frame was written"));
  CHECK(folder.names().empty());
}

TEST_CASE("video writer: without finish nothing appears, and an old file stays") {
  const TemporaryFolder folder;
  put(folder / "a.mp4", "old");
  {
    VideoWriter writer(folder / "a.mp4", small());
    writer.write(moving_frame(0, 32, 24), 0);
    VideoWriter moved = std::move(writer);
    moved.write(moving_frame(1, 32, 24), 1);
  }
  CHECK(folder.names() == std::set<std::string>{"a.mp4"});
  CHECK(content(folder / "a.mp4") == "old");
  VideoWriter writer(folder / "a.mp4", small());
  writer.write(moving_frame(0, 32, 24), 0);
  writer.finish();
  CHECK(contains(error_of([&] { writer.finish(); }), "finished"));
  CHECK(test::decode(folder / "a.mp4").frames.size() == 1);
}

TEST_CASE("video reader: what is no video is refused, and no name is interpreted") {
  const TemporaryFolder folder;
  test::write_moving(folder / "real.mp4", small(), {0, 1});
  const std::string real = (folder / "real.mp4").string();
  const std::vector<std::pair<std::string, std::string>> files{
      {"empty.mp4", ""},
      {"text.mp4", "not a video at all\n"},
      {"zeros.mp4", std::string(100000, '\0')},
      {"list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n" + real + "\n#EXT-X-ENDLIST\n"},
      {"list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:1/a.ts\n#EXT-X-ENDLIST\n"},
      {"concat.mp4", "ffconcat version 1.0\nfile '" + real + "'\n"},
      {"session.sdp",
       "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5000 RTP/AVP 96\n"},
      {"manifest.mpd",
       "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
       "profiles=\"urn:mpeg:dash:profile:isoff-live:2011\"></MPD>"},
  };
  for (const auto& [name, text] : files) {
    CAPTURE(name);
    put(folder / name, text);
    const auto outcome = read_apart(folder / name);
    CHECK(outcome.exit_code == 2);
    CHECK(contains(outcome.error, name));
  }
  REQUIRE(mkfifo((folder / "pipe.mp4").c_str(), 0600) == 0);
  for (const std::string name : {"pipe.mp4", "absent.mp4"}) CHECK(read_apart(folder / name).exit_code == 2);
  for (const char* name : {"http://127.0.0.1:1/a.mp4", "concat:a.mp4", "file:a.mp4", "-"})
    CHECK(read_apart(name).exit_code == 2);
  // Names that programs stumble over are names like any other.
  for (const char* name : {"-a.mp4", "%d.mp4", "a\nb.mp4", "concat:x.mp4", "a'b \"c\".mp4", "\xff.mp4"}) {
    std::filesystem::copy_file(folder / "real.mp4", folder / name);
    CHECK(read_apart(folder / name).frames == 2);
  }
}

TEST_CASE("video reader: FFmpeg's libraries that are not there, or of another version, are named") {
  CHECK(contains(error_of([] { libav_symbol("libavnothing.so.1", "av_read_frame"); }),
                 "install the package of libavnothing.so.1"));
  CHECK(contains(error_of([] { libav_symbol(avformat_soname, "av_does_not_exist"); }),
                 "has no av_does_not_exist"));
}

TEST_CASE("video reader: limits are named, and bombs stop before memory is spent") {
  const TemporaryFolder folder;
  test::write_moving(folder / "a.mp4", small(), {0, 1, 2});
  const auto error_with = [&](VideoLimits limits) {
    return error_of([&] {
      VideoReader reader(folder / "a.mp4", limits);
      Frame frame;
      while (reader.next(frame)) {
      }
    });
  };
  CHECK(error_with({.frame_pixels = 32 * 24, .total_pixels = 3 * 32 * 24, .frames = 3}).empty());
  CHECK(contains(error_with({.frame_pixels = 32 * 24 - 1}), "the limit is 767 pixels"));
  CHECK(contains(error_with({.total_pixels = 3 * 32 * 24 - 1}), "more than 2303 pixels"));
  CHECK(contains(error_with({.frames = 2}), "more than 2 frames"));
  // A GIF of 50 bytes that claims 65535 x 65535.
  const std::string gif(
      "GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\2\2\x4c\1\0;", 36);
  put(folder / "bomb.gif", gif);
  const auto outcome = read_apart(folder / "bomb.gif");
  CHECK(outcome.exit_code == 2);
  CHECK(contains(outcome.error, "the limit is"));
  CHECK(outcome.peak_mb <= 512);
}

}  // namespace
}  // namespace stp
