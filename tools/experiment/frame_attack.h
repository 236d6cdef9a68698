// Attackers who learn from single frames with labels of their own, and are judged by them (the paper's Table
// 3): on the videos of PA-HMDB51, of which a part is for training, while actions are recognised on whole clips.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/baselines/frame_net.h"
#include "tools/experiment/stage.h"
#include "tools/experiment/watchers.h"

namespace stp {

class FrameAttack {
 public:
  using Deliver = std::function<Delivered(const ClipInput&)>;

  // What `recipe` delivers of e.frames, which are there, to `attackers` networks; `batch` clips a step.
  FrameAttack(const Experiment& e, const Recipe& recipe, int batch, int attackers);

  // A step of every network on the frames of batch `number`; returns the mean of their losses.
  double learn(std::int64_t number, const Deliver& deliver, const std::string& where, double rate);

  // The frames of the test clips, each once, with what every attacker says of it.
  struct Judged {
    struct Attacker {
      std::uint64_t seed = 0;
      std::vector<double> scores;  // (n, A)
    };
    LabelTable truth;
    std::vector<Attacker> attackers;
    std::vector<double> actions;                   // (n, C): what `actions` says of the frame's video
    std::vector<std::vector<std::size_t>> videos;  // the frames of each video
  };
  // actions: logits (B, C) of delivered clips. Nothing if `stop` says so in between.
  std::optional<Judged> judge(const Deliver& deliver, const std::function<Tensor(const Delivered&)>& actions,
                              const Stage::Stop& stop) const;

  void save(CheckpointBuilder& builder) const;
  void restore(const Checkpoint& checkpoint);

 private:
  struct Network {
    std::uint64_t seed = 0;
    std::unique_ptr<FrameNet> net;
    std::unique_ptr<Learner> learner;
  };

  Tensor images_at(const Delivered& seen, const std::vector<int>& rows) const;

  const Experiment& e_;
  Recipe recipe_;
  int batch_;
  std::vector<Network> networks_;
  Feed feed_;
};

}  // namespace stp
