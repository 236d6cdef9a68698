// The few things every use of FFmpeg's libraries here shares: owning pointers, error text, and the libraries'
// own messages, which go into our errors instead of the terminal. For the data room's own files; nobody else
// includes it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/libav_functions.h"

namespace stp {

struct LibavDelete {
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  void operator()(AVBSFContext* p) const { av_bsf_free(&p); }
  void operator()(AVFrame* p) const { av_frame_free(&p); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(SwsContext* p) const { sws_freeContext(p); }
  void operator()(AVIOContext* p) const {
    av_freep(&p->buffer);
    avio_context_free(&p);
  }
};
template <class T>
using Libav = std::unique_ptr<T, LibavDelete>;

// Options for a call that takes an AVDictionary**: what the call does not know stays inside.
class LibavOptions {
 public:
  LibavOptions() = default;
  ~LibavOptions() { av_dict_free(&dict_); }  // NOLINT(bugprone-exception-escape): C throws nothing
  LibavOptions(const LibavOptions&) = delete;
  LibavOptions& operator=(const LibavOptions&) = delete;
  void set(const char* key, const char* value) { av_dict_set(&dict_, key, value, 0); }
  void set(const char* key, std::int64_t value) { av_dict_set_int(&dict_, key, value, 0); }
  AVDictionary** address() { return &dict_; }
  // The first option that the call did not take; empty if it took all.
  std::string left() const;

 private:
  AVDictionary* dict_ = nullptr;
};

// Of the buffer between the libraries and a file of ours.
inline constexpr int kLibavIoBytes = 1 << 16;

// What the libraries said at level error about one file. Contexts find it through their `opaque` pointer.
struct LibavLog {
  std::int64_t decoder_errors = 0, container_errors = 0;  // lines
  std::string text;  // the first line of any part since this was last cleared, fit to be printed
};

// Silences the libraries and sends errors of contexts whose `opaque` is a LibavLog there; limits one allocation
// inside the libraries to 256 MiB. Settings of the whole process, made once, from any thread. Call before any
// other libav call.
void prepare_libav();

// The library's text for an error code, followed by the log's text if there is one.
std::string libav_message(int code, const LibavLog& log);

// The pointer, or an Error if the library was out of memory.
void libav_allocated(const void* pointer);

}  // namespace stp
