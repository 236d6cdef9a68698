"""The same networks, steps and ops in PyTorch, to be timed beside ours (compare.sh, gpu_check.sh).

Written as a PyTorch user would write them: fused AdamW, fused attention wherever no policy is given, autocast for bf16.
Needs torch, and nothing else of ours.

    torch_peer.py steps [--device cuda] [--tf32 | --bf16] [--compile] [--batch 4] [--threads 2] [--only train_step]
    torch_peer.py ops   [--device cuda] [--tf32 | --bf16] [--threads 2]     lines NAME <tab> PASS <tab> MILLISECONDS, for bench_floor
"""

import argparse
import math
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

KEEP = (0.7, 0.49, 0.343)  # of all tokens, after each scorer
SCORE_BEFORE = (3, 6, 9)
SLOTS, TOKENS, WIDTH, HEADS, DEPTH = 8, 392, 384, 6, 12
PATCH = (2, 16, 16)


# ---- networks


def attend(q, k, v, keep, smoothing=1e-6):
    """Softmax with policy: (B, H, N, D) three times and (B, N)."""
    n = q.shape[-2]
    scores = torch.matmul(q, k.mT) / math.sqrt(q.shape[-1])
    seen = keep[:, None, None, :].expand(-1, -1, n, -1)
    seen = seen + torch.eye(n, device=q.device, dtype=keep.dtype) * (1 - seen)
    weight = torch.exp(scores.float() - scores.float().amax(-1, keepdim=True)) * seen
    weight = (weight + smoothing / n) / (weight.sum(-1, keepdim=True) + smoothing)
    return torch.matmul(weight.to(v.dtype), v)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6), nn.LayerNorm(WIDTH, eps=1e-6)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x, keep=None):
        b, n, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, HEADS, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v) if keep is None else attend(q, k, v, keep)
        x = x + self.proj(mixed.transpose(1, 2).reshape(b, n, WIDTH))
        return x + self.mlp(self.norm2(x))


