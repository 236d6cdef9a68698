#include "data/libav.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdarg>
#include <cstddef>
#include <cstdio>

#include "engine/check.h"
#include "engine/text.h"

namespace stp {
namespace {

// A message comes with the context it is about, or with a part of one that knows its parent.
LibavLog* log_of(void* context, bool& codec) {
  for (int depth = 0; context != nullptr && depth < 4; ++depth) {
    const AVClass* kind = *static_cast<const AVClass**>(context);
    if (kind == nullptr) return nullptr;
    codec = kind == avcodec_get_class();
    if (codec) return static_cast<LibavLog*>(static_cast<AVCodecContext*>(context)->opaque);
    if (kind == avformat_get_class())
      return static_cast<LibavLog*>(static_cast<AVFormatContext*>(context)->opaque);
    if (kind->parent_log_context_offset == 0) return nullptr;
    context = *reinterpret_cast<void**>(static_cast<std::byte*>(context) + kind->parent_log_context_offset);
  }
  return nullptr;
}

void collect(void* context, int level, const char* format, std::va_list arguments) {
  bool codec = false;
  LibavLog* log = level <= AV_LOG_ERROR ? log_of(context, codec) : nullptr;
  if (log == nullptr) return;
  char line[256];
  std::vsnprintf(line, sizeof line, format, arguments);
  std::string text = line;
  text.erase(text.find_last_not_of(" \n\r.") + 1);
  if (text.empty()) return;
  if (log->text.empty()) log->text = printable(text);
  ++(codec ? log->decoder_errors : log->container_errors);
}

}  // namespace

void* libav_symbol(const char* library, const char* name) {
  // Never closed: its functions are called until the program ends. A second call finds the library loaded.
  void* handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
  if (handle == nullptr) fail("FFmpeg cannot be used: {}; install the package of {}", dlerror(), library);
  void* address = dlsym(handle, name);
  if (address == nullptr) fail("FFmpeg's {} has no {}; install the version this was built with", library, name);
  return address;
}

std::string LibavOptions::left() const {
  const AVDictionaryEntry* entry = av_dict_get(dict_, "", nullptr, AV_DICT_IGNORE_SUFFIX);
  return entry == nullptr ? "" : entry->key;
}

void prepare_libav() {
  [[maybe_unused]] static const bool once = [] {
    av_log_set_level(AV_LOG_ERROR);
    av_log_set_callback(collect);
    av_max_alloc(std::size_t{256} << 20);
    return true;
  }();
}

std::string libav_message(int code, const LibavLog& log) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof text);
  return log.text.empty() ? text : fmt::format("{}: {}", text, log.text);
}

void libav_allocated(const void* pointer) {
  if (pointer == nullptr)
    fail("out of memory in the video library; close other programs or use smaller frames");
}

}  // namespace stp
