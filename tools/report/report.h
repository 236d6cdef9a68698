// One self-contained HTML file that tells what runs found: tables, trade-off, attributes, training, pictures,
// and how to repeat it.
#pragma once

#include <string>
#include <vector>

#include "engine/memory.h"
#include "tools/report/record.h"

namespace stp {

struct ReportOptions {
  std::string title = "What was kept, and what was hidden";
  int clips = 2;                         // of each run whose anonymiser is there
  std::size_t picture_bytes = 3u << 20;  // of all pictures together; those beyond it are left out, and counted
  std::vector<std::string> commands;     // that made the report, for whoever repeats it
};

// The same records give the same bytes. What cannot be shown (clips that are not on this machine, a run that is
// not judged) is said in its place.
std::string report_html(const std::vector<RunRecord>& records, const Backend& backend,
                        const ReportOptions& options);

}  // namespace stp
