// When do two lists mean the same clip? Split lists, label tables and files on disk spell a clip differently:
// .avi in one, .mp4 in the other, a folder of frames without extension in the third; JHMDB writes "@" where
// HMDB51 has "#"; copied lists drop "#" or "!" altogether; UCF101's HandstandPushups files are named
// HandStandPushups.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace stp {

// A clip's name: its path below the data set's folder, "wave/21_wave.avi", without the extension of a known
// video or picture format. Any other dot belongs to the name.
std::string clip_name(std::string_view path);

// Whether `extension` (with its dot, any case) is one of a known video or picture format.
bool known_extension(std::string_view extension);

// The part of a name that survives copying: clip_name in lower case, where only letters, digits, "_", "-", "/"
// and bytes outside ASCII are kept. "golf/Tips_#2!.avi" and "golf/tips_@2.mp4" are both "golf/tips_2".
std::string normalised_name(std::string_view path);

// Whether a path out of a list stays below its folder: relative, no empty, "." or ".." part, no backslash.
bool stays_below(std::string_view path);

// For each wanted path the index of the present path that means the same clip, or -1. Three rounds, each among
// what the rounds before left over on both sides: equal paths, equal clip_name, equal normalised_name. So a
// clip whose name is another's but for one character is never mistaken for it where both are written out.
// Several candidates in one round are an error that names them, unless `same(i, j)` says that present i and j
// are interchangeable (labels that agree); without `same` a present path serves one wanted path only. `where`
// begins the message: the file or folder of the present paths. Throws Error (usage).
std::vector<int> match_names(const std::vector<std::string>& wanted, const std::vector<std::string>& present,
                             const std::string& where, const std::function<bool(int, int)>& same = {});

}  // namespace stp
