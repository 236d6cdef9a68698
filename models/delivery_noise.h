// Why what is delivered may be drawn. In training the decision is drawn: whether a tubelet is kept tells its
// score through noise, and that is all the recognisers see of it. The best tubelets tell the scores without
// noise, so that a fresh attacker reads in them what none of the phase could. With the noise of training at
// delivery too, what is judged is what was trained. Not in the paper; the released code delivers the best.
#pragma once

#include <vector>

#include "models/vit.h"

namespace stp {

// Gumbel noise (B, N, 2) for each scorer, drawn for each clip from the digest of its own pixels: who has the
// clip gets the same decision every time, so that nothing is averaged by asking again; who has only what was
// delivered cannot draw it. input: frames or a clip, as a network takes them.
std::vector<Tensor> delivery_noise(const ClipInput& input, std::int64_t N, std::size_t scorers);

}  // namespace stp