class Trunk(nn.Module):
    """Tubelet embedding, positions, blocks."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv3d(3, WIDTH, PATCH, PATCH)
        self.place = nn.Parameter(0.02 * torch.randn(1, TOKENS, WIDTH))
        self.blocks = nn.ModuleList([Block() for _ in range(DEPTH)])

    def embed(self, clip):
        return self.patch(clip).flatten(2).mT + self.place


class Scorer(nn.Module):
    def __init__(self):
        super().__init__()
        half, quarter = WIDTH // 2, WIDTH // 4
        self.into = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU())
        self.out = nn.Sequential(nn.Linear(WIDTH, half), nn.GELU(), nn.Linear(half, quarter), nn.GELU(),
                                 nn.Linear(quarter, 2))

    def forward(self, x, keep):
        b, n, _ = x.shape
        alone, slot, clip = self.into(x).chunk(3, -1)

        def mean(values, groups):
            values, weight = values.reshape(b, groups, n // groups, -1), keep.reshape(b, groups, n // groups, 1)
            total = (values * weight).sum(2, keepdim=True) / weight.sum(2, keepdim=True).clamp_min(1e-6)
            return total.expand_as(values).reshape(b, n, -1)

        return F.log_softmax(self.out(torch.cat([alone, mean(slot, SLOTS), mean(clip, 1)], -1)).float(), -1)


class Anonymiser(Trunk):
    def __init__(self):
        super().__init__()
        self.scorers = nn.ModuleList([Scorer() for _ in SCORE_BEFORE])
        self.head = nn.Sequential(nn.LayerNorm(WIDTH, eps=1e-6), nn.Linear(WIDTH, 3 * math.prod(PATCH)))

    def pixels(self, tokens):
        b, (t, y, x) = tokens.shape[0], PATCH
        boxes = tokens.reshape(b, 8, 7, 7, t, y, x, 3).permute(0, 7, 1, 4, 2, 5, 3, 6)
        return boxes.reshape(b, 3, 8 * t, 7 * y, 7 * x)

    def forward(self, clip):
        """Training: pixels of every tubelet, policy (B, N), the decisions one by one."""
        x = self.embed(clip)
        keep, decisions = x.new_ones(x.shape[:2], dtype=torch.float32), []
        for i, block in enumerate(self.blocks):
            if i in SCORE_BEFORE:
                scored = self.scorers[len(decisions)](x, keep)
                keep = keep * F.gumbel_softmax(scored, hard=True)[..., 0]
                decisions.append(keep)
            x = block(x, keep)
        return self.pixels(self.head(x)), keep, decisions

    def anonymise(self, clip):
        """Inference: the tokens really go."""
        x = self.embed(clip)
        b = x.shape[0]
        rows, m = torch.arange(TOKENS, device=x.device).expand(b, -1), 0
        for i, block in enumerate(self.blocks):
            if i in SCORE_BEFORE:
                left = x.shape[1] // SLOTS
                score = self.scorers[m](x, x.new_ones(x.shape[:2], dtype=torch.float32))[..., 0]
                best = score.reshape(b, SLOTS, left).topk(int(TOKENS // SLOTS * KEEP[m])).indices
                best = (best + left * torch.arange(SLOTS, device=x.device)[:, None]).flatten(1)
                x = x.gather(1, best[..., None].expand(-1, -1, WIDTH))
                rows, m = rows.gather(1, best), m + 1
            x = block(x)
        drawn = self.head(x)
        whole = drawn.new_zeros(b, TOKENS, drawn.shape[-1])
        return self.pixels(whole.scatter(1, rows[..., None].expand_as(drawn), drawn))


class Recogniser(Trunk):
    def __init__(self, outputs):
        super().__init__()
        self.norm, self.out = nn.LayerNorm(WIDTH, eps=1e-6), nn.Linear(WIDTH, outputs)

    def forward(self, clip, keep):
        x = self.embed(clip)
        for block in self.blocks:
            x = block(x, keep)
        weight = keep[..., None]
        return self.out(self.norm((x * weight).sum(1) / weight.sum(1).clamp_min(1e-6))).float()


# ---- timing


class Machine:
    def __init__(self, a):
        self.device, self.bf16, self.compile, self.batch = a.device, a.bf16, a.compile, a.batch
        torch.set_num_threads(a.threads)
        torch.manual_seed(0)
        if a.device == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = a.tf32  # else f32 means f32, as ours does

    def autocast(self):
        return torch.autocast(self.device, torch.bfloat16, enabled=self.bf16)

    def made(self, network):
        network = network.to(self.device)
        return network, torch.compile(network) if self.compile else network

    def randn(self, *shape, **more):
        return torch.randn(*shape, device=self.device, **more)

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def median(self, run, seconds=1.0, least=5):
        times, start = [], None
        for _ in range(3 if self.device == "cuda" else 1):
            run()
        self.wait()
        start = time.perf_counter()
        while len(times) < least or time.perf_counter() - start < seconds:
            before = time.perf_counter()
            run()
            self.wait()
            times.append(time.perf_counter() - before)
        return statistics.median(times)


# ---- whole steps, seconds a clip


def adamw(network):
    weights = [p for n, p in network.named_parameters() if p.ndim > 1 and n != "place"]
    others = [p for n, p in network.named_parameters() if p.ndim == 1 or n == "place"]
    groups = [{"params": weights, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-5, fused=True)


def train_step(m):
    """The adversarial step, order sequential: recognisers first, then the anonymiser through them."""
    clip, action = m.randn(m.batch, 3, 16, 112, 112), torch.randint(51, (m.batch,), device=m.device)
    attributes = torch.randint(2, (m.batch, 5), device=m.device).float()
    (anonymiser, draw), (first, see), (second, spy) = (m.made(n) for n in (Anonymiser(), Recogniser(51), Recogniser(5)))
    optimizers = [adamw(n) for n in (anonymiser, first, second)]
    losses = [lambda o: F.cross_entropy(o, action), lambda o: F.binary_cross_entropy_with_logits(o, attributes)]

    def run():
        with m.autocast():
            video, keep, decisions = draw(clip)
        for network, look, optimizer, loss in zip((first, second), (see, spy), optimizers[1:], losses):
            with m.autocast():
                value = loss(look(video.detach(), keep.detach()))
            value.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            network.requires_grad_(False)
        with m.autocast():
            ratio = sum(((d.reshape(m.batch, SLOTS, -1).mean(2) - r) ** 2).mean() for d, r in zip(decisions, KEEP)) / 3
            value = ratio + 0.5 * losses[0](see(video, keep)) - 0.5 * losses[1](spy(video, keep))
        value.backward()
        optimizers[0].step()
        optimizers[0].zero_grad(set_to_none=True)
        for network in (first, second):
            network.requires_grad_(True)

    return m.median(run) / m.batch


def anonymise(m):
    network = Anonymiser().to(m.device).eval()
    run = torch.compile(network.anonymise) if m.compile else network.anonymise
    clip = m.randn(m.batch, 3, 16, 112, 112)
    with torch.inference_mode(), m.autocast():
        return m.median(lambda: run(clip)) / m.batch


def recogniser_step(m):
    network, look = m.made(Recogniser(51))
    optimizer, clip = adamw(network), m.randn(m.batch, 3, 16, 112, 112)
    action, keep = torch.randint(51, (m.batch,), device=m.device), (torch.rand(m.batch, TOKENS, device=m.device) < 0.343).float()

    def run():
        with m.autocast():
            loss = F.cross_entropy(look(clip, keep), action)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return m.median(run) / m.batch


def steps(m, only):
    for step in (train_step, anonymise, recogniser_step):
        if only and only != step.__name__:
            continue
        if m.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds = step(m)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if m.device == "cuda":
            peak = torch.cuda.max_memory_allocated() / 2**20
        print(f"{step.__name__} {seconds:.5f} s/clip, peak RSS {peak:.0f} MiB", flush=True)


# ---- ops, named as the cases of tests/cases are at their real sizes


def op_list(m):
    """Name -> (function, inputs); the activations come in the precision asked for."""
    store = torch.bfloat16 if m.bf16 else torch.float32
    rows, hidden = 8 * TOKENS, 4 * WIDTH

    def values(*shape):
        return m.randn(*shape, dtype=store, requires_grad=True)

    keep = (torch.rand(8, TOKENS, device=m.device) < 0.5).float().requires_grad_()
    norm, up, down = nn.LayerNorm(WIDTH, eps=1e-6), nn.Linear(WIDTH, hidden), nn.Linear(hidden, WIDTH)
    qkv, proj, patch = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH), (8, 8, 2, 7, 16, 7, 16)
    for layer in (norm, up, down, qkv, proj):
        layer.to(m.device, store)

    def heads(x):
        return x.reshape(8, -1, 3, HEADS, 64).permute(2, 0, 3, 1, 4).unbind(0)

    chosen = torch.randperm(rows, device=m.device)[:2176]
    return {
        "attention B 8 N 392 H 6 D 64 smoothing 1e-06 kept 0.5": (lambda x, k: attend(*heads(x), k), [values(8, TOKENS, 3 * WIDTH), keep]),
        "attention B 8 N 128 H 6 D 64 smoothing 0 plain": (lambda x: F.scaled_dot_product_attention(*heads(x)), [values(8, 128, 3 * WIDTH)]),
        "gelu 4816896 spread 1": (F.gelu, [values(rows * hidden)]),
        "add_row B 8 N 392 E 384": (lambda x, r: x + r, [values(8, TOKENS, WIDTH), values(1, TOKENS, WIDTH)]),
        "linear rows 3136 I 384 O 1152 bias": (qkv, [values(rows, WIDTH)]),
        "linear rows 3136 I 384 O 384 bias residual": (lambda x, r: proj(x) + r, [values(rows, WIDTH), values(rows, WIDTH)]),
        "mlp rows 3136 E 384 M 1536 residual": (lambda x, r: down(F.gelu(up(x))) + r, [values(rows, WIDTH), values(rows, WIDTH)]),
        "layer_norm rows 3136 E 384 mean 0 spread 1": (norm, [values(rows, WIDTH)]),
        "gather 2176 of 3136 width 384": (lambda x: x[chosen], [values(rows, WIDTH)]),
        "clip_to_tubelets B 8 C 3 16x112x112 by 2x16x16 channels first": (
            lambda x: x.reshape(8, 3, *patch[1:]).permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(8, TOKENS, -1),
            [m.randn(8, 3, 16, 112, 112, requires_grad=True)]),
    }


def ops(m):
    for name, (run, inputs) in op_list(m).items():
        def forward():
            with torch.inference_mode():
                run(*inputs)

        upstream = None

        def both():
            nonlocal upstream
            out = run(*inputs)
            upstream = torch.ones_like(out) if upstream is None else upstream
            out.backward(upstream)
            for x in inputs:
                x.grad = None

        for label, f in (("forward", forward), ("forward + backward", both)):
            print(f"{name}\t{label}\t{m.median(f, 0.5) * 1e3:.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["steps", "ops"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--tf32", action="store_true", help="products of f32 in tf32, on cuda")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", help="one step: train_step, anonymise or recogniser_step")
    a = parser.parse_args()
    machine = Machine(a)
    steps(machine, a.only) if a.what == "steps" else ops(machine)


if __name__ == "__main__":
    main()
