#!/usr/bin/env python3
"""Writes image_models.txt: what PyTorch makes of the convolutional networks of models/baselines, forward and backward.

    python3 tests/facts/image_models.py > tests/facts/image_models.txt

Networks are written down here once more, with torch.nn and the same names. Inputs, parameters and the gradient that is
sent back are waves that both sides compute from names and positions, so only results are stored: each line is a network,
a tensor, its number of elements, how far apart the stored ones are, the largest absolute value of all, and the stored
values. Computed in double.
"""
import math

import torch
from torch import nn
import torch.nn.functional as F


def wave(count, phase):
    return torch.sin(0.61 * torch.arange(count, dtype=torch.float64) + phase)


def fill(name, tensor):
    """Weights of products by their number of inputs, those of norms about one, biases about zero."""
    values = wave(tensor.numel(), 1 + 0.37 * len(name))
    if tensor.dim() > 1:
        values = values * math.sqrt(2 / (tensor.numel() / tensor.shape[0]))
    elif name.endswith("weight"):
        values = 1 + 0.3 * values
    else:
        values = 0.2 * values
    tensor.data = values.float().double().reshape(tensor.shape)


class DoubleConv(nn.Module):
    def __init__(self, inputs, middle, outputs):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, middle, 3, padding=1), nn.BatchNorm2d(middle), nn.ReLU(),
            nn.Conv2d(middle, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(inputs, outputs, outputs))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, joined, outputs, narrow):
        super().__init__()
        self.conv = DoubleConv(joined, outputs if narrow else joined // 2, outputs)

    def forward(self, below, skip):
        doubled = F.interpolate(below, scale_factor=2, mode="bilinear", align_corners=True)
        return self.conv(torch.cat([skip, doubled], 1))


class OutConv(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, 3, 1)

    def forward(self, x):
        return torch.sigmoid(self.conv(x))


class UNet(nn.Module):
    def __init__(self, w, narrow=False):
        super().__init__()
        self.inc = DoubleConv(3, w, w)
        self.down1, self.down2 = Down(w, 2 * w), Down(2 * w, 4 * w)
        self.down3, self.down4 = Down(4 * w, 8 * w), Down(8 * w, 8 * w)
        self.up1, self.up2 = Up(16 * w, 4 * w, narrow), Up(8 * w, 2 * w, narrow)
        self.up3, self.up4 = Up(4 * w, w, narrow), Up(2 * w, w, narrow)
        self.outc = OutConv(w)

    def forward(self, x):
        a = self.inc(x)
        b = self.down1(a)
        c = self.down2(b)
        d = self.down3(c)
        e = self.down4(d)
        return self.outc(self.up4(self.up3(self.up2(self.up1(e, d), c), b), a))


class Normed(nn.Module):
    def __init__(self, conv, channels):
        super().__init__()
        self.conv, self.norm = conv, nn.InstanceNorm2d(channels, eps=1e-3, affine=True)

    def forward(self, x):
        return self.norm(self.conv(x))


def plain(inputs, outputs, side, stride):
    return Normed(nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False), outputs)


def doubling(inputs, outputs):
    return Normed(nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, 1, bias=False), outputs)


class ItNet(nn.Module):
    def __init__(self, w, blocks):
        super().__init__()
        b = 4 * w
        self.down = nn.ModuleList([plain(3, w, 9, 1), plain(w, 2 * w, 3, 2), plain(2 * w, b, 3, 2)])
        self.residual = nn.ModuleList(nn.ModuleList([plain(b, b, 3, 1), plain(b, b, 3, 1)]) for _ in range(blocks))
        self.up = nn.ModuleList([doubling(b, 2 * w), doubling(2 * w, w)])
        self.exit = plain(w, 3, 9, 1)

    def forward(self, x):
        for step in self.down:
            x = F.relu(step(x))
        for first, second in self.residual:
            x = x + second(F.relu(first(x)))
        for step in self.up:
            x = F.relu(step(x))
        return (torch.tanh(self.exit(x)) + 1) / 2


class Basic(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        branch = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu((self.downsample(x) if self.downsample else x) + branch)


class FrameNet(nn.Module):
    def __init__(self, outputs, width, blocks, reduce):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False) if reduce else nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.reduce, self.stages, channels = reduce, [], width
        for stage, count in enumerate(blocks):
            layers = []
            for i in range(count):
                layers.append(Basic(channels, width << stage, 2 if stage and not i else 1))
                channels = width << stage
            self.stages.append(nn.Sequential(*layers))
            setattr(self, f"layer{stage + 1}", self.stages[-1])
        self.fc = nn.Linear(channels, outputs)

    def forward(self, clips):
        x = clips.transpose(1, 2).flatten(0, 1)
        x = F.relu(self.bn1(self.conv1(x)))
        if self.reduce:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in self.stages:
            x = stage(x)
        return self.fc(x.mean((2, 3))).unflatten(0, (clips.shape[0], -1)).mean(1)


def line(network, name, tensor):
    flat = tensor.detach().flatten()
    step = max(1, flat.numel() // 8)
    print(network, name, flat.numel(), step, f"{flat.abs().max():.6g}", *(f"{v:.9g}" for v in flat[::step].tolist()))


def report(name, network, shape):
    network.double()
    for key, parameter in network.named_parameters():
        fill(key, parameter)
    x = (0.5 + 0.5 * wave(math.prod(shape), 0.3)).float().double().reshape(shape).requires_grad_(True)
    out = network(x)
    out.backward(wave(out.numel(), 2).float().double().reshape(out.shape))
    line(name, "out", out)
    line(name, "dx", x.grad)
    for key, parameter in network.named_parameters():
        line(name, key, parameter.grad)
    for key, buffer in network.named_buffers():
        if "running" in key:
            line(name, key, buffer)
    line(name, "evaluated", network.eval()(x))


def count(name, network):
    print(name, "parameters", sum(p.numel() for p in network.parameters()), 1, 0)


count("unet_whole", UNet(64))
count("unet_narrow", UNet(64, True))
count("itnet_whole", ItNet(32, 5))
count("frame_net_whole", FrameNet(1000, 64, [2, 2, 2, 2], True))
count("frame_net_small", FrameNet(2, 16, [1, 1, 1], False))
report("unet", UNet(4), (2, 3, 32, 48))
report("itnet", ItNet(4, 2), (2, 3, 12, 16))
report("frame_net", FrameNet(3, 4, [1, 2], False), (2, 3, 3, 13, 10))
report("frame_net_reduced", FrameNet(5, 4, [2, 1], True), (2, 3, 2, 33, 30))
