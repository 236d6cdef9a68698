// Several recognisers that read what is private: to which of them the anonymiser listens.
#include <cstring>
#include <map>
#include <utility>

#include "tests/system/workplace.h"

namespace stp {
namespace {

using test::Ended;
using test::Workplace;

// The values of the anonymiser after that many adversarial steps, without what the file says of the recipe.
std::string trained_anonymiser(const Workplace& place, int privacy_recognisers, int steps, bool mask = false) {
  const std::string run = fmt::format("run_{}_{}_{}", privacy_recognisers, steps, mask);
  const Ended ended =
      place.begin(run, {"--set", fmt::format("adversarial.privacy_recognisers={}", privacy_recognisers),     //
                        "--set", fmt::format("adversarial.mask_recogniser={}", mask),                        //
                        "--set", fmt::format("adversarial.steps={}", steps),                                 //
                        "--set", "adversarial.recogniser_warmup=0", "--set", "adversarial.restart_every=0",  //
                        "--set", "init.steps=3", "--set", "evaluate.steps=1", "--set", "evaluate.raw=false"});
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  const std::string file = content(place / run / "anonymiser.safetensors");
  std::uint64_t header = 0;
  REQUIRE(file.size() > sizeof(header));
  std::memcpy(&header, file.data(), sizeof(header));
  REQUIRE(file.size() > sizeof(header) + header);
  return file.substr(sizeof(header) + header);
}

TEST_CASE("rivals: the anonymiser listens to the privacy recognisers in turns") {
  const Workplace place;
  std::map<std::pair<int, int>, std::string> made;
  for (const auto& [privacy_recognisers, steps] :
       {std::pair(1, 1), std::pair(1, 2), std::pair(2, 1), std::pair(2, 2), std::pair(2, 3), std::pair(3, 2),
        std::pair(3, 3)})
    made[{privacy_recognisers, steps}] = trained_anonymiser(place, privacy_recognisers, steps);
  const auto after = [&](int privacy_recognisers, int steps) { return made.at({privacy_recognisers, steps}); };
  // In parentheses: not to be printed.
  CHECK((after(1, 1) == after(2, 1)));  // the first step is the first recogniser's
  CHECK((after(2, 2) == after(3, 2)));  // the second the second's, whoever else learns
  CHECK((after(1, 2) != after(2, 2)));
  CHECK((after(2, 3) != after(3, 3)));  // of two, the first is heard again
  CHECK(
      (trained_anonymiser(place, 1, 1, true) != after(1, 1)));  // whoever reads the mask is heard in every step
}

}  // namespace
}  // namespace stp
