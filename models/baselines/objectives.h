// What the earlier methods want of their anonymisers: the privacy terms of VITA, SPAct and Collective.
#pragma once

#include <vector>

#include "engine/ops.h"

namespace stp {

// VITA (Wu et al., TPAMI 2020): outputs of the privacy recogniser that say nothing.
enum class Confusion {
  half,     // cross-entropy to 0.5 of every attribute
  entropy,  // the negative entropy of every attribute's probability
  present   // cross-entropy to 1: what the released code computes
};
// logits (B, A) -> the mean over clips and attributes, (1).
Tensor confusion_loss(Tape* tape, const Tensor& logits, Confusion form);

// SPAct (Dave et al., CVPR 2022): NT-Xent of two views. first, second (B, E): features of the same B videos;
// each is brought to length 1 (after its mean is taken off, by a LayerNorm) and told from the 2 B - 2 others by
// softmax of products over `temperature`. Mean over all 2 B, (1).
Tensor nt_xent(Tape* tape, const Tensor& first, const Tensor& second, float temperature = 0.1f);

// Collective (Zhang et al., ICDM 2019): distance of the Gram matrices of features (B, N, E) from those of
// `target`, per clip ||F^T F - G^T G||^2 / E^2 with F, G over sqrt(N); mean over clips. No gradient to
// `target`. (1)
Tensor style_loss(Tape* tape, const Tensor& features, const Tensor& target);

}  // namespace stp
