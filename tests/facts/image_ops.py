#!/usr/bin/env python3
"""Writes image_ops.txt: what PyTorch makes of the ops of convolutional networks, forward and backward, on small inputs.

    python3 tests/facts/image_ops.py > tests/facts/image_ops.txt

Each line is a case, the name of a tensor, its shape, and its values: inputs by their names, results as out, running_mean,
...; the gradient that is sent back as dout, and those of the inputs as d followed by their names. Computed in double, so
that the values are PyTorch's conventions without its rounding.
"""
import torch
import torch.nn.functional as F

torch.manual_seed(2023)


def line(case, name, tensor):
    values = " ".join(f"{v:.9g}" for v in tensor.detach().flatten().tolist())
    print(case, name, "x".join(map(str, tensor.shape)), values)


def case(name, inputs, function, after=None):
    """inputs: name -> tensor, all differentiated; after: what else there is to be seen when function has run."""
    for tensor in inputs.values():
        tensor.requires_grad_(True)
    out = function(**inputs)
    dout = normal(*out.shape)
    out.backward(dout)
    for key, tensor in inputs.items():
        line(name, key, tensor)
        line(name, "d" + key, tensor.grad)
    line(name, "out", out)
    line(name, "dout", dout)
    for key, tensor in (after or {}).items():
        line(name, key, tensor)


def normal(*shape):
    # Rounded to what a float holds, so that both sides compute from the same numbers.
    return torch.randn(*shape).double()


case("convolution", {"x": normal(2, 3, 6, 5), "weight": normal(4, 3, 3, 3), "bias": normal(4)},
     lambda x, weight, bias: F.conv2d(x, weight, bias, stride=2, padding=1))
case("transposed_convolution", {"x": normal(2, 3, 3, 4), "weight": normal(3, 2, 3, 3), "bias": normal(2)},
     lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1))

mean, variance = normal(3), torch.rand(3).double() + 0.5
line("batch_norm_training", "mean_before", mean)
line("batch_norm_training", "variance_before", variance)
moved = [mean.clone(), variance.clone()]
case("batch_norm_training", {"x": normal(2, 3, 3, 4), "weight": normal(3), "bias": normal(3)},
     lambda x, weight, bias: F.batch_norm(x, *moved, weight, bias, training=True, momentum=0.1, eps=1e-5),
     {"mean_after": moved[0], "variance_after": moved[1]})
line("batch_norm_evaluation", "mean_before", mean)
line("batch_norm_evaluation", "variance_before", variance)
case("batch_norm_evaluation", {"x": normal(2, 3, 3, 4), "weight": normal(3), "bias": normal(3)},
     lambda x, weight, bias: F.batch_norm(x, mean, variance, weight, bias, training=False, eps=1e-5))
case("instance_norm", {"x": normal(2, 3, 3, 4), "weight": normal(3), "bias": normal(3)},
     lambda x, weight, bias: F.instance_norm(x, weight=weight, bias=bias, eps=1e-3))

case("max_pool", {"x": normal(2, 2, 7, 6)}, lambda x: F.max_pool2d(x, 3, 2, 1))
case("max_pool_ties", {"x": torch.randint(0, 2, (1, 2, 7, 6)).double()}, lambda x: F.max_pool2d(x, 3, 2, 1))
case("average_pool", {"x": normal(2, 2, 7, 6)}, lambda x: F.avg_pool2d(x, 3, 2, 1))
case("global_average", {"x": normal(2, 3, 4, 5)}, lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1))
case("upsample_corners", {"x": normal(1, 2, 4, 3)},
     lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))
case("upsample_areas", {"x": normal(1, 2, 4, 3)},
     lambda x: F.interpolate(x, size=(7, 8), mode="bilinear", align_corners=False))
case("upsample_down", {"x": normal(1, 2, 7, 9)},
     lambda x: F.interpolate(x, size=(3, 4), mode="bilinear", align_corners=False))
case("relu", {"x": normal(3, 5)}, lambda x: F.relu(x))
case("sigmoid", {"x": normal(3, 5)}, lambda x: torch.sigmoid(x))
case("sigmoid_as_tanh", {"x": normal(3, 5)}, lambda x: (torch.tanh(x) + 1) / 2)
case("concatenate_channels", {"a": normal(2, 1, 2, 3), "b": normal(2, 2, 2, 3)}, lambda a, b: torch.cat([a, b], 1))
case("swap_axes", {"x": normal(2, 3, 2, 2, 2)}, lambda x: x.transpose(1, 2).contiguous())
case("add", {"a": normal(2, 3), "b": normal(2, 3)}, lambda a, b: a + b)
