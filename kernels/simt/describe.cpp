// Findings as text.
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>

#include "kernels/simt/checker.h"

namespace stp::simt {

namespace {

const char* text(FaultKind kind) {
  switch (kind) {
    case FaultKind::divergent_barrier:
      return "not all threads of the block meet at this barrier";
    case FaultKind::divergent_collective:
      return "not all lanes of the warp meet at this warp function";
    case FaultKind::deadlock:
      return "no thread can go on";
    case FaultKind::shared_memory:
      return "more shared memory than a block has";
    case FaultKind::race:
      return "unordered accesses, at least one of them a write";
    case FaultKind::out_of_bounds:
      return "access outside of every buffer";
    case FaultKind::uninitialised:
      return "read of what nobody wrote";
    case FaultKind::misaligned:
      return "address is no multiple of the access's size";
    case FaultKind::early_access:
      return "access to what an asynchronous copy has not delivered";
  }
  return "";
}

// From the project's folder on.
std::string shortened(const std::string& path) {
  for (const char* room : {"/kernels/", "/tests/"})
    if (const std::size_t at = path.rfind(room); at != std::string::npos) return path.substr(at + 1);
  return path;
}

std::string text(const Site& site) {
  if (site.file) return shortened(site.file) + ":" + std::to_string(site.line);
  return describe_instruction(site.instruction);
}

// The first line that addr2line says of a place in this program; empty without it.
std::string addr2line(const char* options, const void* place) {
  Dl_info object{};
  if (dladdr(place, &object) == 0) return {};
  const auto offset =
      reinterpret_cast<std::uintptr_t>(place) - reinterpret_cast<std::uintptr_t>(object.dli_fbase);
  std::array<char, 512> command{}, found{};
  std::snprintf(command.data(), command.size(), "addr2line %s -e '%s' %#zx 2>/dev/null", options,
                object.dli_fname, static_cast<std::size_t>(offset));
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.data(), "r"), pclose);
  if (!pipe || !std::fgets(found.data(), static_cast<int>(found.size()), pipe.get())) return {};
  std::string line(found.data());
  line.erase(line.find_last_not_of('\n') + 1);
  return line;
}

}  // namespace

std::string describe_instruction(const void* instruction) {
  const auto address = reinterpret_cast<std::uintptr_t>(instruction);
  std::array<char, 64> unknown{};
  std::snprintf(unknown.data(), unknown.size(), "instruction %#zx", static_cast<std::size_t>(address));
  // What a call returns to is one behind the call.
  const std::string place = addr2line("", static_cast<const char*>(instruction) - 1);
  return place.empty() || place[0] == '?' ? unknown.data() : shortened(place.substr(0, place.find(" (")));
}

std::string describe_function(const void* code) {
  std::string name = addr2line("-f -C", code);
  for (const char* prefix : {"stp::simt::(anonymous namespace)::", "stp::simt::", "void "})
    for (std::size_t at = 0; (at = name.find(prefix)) != std::string::npos;)
      name.erase(at, std::strlen(prefix));
  name.erase(std::min(name.size(), name.find('(')));  // its parameters
  return name;
}

std::string describe(const Fault& f) {
  const auto number = [](unsigned n) { return std::to_string(n); };
  std::string line = "simt: kernel " + f.kernel + ", block (" + number(f.block.x) + ", " + number(f.block.y) +
                     ", " + number(f.block.z) + "), thread " + std::to_string(f.thread) + ": " + text(f.kind);
  if (f.site) line += ", at " + text(f.site);
  if (f.other) line += ", the other at " + text(f.other);
  if (f.count > 1) line += " (" + std::to_string(f.count) + " times)";
  return line;
}

}  // namespace stp::simt
